"""What the checks work with: the task, and the backend, brought up anew whenever its process is
lost.

Every call of a check ends by that check's limit. The order of checks, and what it means when one
ends badly, is up to qs.conformance.running.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.config.qs_config import QsConfig
from qs.conformance.answers import observe_predict
from qs.environments import Environment
from qs.evaluate.backend import Backend
from qs.evaluate.failures import BackendFailed, Limit
from qs.evaluate.obtaining import Compiled, compile_model, with_files
from qs.evaluate.own_process import reference_process
from qs.evaluate.prepare import WORK, Prepared
from qs.evaluate.settling import settled
from qs.settings.settings import Settings
from qs.tensors.closeness import tolerance

REFERENCE_ITEMS = 16
_DUMP_BEFORE_S = 0.5  # how long before the process is ended a hang's stacks are written


@dataclass(frozen=True)
class ReferenceFile:
    """The reference's items and answers in a file, or `why` there is none."""

    path: Path | None
    why: str = ""
    # output -> its shape for one item
    shapes: dict[str, list[int]] = field(default_factory=dict)


class CheckedBackend(Backend):
    """A backend under test: every call ends by the limit of the check that makes it, and shortly
    before that the process writes to the log where it stands.

    A fresh process is not set up again, Subject compiles anew instead: a compile result may hold
    objects, which ended with the process that made them.
    """

    SERVICE = "qs.conformance.service:ConformanceService"
    SET_UP = ()

    def __init__(self, prepared: Prepared, environment: Environment, log: Path, folder: Path):
        super().__init__(prepared, environment, log, folder)
        self._limit_s, self._until = 0.0, 0.0

    def limit(self, limit_s: float) -> None:
        """All calls from now on end within that many seconds."""
        self._limit_s, self._until = limit_s, time.monotonic() + limit_s

    def extend(self, seconds: float) -> None:
        """The limit holds that much longer: the time was not the backend's."""
        self._until += seconds

    async def observe(self, look: Callable[..., Any], what: str, **arguments: Any) -> Any:
        """What a function of the checks sees of the service, in the backend's process."""
        return await self._call("observe", what, Limit(0.0), look=look, **arguments)

    async def stated_qs_mode(self) -> dict[str, Any]:
        """What the backend says about QS mode, as it says it."""
        return await self._call("stated_qs_mode", "generate_qs_config", Limit(0.0))

    async def _call(self, method: str, what: str, limit: Limit, **arguments: Any) -> Any:
        left_s = self._held(limit).seconds
        await super()._call("dump_after", what, limit, seconds=left_s - _DUMP_BEFORE_S)
        value = await super()._call(method, what, limit, **arguments)
        await super()._call("dump_after", what, limit, seconds=None)
        return value

    def _held(self, limit: Limit) -> Limit:
        left_s = max(self._until - time.monotonic(), 2 * _DUMP_BEFORE_S)
        return Limit(left_s, of_s=self._limit_s)

    @property
    def predict_limit_s(self) -> float | None:
        """None: the check's limit ends a predict that hangs."""
        return None

    def _arguments(self) -> dict[str, Any]:
        return {**super()._arguments(), "dump_at_s": self._until - _DUMP_BEFORE_S}


class Subject:
    """One backend, one task. `environment` names the interpreter; `scratch` is for files that are
    not kept.
    """

    def __init__(
        self,
        prepared: Prepared,
        resolved: dict[str, Any],
        environment: Environment,
        log: Path,
        scratch: Path,
        reference: ReferenceFile | None = None,
    ) -> None:
        self.prepared, self.resolved = prepared, resolved
        self.folder = prepared.backend.path
        self._log, self._scratch = log, scratch
        self.backend = CheckedBackend(prepared, environment, log, scratch / WORK)
        self._reference = reference
        self._compiled: Compiled | None = None
        self._compiled_in = 0  # which of the backend's processes compiled last
        self.supports_qs = False  # as the backend says, once the check qs_config has asked it
        self._settings: Settings | None = None
        self._predicted: dict[int, dict[str, Any]] = {}

    def limit(self, limit_s: float) -> None:
        """All calls from now on end within that many seconds."""
        self.backend.limit(limit_s)

    async def ready(self, limit_s: float) -> None:
        """Make sure there is a process that is as far as the checks have come: started, and
        compiled in if compiling has worked before.
        """
        self.limit(limit_s)
        await self.backend.ready()
        if self._compiled is not None and self._compiled_in != self.backend.starts:
            await self.compile()

    async def close(self) -> None:
        """End the process, if there is one; the next `ready` starts another."""
        with suppress(Exception):  # it may be lost already
            await self.backend.drop()

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self.backend.kill()

    async def compile(self) -> Compiled:
        """The published steps up to and including compile; the runtime gets their results."""
        compiled = await compile_model(
            self.backend, self.prepared, self.resolved, lambda text: None
        )
        await self.backend.configure_runtime(
            compiled.raw, compiled.configs["workload"], compiled.configs["model_info"]
        )
        self._compiled, self._compiled_in = compiled, self.backend.starts
        if self._settings is not None:
            await self.backend.use_runner(self._settings)
        return compiled

    async def drive(self, config: QsConfig) -> None:
        """Use the runner and the batch sizes of a QS config from now on. UserError if no run can be
        planned with it.
        """
        settings = settled(self.prepared, config, self.compiled.best_batch_sizes)
        await self.backend.use_runner(settings)
        self._settings = settings

    @property
    def pool(self) -> str | None:
        """What the clients of a run would run in; None if our engine does not drive it."""
        return None if self._settings is None else self._settings.pool.value

    @property
    def compiled(self) -> Compiled:
        assert self._compiled is not None, "compile() comes first"
        return self._compiled

    @property
    def batch_sizes(self) -> list[int]:
        """The ones that a run would measure, ascending."""
        named = self.compiled.configs["workload"]["batch_sizes"]
        sizes = self._settings.batch_sizes.value if self._settings else named
        return sorted({int(size) for size in sizes})

    @property
    def outer_batch_sizes(self) -> list[int]:
        """The smallest and the largest."""
        return sorted({self.batch_sizes[0], self.batch_sizes[-1]})

    @property
    def output_names(self) -> list[str]:
        return list(self.prepared.model_info.outputs)

    @property
    def precision(self) -> Any:
        return self.compiled.raw.get("compile_precision")

    @property
    def tolerance(self) -> float:
        return tolerance(self.precision)

    @property
    def model_bytes(self) -> int:
        path = Path(self.resolved["path"])
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def log_bytes(self) -> int:
        """How much was printed so far."""
        return self._log.stat().st_size if self._log.exists() else 0

    async def predicted(self) -> dict[int, dict[str, Any]]:
        """Batch size -> what its first answer looks like. Asked for once, since it may be slow."""
        for size in self.batch_sizes:
            if size not in self._predicted:
                what = f"predict at batch size {size}"
                self._predicted[size] = await self.backend.observe(
                    observe_predict, what, batch_size=size
                )
        return self._predicted

    async def reference(self) -> ReferenceFile:
        """The reference run of the task's first items, made once, in a process of our own."""
        if self._reference is None:
            begin = time.monotonic()
            self._reference = await self._refer()
            self.backend.extend(time.monotonic() - begin)
        return self._reference

    async def _refer(self) -> ReferenceFile:
        path = self._scratch / "reference.npz"
        info, dataset = self.prepared.model_info, self.prepared.dataset
        why = self.resolved.get("no_reference")
        if why:
            return ReferenceFile(None, why)
        try:
            async with reference_process(self._scratch / "reference.log") as reference:
                about = await reference.outputs(
                    self.resolved["reference"],
                    with_files(info.to_configs(), self.resolved),
                    dataset.path if dataset else None,
                    self.prepared.workload.fake_data,
                    self.prepared.seed,
                    REFERENCE_ITEMS,
                    path,
                )
        except (UserError, BackendFailed) as error:
            return ReferenceFile(None, " ".join(str(error).split()))
        return ReferenceFile(path, shapes=about["outputs"])

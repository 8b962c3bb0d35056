"""What the checks work with: the task, and a host with the backend in it, replaced by a fresh one
whenever it is lost.

Every call of a check ends by that check's limit. The order of checks, and what it means when one
ends badly, is up to qs.conformance.running.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base import machine
from qs.base.errors import UserError
from qs.base.words import number
from qs.config.qs_config import QsConfig
from qs.conformance.answers import observe_predict
from qs.engine import ChildHost, Factory, HostTimeout
from qs.environments import Environment
from qs.evaluate.backend import PACKAGES, WORK, BackendFailed, call, outcomes, reference_host
from qs.evaluate.compiling import Compiled, compile_model, with_files
from qs.evaluate.folder import working_folder
from qs.evaluate.prepare import Prepared
from qs.settings.run_plan import check_plans
from qs.settings.settings import Settings, settle
from qs.tensors.closeness import tolerance

SERVICE = "qs.conformance.service:ConformanceService"
REFERENCE_ITEMS = 16
_DUMP_BEFORE_S = 0.5  # how long before the process is ended a hang's stacks are written


@dataclass(frozen=True)
class Reference:
    """The reference's items and answers in a file, or `why` there is none."""

    path: Path | None
    why: str = ""
    # output -> its shape for one item
    shapes: dict[str, list[int]] = field(default_factory=dict)


class Limit:
    """By when all calls of the current check have to end."""

    def __init__(self) -> None:
        self.limit_s = 0.0
        self._until = 0.0

    def begin(self, limit_s: float) -> None:
        self.limit_s, self._until = limit_s, time.monotonic() + limit_s

    def extend(self, more_s: float) -> None:
        """For what is not the backend's time."""
        self._until += more_s

    @property
    def dump_at_s(self) -> float:
        """When, on the monotonic clock, the stacks of a hang are to be written."""
        return self._until - _DUMP_BEFORE_S

    @property
    def left_s(self) -> float:
        return self._until - time.monotonic()


class Bench:
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
        reference: Reference | None = None,
    ) -> None:
        self.prepared, self.resolved = prepared, resolved
        self.folder = prepared.backend.path
        self._environment, self._log, self._scratch = environment, log, scratch
        self._reference = reference
        roots = list(dict.fromkeys([prepared.backend.root, *prepared.workspaces.roots]))
        needed = [
            found.path for found in (prepared.backend, prepared.model, prepared.dataset) if found
        ]
        self._work = working_folder(scratch / WORK, roots, needed)
        self._host: _Limited | None = None
        self._limit = Limit()
        self._compiled: Compiled | None = None
        self._compiled_here = False  # in the host that is there now
        self.supports_qs = False  # as the backend says, once the check qs_config has asked it
        self._settings: Settings | None = None
        self._predicted: dict[int, dict[str, Any]] = {}

    def limit(self, limit_s: float) -> None:
        """All calls from now on end within that many seconds."""
        self._limit.begin(limit_s)

    async def ready(self, limit_s: float) -> None:
        """Make sure there is a host that is as far as the checks have come: started, and compiled
        in if compiling has worked before.
        """
        self._limit.begin(limit_s)
        if self._host is None:
            self._host = await self._started()
        if self._compiled is not None and not self._compiled_here:
            await self.compile()

    async def close(self) -> None:
        """End the host, if there is one; the next `ready` starts another."""
        host, self._host, self._compiled_here = self._host, None, False
        if host is not None:
            with suppress(Exception):  # it may be lost already
                await host.child.close()

    def kill(self) -> None:
        """End the host's process at once, whatever it is doing."""
        if self._host is not None:
            self._host.child.kill()

    async def call(self, method: str, what: str, **arguments: Any) -> Any:
        """Call a method of the service. BackendFailed or UserError if that goes wrong; `what` names
        it in messages.
        """
        assert self._host is not None, "ready() comes first"
        self._host.what = what
        return await call(self._host, method, what, **arguments)

    async def observe(self, look: Callable[..., Any], what: str, **arguments: Any) -> Any:
        """What a function of the checks sees of the service, in the backend's process."""
        return await self.call("observe", what, look=look, **arguments)

    async def compile(self) -> Compiled:
        """The published steps up to and including compile; the runtime gets their results."""
        compiled = await compile_model(self._host, self.prepared, self.resolved, lambda text: None)
        await self.call(
            "configure_runtime",
            "setting up the runtime",
            compile_result=compiled.raw,
            workload=compiled.configs["workload"],
            model_info=compiled.configs["model_info"],
        )
        self._compiled, self._compiled_here = compiled, True
        if self._settings is not None:
            await self._use_runner(self._settings)
        return compiled

    async def drive(self, config: QsConfig) -> None:
        """Use the runner and the batch sizes of a QS config from now on. UserError if no run can be
        planned with it.
        """
        found, cpus = self.prepared, machine.usable_cpus()
        best = self.compiled.best_batch_sizes
        settings = settle(found.request, found.workload, config, best, cpus)
        check_plans(settings, cpus, False)
        await self._use_runner(settings)
        self._settings = settings

    async def _use_runner(self, settings: Settings) -> None:
        await self.call(
            "use_runner",
            "the runner",
            runner=settings.runner.value,
            pool=settings.pool.value,
            config=settings.qs_config(),
        )

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
        return os.path.getsize(self.resolved["path"])

    def log_bytes(self) -> int:
        """How much was printed so far."""
        return self._log.stat().st_size if self._log.exists() else 0

    async def predicted(self) -> dict[int, dict[str, Any]]:
        """Batch size -> what its first answer looks like: asked for once,
        since it may be slow.
        """
        for size in self.batch_sizes:
            if size not in self._predicted:
                what = f"predict at batch size {size}"
                self._predicted[size] = await self.observe(observe_predict, what, batch_size=size)
        return self._predicted

    async def reference(self) -> Reference:
        """The reference run of the task's first items, made once, in a process of our own."""
        if self._reference is None:
            begin = time.monotonic()
            self._reference = await self._refer()
            self._limit.extend(time.monotonic() - begin)
        return self._reference

    async def _refer(self) -> Reference:
        path = self._scratch / "reference.npz"
        info, dataset = self.prepared.model_info, self.prepared.dataset
        try:
            async with reference_host(self._scratch / "reference.log") as host:
                about = await call(
                    host,
                    "reference_outputs",
                    "the reference run",
                    model_path=self.resolved["path"],
                    model_info=with_files(info.to_configs(), self.resolved),
                    dataset_folder=str(dataset.path) if dataset else None,
                    fake=self.prepared.workload.fake_data,
                    seed=self.prepared.seed,
                    items=REFERENCE_ITEMS,
                    out_npz=str(path),
                )
        except (UserError, BackendFailed) as error:
            return Reference(None, " ".join(str(error).split()))
        return Reference(path, shapes=about["outputs"])

    async def _started(self) -> _Limited:
        found = self.prepared
        child = ChildHost(
            Factory(
                SERVICE,
                {
                    "workspace_roots": [str(root) for root in found.workspaces.roots],
                    "backend_folder": str(self.folder),
                    "hardware": found.hardware,
                    "dump_at_s": self._limit.dump_at_s,
                },
            ),
            python=self._environment.python,
            env=dict(self._environment.variables),
            log_path=self._log,
            cwd=self._work,
            packages=PACKAGES,
        )
        what = f"loading the backend {found.hardware}"
        with outcomes(what):
            starting = asyncio.ensure_future(child.__aenter__())
            try:
                await asyncio.wait({starting}, timeout=max(self._limit.left_s, 0.0))
                if not starting.done():
                    raise BackendFailed(
                        f"{what}: no answer within {number(self._limit.limit_s)} s",
                        child.log_tail(),
                    )
                await starting
            finally:
                if not starting.done():
                    child.kill()
                    with suppress(Exception):  # that it is dead is no news
                        await starting
        return _Limited(child, self._limit)


class _Limited:
    """A child host whose calls all end by the limit, and which says where it was when that was
    reached.
    """

    def __init__(self, child: ChildHost, limit: Limit) -> None:
        self.child, self._limit = child, limit
        # the step that the next call belongs to, if its name says more than the method's
        self.what = ""

    async def call(self, method: str, deadline_s: float | None = None, **arguments: Any) -> Any:
        """As ChildHost.call, but ended by the limit rather than by `deadline_s`."""
        left_s = max(self._limit.left_s, 2 * _DUMP_BEFORE_S)
        await self.child.call("dump_after", deadline_s=left_s, seconds=left_s - _DUMP_BEFORE_S)
        try:
            value = await self.child.call(method, deadline_s=left_s, **arguments)
        except HostTimeout as timeout:
            text = f"{self.what or method}: no answer within {number(self._limit.limit_s)} s"
            raise BackendFailed(text, timeout.log_tail) from None
        finally:
            self.what = ""
        await self.child.call("dump_after", deadline_s=left_s, seconds=None)
        return value

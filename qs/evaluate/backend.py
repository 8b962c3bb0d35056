"""A vendor's folder brought up: its working folder, the process that its code lives in, the log,
and every call with the time that it may take.

A process that crashed or hung is replaced before the next call, and the fresh one is set up as the
lost one was. So a failure costs the batch size it happened in, and no other. The code never runs in
our process, except with --in_process, for a debugger. What a failure means for a run is
qs.evaluate.failures' part.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from qs.engine import ChildHost, Factory, HostTarget, LocalHost
from qs.environments import Environment
from qs.environments.folder import working_folder
from qs.environments.log import capped, unlinked
from qs.environments.process import SERVICE, SET_UP, ServiceProcess
from qs.evaluate.doing import STARTING, Doing, silently, words_of
from qs.evaluate.failures import Limit, outcomes
from qs.evaluate.prepare import Prepared
from qs.evaluate.said import Loaded, QsMode, RealAnswer
from qs.settings.case import Case
from qs.settings.limits import Limits
from qs.settings.settings import Settings

# No option states these limits.
DATA_S = 1200.0  # reading a data set and making samples of it: not the backend's own time
CHECK_S = 24 * 3600.0  # as many predicts as there are items; each has its own limit


class Backend:
    """One vendor's backend for one task. The published methods, in the order in which a run calls
    them; each raises BackendFailed, or UserError for what the user has to correct.

    Not started yet when made: `brought_up` starts it, otherwise the first call does.
    """

    SERVICE: str = SERVICE
    # a fresh process is told these again
    SET_UP: tuple[str, ...] = SET_UP

    def __init__(self, prepared: Prepared, environment: Environment, log: Path, folder: Path):
        """`log` gets what the backend prints; `folder` becomes the one that it works in."""
        self.doing: Doing = silently  # shows its calls
        self._prepared, self._environment, self._log = prepared, environment, log
        roots = list(dict.fromkeys([prepared.backend.root, *prepared.workspaces.roots]))
        places = (prepared.backend, prepared.model, prepared.dataset)
        self.folder = working_folder(folder, roots, [found.path for found in places if found])
        self.hardware = prepared.hardware
        self.limits = Limits.of_request(prepared.request)
        self._process = ServiceProcess(
            lambda: self._made(), self._again_s, self._starting, self.SET_UP
        )
        self._limits: dict[str, Limit] = {}  # of what a fresh process is told again

    # The published methods.

    async def versions(self, compile_result: Mapping[str, Any] | None = None) -> dict[str, str]:
        """What both classes state; a runtime may know more by its compile result."""
        limit = self._compiling
        return await self._call("versions", "version", limit, compile_result=compile_result)

    async def interact_profile(self, configs: Mapping[str, Any]) -> Any:
        what = "get_interact_profile"
        return await self._call("interact_profile", what, self._compiling, configs=configs)

    async def pre_optimize(self, configs: Mapping[str, Any]) -> dict[str, Any]:
        """The configs, as the backend changed them."""
        return await self._call("pre_optimize", "pre_optimize", self._compiling, configs=configs)

    async def set_dataset(self, configs: Mapping[str, Any]) -> dict[str, Any]:
        """Load the task's data, or the user's own. Returns what the report says about it."""
        found = self._prepared
        return await self._call(
            "set_dataset",
            "the data set",
            Limit(DATA_S),
            configs=configs,
            seed=found.seed,
            fake=found.workload.fake_data,
            dataset_folder=str(found.dataset.path) if found.dataset else None,
            given=found.given_data,
        )

    async def best_batch_sizes(self, configs: Mapping[str, Any]) -> list[int] | None:
        """The batch sizes that the backend recommends, if it does."""
        what = "get_best_batch_size"
        return await self._call("best_batch_sizes", what, self._compiling, configs=configs)

    async def compile(self, configs: Mapping[str, Any]) -> dict[str, Any]:
        """The compile result as the vendor gave it, with the vendor's own keys."""
        return await self._call("compile", "compile", self._compiling, configs=configs)

    async def configure_runtime(
        self,
        compile_result: Mapping[str, Any],
        workload: Mapping[str, Any],
        model_info: Mapping[str, Any],
    ) -> None:
        await self._call(
            "configure_runtime",
            "setting up the runtime",
            self._loading,
            compile_result=compile_result,
            workload=workload,
            model_info=model_info,
        )

    async def qs_mode(self) -> QsMode:
        return QsMode(**await self._call("qs_mode", "generate_qs_config", self._loading))

    async def use_runner(self, settings: Settings) -> None:
        """Compute with these settings' runner from now on, if that changes anything."""
        wanted = {
            "runner": settings.runner.value,
            "pool": settings.pool.value,
            "config": settings.qs_config(),
        }
        before = self.told.get("use_runner", {})
        # A factory of the vendor's own gets all of the config; the others only need the pool.
        keys = wanted.keys() if ":" in settings.runner.value else ("runner", "pool")
        if before and all(wanted[key] == before[key] for key in keys):
            return
        await self._call("use_runner", "the runner", Limit(DATA_S), **wanted)

    async def load(self, batch_size: int) -> Loaded:
        """Load the first copy of the model."""
        what = f"load batch size {batch_size}"
        found = await self._call("load", what, self._loading, batch_size=batch_size)
        return Loaded(found["loaded_batch_size"], found["seconds"], found["takes_threads"])

    async def accuracy(self, data_percent: int, output_dir: Path) -> dict[str, Any]:
        """The checker's metrics at the batch size that is loaded, or {"not_measured": why}."""
        return await self._call(
            "accuracy",
            "accuracy",
            Limit(CHECK_S),
            data_percent=data_percent,
            output_dir=str(output_dir.absolute()),  # the backend works in another folder
            predict_limit_s=self.predict_limit_s,
        )

    async def numeric(self, reference: Path, batch_size: int, items: int) -> dict[str, Any]:
        """Agreement with the answers in a reference file."""
        return await self._call(
            "numeric",
            "numeric agreement",
            Limit(CHECK_S),
            reference_npz=str(reference),
            batch_size=batch_size,
            items=items,
            predict_limit_s=self.predict_limit_s,
        )

    async def numeric_item(
        self, reference: Path, batch_size: int, item: int, folder: Path
    ) -> dict[str, Any]:
        """The same for one item alone; its arrays are left in `folder`."""
        return await self._call(
            "numeric_item",
            f"item {item}",
            Limit(DATA_S),
            reference_npz=str(reference),
            batch_size=batch_size,
            item=item,
            folder=str(folder.absolute()),
            predict_limit_s=self.predict_limit_s,
        )

    async def benchmark(self, batch_size: int, **telemetry: Any) -> Any:
        """The vendor's own numbers, as the vendor gives them. `telemetry`: as of `target`."""
        limit = Limit(self.limits.benchmark_s, "benchmark_timeout")
        what = f"benchmark batch size {batch_size}"
        return await self._call("benchmark", what, limit, batch_size=batch_size, **telemetry)

    # What a measured case needs.

    async def describe_samples(
        self, batch_size: int, samples: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """What `target` submits: where the samples come from, how many, how large."""
        what = f"samples of batch size {batch_size}"
        return await self._call(
            "describe_samples", what, Limit(DATA_S), batch_size=batch_size, samples=samples
        )

    async def target(
        self,
        case: Case,
        samples: Mapping[str, Any] | None,
        folder: str | None = None,
        verify: Mapping[str, Any] | None = None,
        telemetry_s: float | None = None,
        null_port: int | None = None,
    ) -> HostTarget:
        """What the engine drives in this case: predict of each copy. In `folder` its answers (as
        `verify` says) and its own telemetry (every `telemetry_s`) are left. `null_port`: of a
        server on this machine that requests are sent to instead.
        """
        more: dict[str, Any] = {} if verify is None else {"verify": verify}
        if null_port is not None:
            more |= {"null_port": null_port, "conversations": False}
        return (await self.ready()).target(
            "load_target",
            **case.drive() | more,
            samples=samples,
            folder=folder,
            telemetry_s=telemetry_s,
            setup=self.told if case.own_processes else None,
        )

    async def real_answer(self, batch_size: int, samples: Mapping[str, Any] | None) -> RealAnswer:
        """The answer of the server to the first request of a case, as bytes."""
        what, limit = "asking once", Limit(self.limits.predict_s, "predict_timeout")
        return RealAnswer(
            **await self._call("real_answer", what, limit, batch_size=batch_size, samples=samples)
        )

    async def idle_answers(self, reference: Path | None, **kept: Any) -> str | None:
        """Before a case: leave the idle answers that `verification` compares with. Returns what is
        wrong with them, compared with the reference's where its file is given.
        """
        return await self._call(
            "idle_answers",
            "the idle answers before the case",
            Limit(CHECK_S),
            predict_limit_s=self.predict_limit_s,
            reference_npz=None if reference is None else str(reference),
            **kept,
        )

    async def verification(self, **kept: Any) -> dict[str, Any]:
        """Judge the answers that the workers of a case left, and whether the idle backend still
        answers as before: "found" and "changed". `kept`: folder, mode, and what the case was fed.
        """
        return await self._call(
            "verification",
            "verifying answers",
            Limit(CHECK_S),
            predict_limit_s=self.predict_limit_s,
            **kept,
        )

    @property
    def pid(self) -> int | None:
        """Of the backend's process; None where it has none of its own."""
        child = self._child
        return None if child is None else child.pid

    def log_tail(self) -> str:
        """The end of what the process that is there now had printed."""
        child = self._child
        return "" if child is None else child.log_tail()

    @property
    def starts(self) -> int:
        """How many processes were started."""
        return self._process.starts

    @property
    def told(self) -> dict[str, Mapping[str, Any]]:
        """Method -> arguments: what another process has to be told to compute as this one does."""
        return self._process.told

    async def ready(self) -> ChildHost | LocalHost:
        """The process, alive: a fresh one where the last was lost."""
        return await self._process.ready()

    async def drop(self) -> None:
        """End the process, if there is one; the next call starts another."""
        await self._process.drop()

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        if self._child is not None:
            self._child.kill()

    @property
    def _child(self) -> ChildHost | None:
        return self._process.child

    async def _call(self, method: str, what: str, limit: Limit, **arguments: Any) -> Any:
        """Call a method of the service. `what` names the step in messages."""
        await self.ready()
        held = self._held(limit)
        self._limits[method] = limit
        with outcomes(what, held), self.doing(words_of(method, arguments), None, held.seconds):
            return await self._process.call(method, held.seconds, **arguments)

    def _again_s(self, method: str) -> float:
        """How long a fresh process may take for what it is told again, or to start."""
        return self._again(method).seconds

    def _again(self, method: str) -> Limit:
        return self._held(self._limits[method] if method else self._loading)

    @contextmanager
    def _starting(self, method: str) -> Iterator[None]:
        limit = self._again(method)
        if method:
            with outcomes(f"{method}, in a fresh process", limit):
                yield
            return
        what = f"loading the backend {self.hardware}"
        with outcomes(what, limit), self.doing(STARTING, None, limit.seconds):
            yield

    def _made(self) -> ChildHost | LocalHost:
        factory = Factory(self.SERVICE, self._arguments())
        if self._prepared.request.in_process:
            return LocalHost(factory)
        return ChildHost(
            factory,
            python=self._environment.python,
            env=self._environment.variables,
            log_path=unlinked(self._log),
            cwd=self.folder,
        )

    def _arguments(self) -> dict[str, Any]:
        """What the service is made with."""
        return {
            "workspace_roots": [str(root) for root in self._prepared.workspaces.roots],
            "backend_folder": str(self._prepared.backend.path),
            "hardware": self.hardware,
        }

    def _held(self, limit: Limit) -> Limit:
        """The limit that holds for a call whose own is `limit`."""
        return limit

    @property
    def _compiling(self) -> Limit:
        return Limit(self.limits.compile_s, "compile_timeout")

    @property
    def _loading(self) -> Limit:
        return Limit(self.limits.load_s, "load_timeout")

    @property
    def predict_limit_s(self) -> float | None:
        """Of one predict that the engine does not drive. None in our own process: a debugger's."""
        return None if self._prepared.request.in_process else self.limits.predict_s


@asynccontextmanager
async def brought_up(
    prepared: Prepared, environment: Environment, log: Path, doing: Doing = silently
) -> AsyncIterator[Backend]:
    """The chosen backend, for as long as the context lasts; its log is kept small."""
    backend = Backend(prepared, environment, log, prepared.work)
    backend.doing = doing
    async with capped(log):
        with _inside(backend.folder) if prepared.request.in_process else nullcontext():
            try:
                await backend.ready()
                yield backend
            finally:
                await backend.drop()


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """With --in_process, the debugger's one process works where the backend's own would."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)

"""What lives in a node's process: it brings one backend up on this machine as `qs run` does on one,
and gives the engine what to drive.

Its methods are called by qs.nodes.fleet and take and give plain data. What takes long is done in
threads: the node's event loop also answers for its clock and its life.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from qs.base.cache import cache_dir
from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.engine import ChildHost, Factory, HostDied, HostError, HostTarget, HostTimeout
from qs.environments import Environment, interpreter_for
from qs.environments.folder import working_folder
from qs.environments.log import capped
from qs.environments.process import SERVICE, SET_UP, START, ServiceProcess
from qs.nodes.arriving import WORK, Arrivals
from qs.nodes.goods import Goods, Moved
from qs.nodes.told import failure_of
from qs.tensors.outputs import NOTED

DATA_S, CHECK_S = 1200.0, 24 * 3600.0  # as of one machine: see qs.evaluate.backend
LOG, CASE = "backend.log", "case"


class BackendPlace:
    """A backend on this node; `async with`, in which it has a folder of its own.

    hardware   the backend's name
    env        which interpreter it gets: see qs.environments.interpreter_for
    load_s     how long loading one copy may take
    staged     whether the working folder of this process has files by their SHA-256
    """

    def __init__(
        self,
        hardware: str,
        env: str = "auto",
        offline: bool = False,
        load_s: float = 1200.0,
        staged: bool = False,
    ):
        self._hardware, self._env, self._offline = hardware, env, offline
        self._load_s = load_s
        self._staged = Path.cwd() if staged else None
        self._open = AsyncExitStack()
        self._stop = threading.Event()
        self._arrivals: Arrivals | None = None
        self._goods: Goods | None = None
        self._moved = Moved(())
        self._environment: Environment | None = None
        self._process: ServiceProcess | None = None
        self._folder = Path()
        self._case: Path | None = None

    async def __aenter__(self) -> BackendPlace:
        within = await asyncio.to_thread(cache_dir)
        self._folder = self._open.enter_context(scratch("qs-node-", within))
        self._arrivals = Arrivals(self._folder, self._staged, self._offline)
        await self._open.enter_async_context(capped(self._folder / LOG))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        try:
            await self.drop()
        finally:
            await self._open.aclose()

    # What has to be here.

    async def look(self, goods: Goods) -> dict[str, Any]:
        """What has to be sent of it: {"lacking": SHA-256s, "bytes"}."""
        lacking, size = await asyncio.to_thread(self._arriving.look, goods)
        return {"lacking": lacking, "bytes": size}

    async def take(self, sha256: str = "", piece: bytes = b"", last: bool = False) -> None:
        """A piece of a file; nothing, where this node needs none."""
        if sha256:
            await asyncio.to_thread(self._arriving.take, sha256, piece, last)

    async def set_up(self, goods: Goods, told: Mapping[str, Any]) -> dict[str, Any]:
        """Lay out what is here, find or build the environment, start the backend's process and tell
        it what the one on the driver's machine was told. Returns what the report says of it.
        """
        if self._goods != goods:
            await self.drop()
            self._moved = await asyncio.to_thread(self._arriving.laid_out, goods)
            self._goods = goods
            folder = Path(self._moved.path(goods.backend))
            self._environment = await asyncio.to_thread(
                interpreter_for, folder, self._env, self._say, self._stop
            )
        await self._tell(self._moved.plain(told))
        return await self._about()

    # What a case needs.

    async def load(self, batch_size: int) -> dict[str, Any]:
        """What the service says of the loaded copy, or how loading failed."""
        try:
            return await self._service.call("load", self._load_s, batch_size=batch_size)
        except (HostError, HostDied, HostTimeout) as fault:
            return failure_of(fault)

    async def begin_case(self) -> None:
        """An empty folder for what the workers of a case leave."""
        self._case = self._folder / CASE
        await asyncio.to_thread(_emptied, self._case)

    async def noted(self) -> dict[str, str]:
        """What the workers noted of answers without outputs, by instance."""
        if self._case is None:
            return {}
        return {
            file.stem.rpartition("-")[2]: file.read_text(errors="replace")
            for file in sorted(self._case.glob(NOTED))
        }

    async def idle_answers(self, reference: str | None, **how: Any) -> dict[str, Any]:
        """{"fault"}: what is wrong with the idle answers before a case. `how`: as the service's."""
        there = None if reference is None else self._moved.path(reference)
        try:
            fault = await self._service.call(
                "idle_answers", CHECK_S, folder=str(self._case), reference_npz=there, **how
            )
        except (HostError, HostDied, HostTimeout) as failure:
            return failure_of(failure)
        return {"fault": fault}

    async def verification(self, **how: Any) -> dict[str, Any]:
        """The judgement of the answers that the workers of a case left, as the service gives it."""
        try:
            return await self._service.call("verification", CHECK_S, folder=str(self._case), **how)
        except (HostError, HostDied, HostTimeout) as failure:
            return failure_of(failure)

    async def target(
        self,
        drive: Mapping[str, Any],
        own_processes: bool = False,
        verify: Mapping[str, Any] | None = None,
    ) -> HostTarget:
        """What the engine drives here."""
        folder = str(self._case)
        host = await self._service.ready()
        more = {} if verify is None else {"verify": {**verify, "folder": folder}}
        return host.target(
            "load_target",
            **drive,
            **more,
            folder=folder,
            setup=self._service.told if own_processes else None,
        )

    async def drop(self) -> None:
        """End the backend's process; the next call starts another."""
        if self._process is not None:
            await self._process.drop()

    async def give_up(self, why: str = "") -> None:
        """Raises UserError with the reason, if there is one: this node is to be left out."""
        if why:
            raise UserError(why)

    async def log(self, most: int) -> dict[str, str]:
        """{"text"}: the end of what the backend has printed here."""
        return {"text": await asyncio.to_thread(_end_of, self._folder / LOG, most)}

    # Its process.

    @property
    def _arriving(self) -> Arrivals:
        assert self._arrivals is not None, "the place was not entered"
        return self._arrivals

    @property
    def _service(self) -> ServiceProcess:
        assert self._process is not None, "the place was not set up"
        return self._process

    async def _tell(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        if self._process is None:
            self._process = ServiceProcess(self._made, self._limit_s)
            self._process.tell_next(told)
            await self._process.ready()
            return
        before = self._process.told
        for method in SET_UP:
            if method in told and told[method] != before.get(method):
                await self._process.call(method, self._limit_s(method), **told[method])

    def _made(self) -> ChildHost:
        goods, environment, moved = self._goods, self._environment, self._moved
        assert goods is not None and environment is not None
        roots = [moved.path(root) for root in goods.roots]
        needed = [
            Path(moved.path(place))
            for group in goods.groups
            for place in group.places
            if not group.work
        ]
        absent = {
            name: value for name, value in goods.variables.items() if not os.environ.get(name)
        }
        return ChildHost(
            Factory(
                SERVICE,
                {
                    "workspace_roots": roots,
                    "backend_folder": moved.path(goods.backend),
                    "hardware": self._hardware,
                },
            ),
            python=environment.python,
            env={**environment.variables, **absent},
            log_path=self._folder / LOG,
            cwd=working_folder(self._folder / WORK, [Path(root) for root in roots], needed),
        )

    def _limit_s(self, method: str) -> float:
        return self._load_s if method in (START, "configure_runtime") else DATA_S

    async def _about(self) -> dict[str, Any]:
        environment = self._environment
        assert environment is not None
        configured = self._service.told.get("configure_runtime", {})
        versions = await self._service.call(
            "versions", self._load_s, compile_result=configured.get("compile_result")
        )
        return {
            "versions": versions,
            "environment": {
                "key": environment.key,
                "interpreter": environment.python,
                "created": environment.created,
                "why": environment.why,
            },
            "notes": list(self._arriving.notes),
        }

    def _say(self, text: str) -> None:
        with (self._folder / LOG).open("a") as log:
            log.write(f"[qs] {text}\n")


def _emptied(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()


def _end_of(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, 2) - most, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""

"""Where targets live and the hot loops run. The conductor sees every kind of host through the same
few methods.

A host can build an object, call its methods, and run a share of a plan against a target;
`LocalHost` does so in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qs.engine.clock import MONOTONIC, Clock
from qs.engine.errors import HostError, HostTimeout
from qs.engine.hosts.loops import in_daemon_thread
from qs.engine.measures.found import Found
from qs.engine.plan import Factory
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import WorkerMemory, local_memory
from qs.engine.record.report import WorkerReport
from qs.engine.workers.coroutines import AsyncGroup
from qs.engine.workers.share import PlanShare
from qs.engine.workers.target import Target, build, import_reference
from qs.engine.workers.threads import WorkerGroup


class Session(Protocol):
    """One share being run by one host, as the conductor sees it."""

    inline: bool
    share: PlanShare

    @property
    def memories(self) -> Sequence[WorkerMemory]: ...

    @property
    def place(self) -> str:
        """ "" in this process, else the interpreter of the process that it runs in."""
        ...

    @property
    def heard(self) -> int:
        """How many bytes its process has sent; 0 in this process."""
        ...

    def beside(self, share: PlanShare, target: Any) -> Session:
        """Another session in the same place, to be used before this one."""
        ...

    async def prepare(self) -> None:
        """Build and warm up. Raises HostError, or HostDied."""
        ...

    def go(self, start_ns: int) -> None: ...

    async def finish(self) -> list[WorkerReport]:
        """Wait until all workers have ended. Raises HostDied if their process ends instead, before
        all was measured.
        """
        ...

    def take_intervals(self) -> list[tuple[int, Interval]]: ...

    def take_found(self) -> list[Found]:
        """What was found in kept requests since the last call."""
        ...

    def stop(self) -> None: ...

    def abandon(self) -> None:
        """Give up on workers that have not ended: `finish` returns or raises soon."""
        ...

    async def close(self) -> None: ...


class Host(Protocol):
    """Where a session can run."""

    def session(self, share: PlanShare, target: HostTarget, rows: int) -> Session: ...


@dataclass(frozen=True)
class HostTarget:
    """A target that a host's object makes: `method(instance=number, **kwargs)`, called in the host
    for each instance.
    """

    host: Host
    method: str
    kwargs: dict[str, Any] = field(default_factory=dict)


class LocalHost:
    """A host in this process: for library use, and for debugging what else runs in a child."""

    def __init__(self, factory: Factory, **_ignored: Any):
        self._factory = factory
        self.object: Any = None

    async def __aenter__(self) -> LocalHost:
        self.object = await self._in_thread(
            lambda: import_reference(self._factory.reference)(**self._factory.kwargs),
            "building the host's object",
            None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.object = None

    async def call(self, method: str, /, deadline_s: float | None = None, **kwargs: Any) -> Any:
        """Call a method of the object in a thread. Raises HostError with what the method raised,
        HostTimeout after `deadline_s`.
        """
        return await self._in_thread(
            lambda: getattr(self.object, method)(**kwargs), method, deadline_s
        )

    def target(self, method: str, /, **kwargs: Any) -> HostTarget:
        return HostTarget(self, method, kwargs)

    def session(self, share: PlanShare, target: HostTarget, rows: int) -> Session:
        def make(instance: int) -> Target:
            return build(
                getattr(self.object, target.method)(instance=instance, **target.kwargs), None
            )

        return local_session(share, make, rows)

    async def _in_thread(
        self, function: Callable[[], Any], what: str, deadline_s: float | None
    ) -> Any:
        def guarded() -> Any:
            try:
                return function()
            except BaseException as fault:  # as in a child, whatever it raises is an answer
                raise HostError.of(fault) from fault

        try:
            return await asyncio.wait_for(in_daemon_thread(guarded), deadline_s)
        except asyncio.TimeoutError:
            raise HostTimeout(what, deadline_s or 0.0) from None


class BlockingSession:
    """Awaits a group of workers of this process that blocks: its threads, or, inline, the slices
    that it runs on the event loop's own thread.
    """

    place = ""
    heard = 0

    def __init__(self, group: WorkerGroup):
        self._group = group
        self.share = group.share
        self.memories = group.memories
        self.inline = group.share.plan.pool.kind == "inline"
        self.go = group.go
        self.take_intervals = group.take_intervals
        self.stop = group.stop
        self.abandon = group.abandon

    def beside(self, share: PlanShare, target: Any) -> BlockingSession:
        memories = local_memory(share.workers, self.memories[0].rows)
        return BlockingSession(WorkerGroup(share, lambda instance: build(target, None), memories))

    async def prepare(self) -> None:
        if self.inline:
            await self._stepwise(self._group.preparing())
        else:
            await in_daemon_thread(self._group.prepare)

    async def finish(self) -> list[WorkerReport]:
        if self.inline:
            await self._stepwise(self._group.steps())
            return self._group.reports
        return await in_daemon_thread(self._group.run)

    @staticmethod
    def take_found() -> list[Found]:
        """Blocking targets keep no requests."""
        return []

    @staticmethod
    async def _stepwise(steps: Iterator[None]) -> None:
        """Between slices the event loop gets its turn: progress, stop rules and cancellation happen
        there.
        """
        for _ in steps:
            await asyncio.sleep(0)

    async def close(self) -> None:
        pass


def local_session(
    share: PlanShare, make: Callable[[int], Target], rows: int, clock: Clock = MONOTONIC
) -> Session:
    """A share run in this process. `make(instance)` builds the target of one instance."""
    if share.coroutines:
        return AsyncGroup(share, make, local_memory(1, rows, share.plan.parts)[0])
    return BlockingSession(WorkerGroup(share, make, local_memory(share.workers, rows), clock))

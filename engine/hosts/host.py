"""Where targets live and the hot loops run. A conductor sees every kind of host through the same
few messages.

A host can build an object, call its methods, and run a share of a plan against a target;
`LocalHost` does so in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qs.engine.errors import HostError, HostTimeout, describe, words
from qs.engine.hosts.loops import in_daemon_thread
from qs.engine.plan import Factory
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import WorkerMemory, local_memory
from qs.engine.record.report import WorkerReport
from qs.engine.workers.coroutines import AsyncGroup
from qs.engine.workers.share import Share
from qs.engine.workers.target import Target, build, import_reference
from qs.engine.workers.threads import WorkerGroup


class Session(Protocol):
    """One share being run by one host, as the conductor sees it."""

    inline: bool
    share: Share

    @property
    def memories(self) -> Sequence[WorkerMemory]: ...

    @property
    def place(self) -> str:
        """ "" in this process, else the interpreter of the process that it runs in."""
        ...

    def beside(self, share: Share, target: Any) -> Session:
        """Another session in the same place, to be used before this one."""
        ...

    async def prepare(self) -> None:
        """Build and warm up. Raises HostError, or HostDied."""
        ...

    def go(self, start_ns: int) -> None: ...

    async def finish(self) -> list[WorkerReport]:
        """Wait for the workers' ends; raises HostDied when the process ended instead."""
        ...

    def take_intervals(self) -> list[tuple[int, Interval]]: ...

    def stop(self) -> None: ...

    def abandon(self) -> int:
        """Patience has ended: `finish` returns soon. Answers how many requests were in hand that no
        report will count.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class HostTarget:
    """A target that a host's object makes: `method(instance=number, **kwargs)`, called in the host
    for each instance.
    """

    host: Any
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
        """Call a method of the object in a thread. Raises HostError with what it raised,
        HostTimeout after `deadline_s`.
        """
        return await self._in_thread(
            lambda: getattr(self.object, method)(**kwargs), method, deadline_s
        )

    def target(self, method: str, /, **kwargs: Any) -> HostTarget:
        return HostTarget(self, method, kwargs)

    def session(self, share: Share, target: HostTarget, rows: int) -> Session:
        def make(instance: int) -> Target:
            return build(
                getattr(self.object, target.method)(instance=instance, **target.kwargs), None
            )

        return (
            AsyncSession(share, make, rows)
            if share.plan.pool.kind == "async"
            else LocalSession(share, make, rows)
        )

    async def _in_thread(
        self, function: Callable[[], Any], what: str, deadline_s: float | None
    ) -> Any:
        def guarded() -> Any:
            try:
                return function()
            except BaseException as fault:  # as in a child: whatever it raises is an answer
                raise HostError(type(fault).__name__, words(fault), describe(fault)) from fault

        try:
            return await asyncio.wait_for(in_daemon_thread(guarded), deadline_s)
        except asyncio.TimeoutError:
            raise HostTimeout(what, deadline_s or 0.0) from None


class LocalSession:
    """A share run by workers of this process: threads, or inline on the event loop's own thread,
    slice by slice.
    """

    place = ""

    def __init__(
        self, share: Share, make: Callable[[int], Target], rows: int, **group_options: Any
    ):
        self.share = share
        self.memories = local_memory(share.workers, rows)
        self._group = WorkerGroup(share, make, self.memories, **group_options)
        self.inline = share.plan.pool.kind == "inline"

    def beside(self, share: Share, target: Any) -> LocalSession:
        return LocalSession(share, lambda instance: build(target, None), self.memories[0].rows)

    async def prepare(self) -> None:
        if self.inline:
            await self._stepwise(self._group.preparing())
        else:
            await in_daemon_thread(self._group.prepare)

    def go(self, start_ns: int) -> None:
        self._group.go(start_ns)

    async def finish(self) -> list[WorkerReport]:
        if self.inline:
            await self._stepwise(self._group.steps())
            return self._group.reports
        return await in_daemon_thread(self._group.run)

    @staticmethod
    async def _stepwise(steps: Iterator[None]) -> None:
        """Between slices the event loop gets its turn: progress, stop rules and cancellation happen
        there.
        """
        for _ in steps:
            await asyncio.sleep(0)

    def take_intervals(self) -> list[tuple[int, Interval]]:
        return self._group.take_intervals()

    def stop(self) -> None:
        self._group.stop()

    def abandon(self) -> int:
        return len(self._group.abandon())

    def close(self) -> None:
        pass


class AsyncSession:
    """A share of coroutines on the current event loop."""

    inline = False
    place = ""

    def __init__(self, share: Share, make: Callable[[int], Target], rows: int):
        self.share = share
        self.memories = local_memory(1, rows)
        self._group = AsyncGroup(share, make, self.memories[0])
        self.prepare = self._group.prepare
        self.go = self._group.go
        self.finish = self._group.run
        self.take_intervals = self._group.take_intervals
        self.stop = self._group.stop

    def beside(self, share: Share, target: Any) -> AsyncSession:
        return AsyncSession(share, lambda instance: build(target, None), self.memories[0].rows)

    def abandon(self) -> int:
        self._group.abandon()
        return 0

    def close(self) -> None:
        pass

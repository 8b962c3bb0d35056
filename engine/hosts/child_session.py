"""A share run by the workers of one child process: what the conductor sends and reads for it.

The workers write to memory that both sides map, so the stop flag needs no message, and what was
measured outlives the child.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from qs.engine.clock import MONOTONIC
from qs.engine.errors import HostDied, HostError
from qs.engine.hosts.channel import value_of
from qs.engine.hosts.findings import found_of
from qs.engine.hosts.host import HostTarget
from qs.engine.hosts.messages import intervals_of, reports_of, understood
from qs.engine.measures.found import Found
from qs.engine.outcome import Unread
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Halt, SharedMemory
from qs.engine.record.report import WorkerReport
from qs.engine.workers.share import PlanShare


class Child(Protocol):
    """The process: a ChildHost."""

    heard: int

    @property
    def python(self) -> str: ...

    async def build(self) -> None: ...

    def send(self, message: tuple, fds: Sequence[int] = ()) -> None: ...

    async def receive(self, what: str, deadline_s: float | None = None) -> tuple: ...

    def kill(self) -> None: ...


class ChildSession:
    """A share run by the workers of one child process."""

    inline = False

    def __init__(
        self, child: Child, share: PlanShare, target: Any, rows: int, samples_fd: int | None
    ):
        self._child = child
        self.share = share
        self.target = target
        self.rows = rows
        self.samples_fd = samples_fd
        self._shared = SharedMemory(
            1 if share.plan.pool.kind == "async" else share.workers, rows, share.plan.parts
        )
        self.memories = self._shared.workers
        self._start_ns = 0
        self._intervals: deque[tuple[int, Interval]] = deque()
        self._found: deque[Found] = deque()

    @property
    def place(self) -> str:
        return self._child.python

    @property
    def heard(self) -> int:
        return self._child.heard

    def beside(self, share: PlanShare, target: Any) -> ChildSession:
        return ChildSession(self._child, share, target, self.rows, None)

    async def prepare(self) -> None:
        fds = [self._shared.fd]
        fds += [
            fd
            for fd in (self.share.counter_fd, self.share.failures_fd, self.samples_fd)
            if fd is not None
        ]
        target, method = self.target, None
        kwargs: dict[str, Any] = {}
        if isinstance(self.target, HostTarget):
            target, method, kwargs = None, self.target.method, self.target.kwargs
            await self._child.build()
        self._child.send(("run", self.share, self.rows, target, method, kwargs), fds)
        message = await self._child.receive("building and warming up the target")
        if message[0] != "ready":
            value_of(message)

    def go(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._child.send(("go", start_ns))

    async def finish(self) -> list[WorkerReport]:
        share = self.share
        measured: list[WorkerReport] | None = None
        while True:
            try:
                message = await self._child.receive("the run")
                # It may have begun a moment before this process looks at its clock.
                most = max(MONOTONIC.now_ns() - self._start_ns, 0) // share.plan.recorded_ns + 1
                if message[0] == "intervals":
                    self._intervals += self._understood(
                        intervals_of, message[1], share.first, share.workers, most
                    )
                    continue
                if message[0] == "found":
                    self._found.append(self._understood(found_of, message[1], share, most))
                    continue
                plain = message[1] if message[0] == "measured" else value_of(message)
                if measured is None:
                    reports: list[WorkerReport] = self._understood(
                        reports_of, plain, len(self.memories), most, len(share.plan.parts)
                    )
            except (HostDied, HostError) as fault:
                if measured is None:
                    raise
                # All was measured by then; what it had not read is lost.
                self._found.append(Found(unread=Unread.LOST, fault=str(fault)[:300]))
                return measured
            if message[0] == "measured":
                measured = reports
                continue
            if any(report.hung for report in reports):
                # a thread that hangs in it may wake up in the middle of what is measured next
                self._child.kill()
            return reports

    def _understood(self, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return understood(read, *arguments)
        except HostError:
            self._child.kill()  # nor would what it says after this be
            raise

    def take_found(self) -> list[Found]:
        taken = list(self._found)
        self._found.clear()
        return taken

    def take_intervals(self) -> list[tuple[int, Interval]]:
        taken = list(self._intervals)
        self._intervals.clear()
        return taken

    def stop(self) -> None:
        for memory in self.memories:
            memory.header[Field.STOP] = Halt.NOW

    def abandon(self) -> None:
        self.stop()
        self._child.kill()

    async def close(self) -> None:
        self._shared.close()

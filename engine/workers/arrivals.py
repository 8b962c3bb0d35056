"""Open loop on an event loop: an alarm goes off when a request falls due, and all that are due by
then are started in one go.

A request waits in line, with its due time, for one of `max_in_flight` places. Rows are counted when
nothing is due for a while, and if possible when nothing is in flight either: counting delays what
is issued or answered meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.errors import UnfinishedAnswer
from qs.engine.machine.alarm import new_alarm
from qs.engine.machine.collector import Collector
from qs.engine.outcome import ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.record.memory import STOP, Field, Halt, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.awaited import Starter
from qs.engine.workers.in_flight import PATIENCE_NS, InFlight
from qs.engine.workers.slices import PAUSE_NS, QUIET_NS, SLICE_NS
from qs.engine.workers.target import Target

# What the next due time is when there is none.
_NEVER = FOREVER_NS


class Arrivals:
    """The measured phase of one share. Made on the loop that runs it."""

    def __init__(
        self,
        target: Target,
        feed: Iterator[Any],
        recorder: Recorder,
        collector: Collector,
        plan: RunPlan,
        abandoned: asyncio.Event,
    ):
        self._recorder, self._abandoned = recorder, abandoned
        self._stop = recorder.memory.header.data
        self._most = plan.pool.max_in_flight or FOREVER_NS
        self._cap = FOREVER_NS if plan.max_backlog is None else plan.max_backlog
        self._loop = asyncio.get_running_loop()
        start = target.start or Starter(target, recorder, self._break).start
        timeout_ns = int(plan.timeout_s * 1e9)
        self._requests = InFlight(start, feed, recorder, collector, timeout_ns, self._ended)
        self._alarm = new_alarm(self._loop, self._fall_due)
        self._dues: Iterator[int] = iter(())
        self._next = _NEVER
        self._backlog: deque[int] = deque()
        self._busy = False  # with issuing; a request may end within its own start
        self._pause = False  # whether the next due time leaves one to count in
        self._resting = False  # it is about to begin

    async def run(self, queue: Iterable[Iterator[int]], on_tick: Callable[[], None]) -> None:
        """Until the due times or the run have ended, and every issued request has returned or been
        given up. Raises UnfinishedAnswer.
        """
        self._on_tick = on_tick
        self._dues = chain.from_iterable(queue)
        self._requests.count()
        self._await(next(self._dues, _NEVER))
        try:
            await self._requests.watch(self._more, self._tick)
        finally:
            self._alarm.close()

    def _more(self) -> bool:
        return self._next < _NEVER or bool(self._backlog)

    def _tick(self, now: int) -> bool:
        self._on_tick()
        header = self._recorder.memory.header
        given_up = self._abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now
        if given_up or header[Field.STOP] == Halt.NOW:
            for _ in self._backlog:
                self._recorder.fail(ErrorKind.NOT_ISSUED, now)
            self._backlog.clear()
        if given_up or halted(header, self._next):
            self._next = _NEVER
        return bool(given_up)

    def _break(self, fault: UnfinishedAnswer) -> None:
        self._requests.fault = fault

    def _fall_due(self) -> None:
        """The alarm has gone off."""
        now = MONOTONIC.now_ns()
        due, requests, backlog = self._next, self._requests, self._backlog
        stop, most = self._stop, self._most
        self._busy = True
        while due <= now:
            if stop[STOP] and halted(self._recorder.memory.header, due):
                due = _NEVER
                break
            if not backlog and len(requests) < most:
                requests.issue(due, now)
            else:
                backlog.append(due)
                if len(backlog) > self._cap + 1:  # the first has more than the cap behind it
                    self._recorder.drop(backlog.popleft(), now)
            due = next(self._dues, _NEVER)
        self._busy = False
        self._await(due)
        if backlog:
            self._refill()
        since_ns = now - requests.counted_ns
        self._pause = due - now > (PAUSE_NS if since_ns > SLICE_NS else QUIET_NS)
        if self._pause and since_ns > PATIENCE_NS:
            self._rest_soon()

    def _await(self, due: int) -> None:
        """Wait for the next due time."""
        self._next = due
        if due < _NEVER:
            self._alarm.set(due)
        else:
            self._requests.over.set()

    def _ended(self, client: int) -> None:
        """A request has ended, and left its place."""
        if not self._busy:
            if self._backlog:
                self._refill()
            if not self._requests:
                if self._next == _NEVER:
                    self._requests.over.set()
                elif self._pause:
                    self._rest_soon()

    def _refill(self) -> None:
        requests, backlog, now = self._requests, self._backlog, MONOTONIC.now_ns()
        self._busy = True
        while backlog and len(requests) < self._most:
            requests.issue(backlog.popleft(), now)
        self._busy = False

    def _rest_soon(self) -> None:
        """Once the loop has done what it has in hand."""
        if not self._resting:
            self._resting = True
            self._loop.call_soon(self._rest)

    def _rest(self) -> None:
        self._resting = False
        self._requests.rest(self._next)

"""Open loop on an event loop: an alarm goes off when a request falls due, and all that are due by
then are started in one go.

A request waits in line, with its due time, for one of `max_in_flight` places. Rows are counted when
nothing is due for a while, and if possible when nothing is in flight either: counting delays what
is issued or answered meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.errors import UnfinishedAnswer
from qs.engine.machine.alarm import new_alarm
from qs.engine.machine.collector import Collector
from qs.engine.outcome import ErrorKind
from qs.engine.record.memory import STOP, Field, Halt, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.awaited import Starter
from qs.engine.workers.in_flight import PATIENCE_NS, InFlight
from qs.engine.workers.line import Line
from qs.engine.workers.share import PlanShare
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
        share: PlanShare,
        abandoned: asyncio.Event,
    ):
        plan, self._share, self._header = share.plan, share, recorder.memory.header
        self._recorder, self._abandoned = recorder, abandoned
        self._stop = self._header.data
        self._feed = feed = self._requested(feed)
        self._most = plan.pool.max_in_flight or FOREVER_NS
        self._cap = FOREVER_NS if plan.max_backlog is None else plan.max_backlog
        self._loop = asyncio.get_running_loop()
        start = target.start or Starter(target, recorder, self._break).start
        self._requests = InFlight(start, feed, recorder, collector, share.timeout_ns, self._ended)
        self._alarm = new_alarm(self._loop, self._fall_due)
        self._dues: Iterator[int] = iter(())
        self._next = _NEVER
        self._line = Line()
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
        self._await(self._first())
        try:
            await self._requests.watch(self._more, self._tick)
        finally:
            self._alarm.close()

    def _requested(self, feed: Iterator[Any]) -> Iterator[Any]:
        """The requests of these samples, in the order in which they fall due."""
        return feed

    def _first(self) -> int:
        """When the first one does."""
        return next(self._dues, _NEVER)

    def counts(self) -> dict[str, int]:
        """What was counted beside the requests."""
        return self._line.counts()

    def _more(self) -> bool:
        return self._next < _NEVER or bool(self._line)

    def _tick(self, now: int) -> bool:
        self._on_tick()
        header = self._header
        given_up = self._abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now
        if given_up or header[Field.STOP] == Halt.NOW:
            while self._line:
                self._line.take(now)
                self._recorder.fail(ErrorKind.NOT_ISSUED, now)
        if given_up or halted(header, self._next):
            self._next = _NEVER
        return bool(given_up)

    def _break(self, fault: UnfinishedAnswer) -> None:
        self._requests.fault = fault
        self._requests.over.set()

    def _fall_due(self) -> None:
        """The alarm has gone off."""
        now = MONOTONIC.now_ns()
        due, requests, line = self._next, self._requests, self._line
        stop, most, waiting = self._stop, self._most, line.waiting
        self._busy = True
        while due <= now:
            if stop[STOP] and halted(self._header, due):
                due = _NEVER
                break
            if not waiting and len(requests) < most:
                requests.issue(due, now)
            else:
                line.add(due)
                if len(line) > self._cap + 1:  # the first has more than the cap behind it
                    self._recorder.drop(line.take(now)[0], now)
                    next(self._feed)  # its sample is nobody else's
            due = next(self._dues, _NEVER)
        self._busy = False
        self._wait(due, now)

    def _wait(self, due: int, now: int) -> None:
        """All that was due by now has been issued, or stands in line."""
        requests = self._requests
        self._await(due)
        if self._line:
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

    def _ended(self, client: int, call: Any) -> None:
        """A request has ended, and left its place."""
        if not self._busy:
            if self._line:
                self._refill()
            if not self._requests:
                if self._next == _NEVER:
                    self._requests.over.set()
                elif self._pause:
                    self._rest_soon()

    def _refill(self) -> None:
        requests, line, now = self._requests, self._line, MONOTONIC.now_ns()
        self._busy = True
        while line and len(requests) < self._most:
            due, client = line.take(now)
            requests.issue(due, now, client)
        self._busy = False

    def _rest_soon(self) -> None:
        """Once the loop has done what it has in hand."""
        if not self._resting:
            self._resting = True
            self._loop.call_soon(self._rest)

    def _rest(self) -> None:
        self._resting = False
        self._requests.rest(self._next)

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
from qs.engine.outcome import ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, Halt, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.alarm import new_alarm
from qs.engine.workers.awaited import Starter
from qs.engine.workers.in_flight import TICK_S, InFlight, passed
from qs.engine.workers.slices import COUNT_NS, PAUSE_NS, SLICE_NS, Slice
from qs.engine.workers.target import Target

# For so long rows wait to be counted with nothing in flight; after COUNT_NS they are at any time.
_PATIENCE_NS = 2 * SLICE_NS


class Arrivals:
    """The measured phase of one share. Made on the loop that runs it."""

    def __init__(
        self,
        target: Target,
        feed: Iterator[Any],
        recorder: Recorder,
        plan: RunPlan,
        abandoned: asyncio.Event,
    ):
        self._recorder, self._abandoned = recorder, abandoned
        self._header = recorder.memory.header
        self._most = plan.pool.max_in_flight or FOREVER_NS
        self._cap = FOREVER_NS if plan.max_backlog is None else plan.max_backlog
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._starter = Starter(target, recorder)
        self._requests = InFlight(
            target.start or self._starter.start,
            feed,
            recorder,
            int(plan.timeout_s * 1e9),
            self._ended,
            self._count,
        )
        self._cursor = Slice(recorder, MONOTONIC, count_ns=COUNT_NS)
        self._counted_ns = 0
        self._alarm = new_alarm(self._loop, self._fall_due)
        self._dues: Iterator[int] = iter(())
        self._next: int | None = None  # the due time that the alarm is set to; None: there is none
        self._backlog: deque[int] = deque()
        self._busy = False  # with issuing; a request may end within its own start
        self._resting = False  # a pause to count in is about to begin

    async def run(self, queue: Iterable[Iterator[int]], on_tick: Callable[[], None]) -> None:
        """Until the due times or the run have ended, and every issued request has returned or been
        given up. Raises UnfinishedAnswer.
        """
        requests, header, backlog = self._requests, self._header, self._backlog
        self._dues = chain.from_iterable(queue)
        self._count()
        try:
            self._go_on(next(self._dues, None))
            while self._next is not None or requests or backlog:
                await passed(self._over, TICK_S)
                self._raise_faults()
                now = MONOTONIC.now_ns()
                header[Field.SLICE_NS] = now
                if now > self._counted_ns + COUNT_NS or not requests:
                    self._count()
                on_tick()
                requests.sweep(now)
                given_up = self._abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now
                if given_up or header[Field.STOP] == Halt.NOW:
                    self._next = None
                    for _ in backlog:
                        self._recorder.fail(ErrorKind.NOT_ISSUED, now)
                    backlog.clear()
                elif self._next is not None and halted(header, self._next):
                    self._next = None
                if given_up:
                    break
        finally:
            self._next = None
            self._alarm.close()
            await requests.give_up()
            self._cursor.count(requests.row)
            requests.row = 0
        self._raise_faults()

    def _raise_faults(self) -> None:
        fault = self._requests.fault or self._starter.unfinished
        if fault is not None:
            raise fault

    def _fall_due(self) -> None:
        """The alarm has gone off."""
        now = MONOTONIC.now_ns()
        due, header, requests, backlog = self._next, self._header, self._requests, self._backlog
        self._busy = True
        while due is not None and due <= now:
            if header[Field.STOP] and halted(header, due):
                due = None
                break
            if len(requests) < self._most and not backlog:
                requests.issue(due)
            else:
                backlog.append(due)
                if len(backlog) > self._cap + 1:  # the first has more than the cap behind it
                    self._recorder.drop(backlog.popleft(), now)
            due = next(self._dues, None)
        self._busy = False
        self._go_on(due)
        if backlog:
            self._refill()
        if due is not None and due - now > PAUSE_NS and now > self._counted_ns + _PATIENCE_NS:
            self._rest_soon()

    def _go_on(self, due: int | None) -> None:
        """Wait for the next due time, None if there is none."""
        self._next = due
        if due is None:
            self._over.set()
        else:
            self._alarm.set(due)

    def _ended(self, client: int) -> None:
        """A request has ended, and left its place."""
        if self._busy:
            return
        if self._backlog:
            self._refill()
        if not self._requests:
            if self._next is None:
                self._over.set()
            else:
                self._rest_soon()

    def _refill(self) -> None:
        requests, backlog, most = self._requests, self._backlog, self._most
        self._busy = True
        while backlog and len(requests) < most:
            requests.issue(backlog.popleft())
        self._busy = False

    def _rest_soon(self) -> None:
        """Once the loop has done what it has in hand."""
        if not self._resting:
            self._resting = True
            self._loop.call_soon(self._rest)

    def _rest(self) -> None:
        """Count the rows if there is a pause."""
        self._resting = False
        requests, now = self._requests, MONOTONIC.now_ns()
        due = FOREVER_NS if self._next is None else self._next
        patient = bool(requests) and now < self._counted_ns + _PATIENCE_NS
        if requests.row and not patient and self._cursor.rests(requests.row, now, due):
            self._begin()

    def _count(self) -> None:
        """Count the rows now."""
        self._cursor.count(self._requests.row)
        self._begin()

    def _begin(self) -> None:
        self._requests.row = 0
        self._cursor.begin()
        self._counted_ns = MONOTONIC.now_ns()

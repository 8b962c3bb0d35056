"""The requests of one event loop that were started and have not ended: issued, swept for time-outs,
given up, and written as rows as they end.

A request is in hand from `start` until its call is handed to `done`; the target may do so within
`start`. A request that fails has a row too. Targets are not trusted: what none may do (to say that
a call is done twice, or from another thread) is kept as `fault` and ends the run with a HostError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import takewhile
from threading import get_ident
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.errors import BrokenCall, UnfinishedAnswer, is_interrupt, words
from qs.engine.machine.collector import Collector
from qs.engine.outcome import ErrorKind
from qs.engine.record.memory import Field
from qs.engine.record.parts import STAMPS
from qs.engine.record.recorder import Recorder
from qs.engine.workers.slices import COUNT_NS, SLICE_NS, Slice

# How often an event loop that runs requests looks at deadlines and at its stop flag.
TICK_S = 0.1
# How long a request that was cancelled may take to end.
STUBBORN_NS = 1_000_000_000
# For so long rows wait to be counted with nothing in flight; after COUNT_NS they are at any time.
PATIENCE_NS = 2 * SLICE_NS
# The most characters of a failure's word, and of its detail, that are kept.
_WORD, _DETAIL = 80, 2_000


class InFlight:
    """The requests in hand. `on_end(client, call)` is called when one has ended, without a call if
    none was made, and with ~client if it was given up. Made on the loop that runs them.
    """

    def __init__(
        self,
        start: Callable[[Any, Callable[[Any], None]], Any],
        feed: Iterator[Any],
        recorder: Recorder,
        collector: Collector,
        timeout_ns: int,
        on_end: Callable[[int, Any], None],
    ):
        recorder.brought = True
        self.fault: UnfinishedAnswer | None = None
        self.over = asyncio.Event()  # set it to have `watch` look whether anything is left
        self.counted_ns = 0  # when the rows were counted last
        self._start, self._feed, self._recorder = start, feed, recorder
        self._collector, self._timeout_ns, self._on_end = collector, timeout_ns, on_end
        self._cursor = Slice(recorder, MONOTONIC, count_ns=COUNT_NS)
        self._row, self._rows = 0, recorder.rows
        self._due, self._issued = recorder.due, recorder.issued
        self._completed = recorder.completed
        self._thread = get_ident()
        # By the call's identity, in order of issue: the call, due, when it was issued, the client.
        self._calls: dict[int, tuple[Any, int, int, int]] = {}
        self._late: set[int] = set()  # those of them that were cancelled for their time-out
        self._hung: dict[int, Any] = {}  # given up; kept, lest another call has the same identity
        self._starting: tuple[int, int, int] | None = None
        self._within: Any = None  # the call that was done within its own start
        self._closing = False
        self._stamps = [(column, STAMPS[name]) for name, column in recorder.stamps.items()]
        self._keep = recorder.keep

    def __len__(self) -> int:
        return len(self._calls)

    def issue(self, due: int, now: int, client: int = 0) -> None:
        """Start a request that was due at an instant."""
        self._starting = starting = due, now, client
        try:
            call = self._start(next(self._feed), self._done)
        except BaseException as fault:  # a target may raise anything
            if is_interrupt(fault):
                raise
            if self._starting is None:
                self._break("`start` raised after its call was done", fault)
            else:
                self._starting = None
                self._raised(fault, *starting)
            return
        if self._starting is None:  # it was done within
            if call is not self._within:
                self._break("`done` was given another call than `start` returned")
            self._within = None
            return
        self._starting = None
        key = id(call)
        if key in self._calls:
            self._break("`start` returned a call that is in hand already")
        elif call is None:
            self._break("`start` returned None and no call")
        else:
            self._calls[key] = call, *starting

    def _done(self, call: Any) -> None:
        """The call has ended: the target's to say, once, on the loop's thread."""
        if get_ident() != self._thread:
            self._break("`done` was called in another thread than the event loop's")
            return
        key = id(call)
        found = self._calls.pop(key, None)
        if found is not None:
            _, due, began, client = found
        elif self._hung.pop(key, None) is not None:
            return
        elif self._starting is not None:
            (due, began, client), self._starting = self._starting, None
            self._within = call
        else:
            self._break("`done` was called for a call that is not in hand: twice, or for no call")
            return
        row = self._row
        try:
            self._due[row] = due
            self._issued[row] = call.issued_ns
            self._completed[row] = call.last_ns
            for column, stamp in self._stamps:
                column[row] = getattr(call, stamp)
            failure = call.failure
            if failure is not None or self._late:
                failure = self._judge(row, key, call, failure, began)
                row -= failure is ErrorKind.NOT_ISSUED
        except Exception as fault:  # its attributes may be missing, no numbers, or raise
            self._break("its call does not bring what it must", fault)
            return
        self._row = row + 1
        if self._keep is not None:
            self._keep(call, due, failure)
        if row + 1 == self._rows or self._closing:
            self._turn()
        self._on_end(client, call)

    def _judge(self, row: int, key: int, call: Any, failure: Any, began: int) -> str | None:
        """Of a row whose request failed, or some were late. Its failure as counted; a row of one
        that was NOT_ISSUED does not stay.
        """
        recorder, now = self._recorder, MONOTONIC.now_ns()
        if key in self._late:
            self._late.discard(key)
            failure = ErrorKind.TIMEOUT
            recorder.completed[row] = now
        elif failure is None:
            return None
        elif failure is ErrorKind.NOT_ISSUED:  # the run had been stopped by then: see `Starter`
            return failure
        elif self._closing:
            failure = ErrorKind.CUT_OFF
        recorder.issued[row] = issued = min(max(recorder.issued[row], began), now)
        ended = recorder.completed[row]
        recorder.completed[row] = ended = ended if issued <= ended <= now else now
        detail = None
        if recorder.first_fault is None:
            detail = f"{failure}: {call.detail}" if call.detail else str(failure)
        word = str(failure)[:_WORD]
        recorder.fail(word, ended, detail and detail[:_DETAIL], row)
        return word

    def _raised(self, fault: BaseException, due: int, began: int, client: int) -> None:
        """Its `start` raised."""
        row, recorder, now = self._row, self._recorder, MONOTONIC.now_ns()
        recorder.due[row], recorder.issued[row], recorder.completed[row] = due, began, now
        for column, _ in self._stamps:
            column[row] = 0
        recorder.raised(fault, now, row)
        self._row = row + 1
        self._turn()
        self._on_end(client, None)

    def _turn(self) -> None:
        """A row was written; it may be the last, or that of the last request."""
        if self._row == self._recorder.rows:
            self.count()
        if self._closing and not self._calls:
            self.over.set()

    def _break(self, why: str, cause: BaseException | None = None) -> None:
        """The target does what none may: the run ends as soon as its loop looks."""
        if self.fault is None:
            more = "" if cause is None else f" ({type(cause).__name__}: {words(cause)})"
            self.fault = BrokenCall(f"a started target: {why}{more}")

    def count(self) -> None:
        """Count the rows now."""
        self._cursor.count(self._row)
        self._begin()

    def rest(self, due: int) -> None:
        """Count the rows if nothing is due for a while."""
        now = MONOTONIC.now_ns()
        patient = bool(self._calls) and now < self.counted_ns + PATIENCE_NS
        if self._row and not patient and self._cursor.rests(self._row, now, due):
            self._collector.collect(in_a_pause=True)
            self._begin()

    def _begin(self) -> None:
        self._row = 0
        self._cursor.begin()
        self.counted_ns = MONOTONIC.now_ns()

    async def watch(self, more: Callable[[], object], tick: Callable[[int], bool]) -> None:
        """Until nothing is in hand and there is no more to come, or `tick` says so: it is called
        with the time, ten times a second. What is in hand then is given up. Raises what broke.
        """
        header = self._recorder.memory.header
        try:
            while self._calls or more():
                await passed(self.over, TICK_S)
                if self.fault is not None:
                    raise self.fault
                now = MONOTONIC.now_ns()
                header[Field.SLICE_NS] = now
                if now > self.counted_ns + COUNT_NS:
                    self.count()
                    self._collector.collect(in_a_pause=False)
                self._sweep(now)
                if tick(now):
                    break
        finally:
            await self._give_up()
            self.count()
        if self.fault is not None:
            raise self.fault

    def _sweep(self, now: int) -> None:
        """Cancel what is past the time-out, and give up what would not be cancelled."""
        limit = now - self._timeout_ns
        overdue = takewhile(lambda one: one[1][2] < limit, self._calls.items())
        for key, (call, _, began, client) in list(overdue):
            if key not in self._late:
                self._late.add(key)
                self._cancel(call)
            elif began < limit - STUBBORN_NS and self._calls.pop(key, None) is not None:
                self._late.discard(key)
                self._hung[key] = call
                self._recorder.fail(ErrorKind.HUNG, now)
                self._on_end(~client, None)

    def _cancel(self, call: Any) -> None:
        try:
            call.cancel()
        except Exception as fault:
            self._break("`cancel` raised", fault)

    async def _give_up(self) -> None:
        """Cancel all that is in hand, and count as cut off what does not say that it is done."""
        self._closing = True
        for call, *_ in list(self._calls.values()):
            self._cancel(call)
        until = MONOTONIC.now_ns() + STUBBORN_NS
        while self._calls and (left_ns := until - MONOTONIC.now_ns()) > 0:
            await passed(self.over, left_ns / 1e9)
        for key, (call, *_) in self._calls.items():
            self._hung[key] = call
            self._recorder.fail(ErrorKind.CUT_OFF, MONOTONIC.now_ns())
        self._calls.clear()


async def passed(event: asyncio.Event, limit_s: float) -> None:
    """Wait until an event, for so long at most, and clear it."""
    try:
        await asyncio.wait_for(event.wait(), limit_s)
    except asyncio.TimeoutError:
        pass
    event.clear()

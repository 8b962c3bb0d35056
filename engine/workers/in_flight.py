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
from qs.engine.errors import BrokenCall, is_interrupt, words
from qs.engine.outcome import ErrorKind
from qs.engine.record.parts import STAMPS
from qs.engine.record.recorder import Recorder

# How often an event loop that runs requests looks at deadlines and at its stop flag.
TICK_S = 0.1
# How long a request that was cancelled may take to end.
STUBBORN_NS = 1_000_000_000
# The most characters of a failure's word, and of its detail, that are kept.
_WORD, _DETAIL = 80, 2_000


class InFlight:
    """The requests in hand. `on_end(client)` is called when one has ended, `on_full()` when there
    is no row left for the next: it must count the rows and set `row` to 0.
    """

    def __init__(
        self,
        start: Callable[[Any, Callable[[Any], None]], Any],
        feed: Iterator[Any],
        recorder: Recorder,
        timeout_ns: int,
        on_end: Callable[[int], None],
        on_full: Callable[[], None],
    ):
        recorder.brought = True
        self.row = 0  # rows that are written and not counted
        self.fault: BrokenCall | None = None
        self.closing = False
        self._start, self._feed, self._recorder = start, feed, recorder
        self._timeout_ns = timeout_ns
        self._on_end, self._on_full = on_end, on_full
        self._thread = get_ident()
        # By the call's identity, in order of issue: the call, due, when it was issued, the client.
        self._calls: dict[int, tuple[Any, int, int, int]] = {}
        self._late: set[int] = set()  # those of them that were cancelled for their time-out
        self._hung: dict[int, Any] = {}  # given up; kept, lest another call has the same identity
        self._starting: tuple[int, int, int] | None = None
        self._within: Any = None  # the call that was done within its own start
        self._emptied = asyncio.Event()
        self._columns = [(column, STAMPS[name]) for name, column in recorder.stamps.items()]

    def __len__(self) -> int:
        return len(self._calls)

    def issue(self, due: int, client: int = 0) -> None:
        """Start a request that was due at an instant."""
        now = MONOTONIC.now_ns()
        self._starting = starting = due, now, client
        try:
            call = self._start(next(self._feed), self.done)
        except BaseException as fault:  # a target may raise anything
            if is_interrupt(fault):
                raise
            ended, self._starting = self._starting is None, None
            if ended:
                self._break("`start` raised after the call was done", fault)
            else:
                self._raised(fault, *starting)
            return
        if self._starting is None:  # it was done within
            if call is not self._within:
                self._break("`done` was given another call than `start` returned")
            self._within = None
            return
        self._starting = None
        key = id(call)
        if key in self._calls or not hasattr(call, "cancel"):
            self._break(
                "`start` returned a call that is in hand already"
                if key in self._calls
                else f"`start` returned {type(call).__name__}, which is no call: it has no `cancel`"
            )
            return
        self._calls[key] = call, due, now, client

    def done(self, call: Any) -> None:
        """The call has ended: the target's to call, once, on the loop's thread."""
        if get_ident() != self._thread:
            self._break("`done` was called in another thread than the event loop's")
            return
        key = id(call)
        found = self._calls.pop(key, None)
        if found is not None:
            _, due, began, client = found
        elif self._starting is not None and key not in self._hung:
            (due, began, client), self._starting = self._starting, None
            self._within = call
        else:
            if self._hung.pop(key, None) is None:
                self._break("`done` was called for a call that is not in hand: twice, or never so")
            return
        row, recorder = self.row, self._recorder
        try:
            recorder.due[row] = due
            recorder.issued[row] = call.issued_ns
            recorder.completed[row] = call.last_ns
            for column, stamp in self._columns:
                column[row] = getattr(call, stamp)
            failure = call.failure
            if failure is not None or self._late:
                self._judge(row, key, call, failure, began)
        except Exception as fault:  # its attributes may be missing, no numbers, or raise
            self._break("the call does not bring what it must", fault)
            return
        self.row = row + 1
        if self.row == recorder.rows:
            self._on_full()
        if self.closing and not self._calls:
            self._emptied.set()
        self._on_end(client)

    def _judge(self, row: int, key: int, call: Any, failure: Any, began: int) -> None:
        """The row is that of a request that failed, or that was late."""
        recorder = self._recorder
        if key in self._late:
            self._late.discard(key)
            failure = ErrorKind.TIMEOUT
        elif failure is None:
            return
        elif self.closing:
            failure = ErrorKind.CUT_OFF
        if failure == ErrorKind.NOT_ISSUED:  # by then the run had been stopped: see `Starter`
            self.row -= 1
            return
        now = MONOTONIC.now_ns()
        recorder.issued[row] = issued = min(max(recorder.issued[row], began), now)
        ended = recorder.completed[row] if failure != ErrorKind.TIMEOUT else now
        recorder.completed[row] = ended = ended if issued <= ended <= now else now
        detail = None
        if recorder.first_fault is None:
            detail = f"{failure}: {call.detail}" if call.detail else str(failure)
        recorder.fail(str(failure)[:_WORD], ended, detail and detail[:_DETAIL], row)

    def _raised(self, fault: BaseException, due: int, began: int, client: int) -> None:
        """Its `start` raised."""
        row, recorder, now = self.row, self._recorder, MONOTONIC.now_ns()
        recorder.due[row], recorder.issued[row], recorder.completed[row] = due, began, now
        for column, _ in self._columns:
            column[row] = 0
        recorder.raised(fault, now, row)
        self.row = row + 1
        if self.row == recorder.rows:
            self._on_full()
        self._on_end(client)

    def _break(self, why: str, cause: BaseException | None = None) -> None:
        """The target does what none may: the run ends as soon as its loop looks."""
        if self.fault is None:
            more = "" if cause is None else f" ({type(cause).__name__}: {words(cause)})"
            self.fault = BrokenCall(f"a started target: {why}{more}")

    def sweep(self, now: int) -> None:
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
                self._on_end(~client)

    def _cancel(self, call: Any) -> None:
        try:
            call.cancel()
        except Exception as fault:
            self._break("`cancel` raised", fault)

    async def give_up(self) -> None:
        """Cancel all that is in hand, and count as cut off what does not answer with an end."""
        self.closing = True
        for call, *_ in list(self._calls.values()):
            self._cancel(call)
        if self._calls:
            await passed(self._emptied, STUBBORN_NS / 1e9)
        for call, *_ in self._calls.values():
            self._hung[id(call)] = call
            self._recorder.fail(ErrorKind.CUT_OFF, MONOTONIC.now_ns())
        self._calls.clear()


async def passed(event: asyncio.Event, limit_s: float) -> None:
    """Wait until an event, for so long at most, and clear it."""
    try:
        await asyncio.wait_for(event.wait(), limit_s)
    except asyncio.TimeoutError:
        pass
    event.clear()

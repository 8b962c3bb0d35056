"""The end of a slice, the same for every loop: rows are counted, and the loop goes on or ends.

A loop writes its rows itself and tests `end >= slice_end or row == rows` for every request. What
follows that test, about every 50 ms, is here and in the path of no request.
"""

from __future__ import annotations

from qs.engine.clock import FOREVER_NS, Clock
from qs.engine.errors import is_interrupt
from qs.engine.record.memory import Field, Halt, halted
from qs.engine.record.recorder import Recorder

SLICE_NS = 50_000_000
# The end of a worker's first slice: it is one request, so that what the target returns is looked at
# before many are made.
AT_ONCE = 0
# Counting takes some tenths of a millisecond where the caches have gone cold. Requests that fall
# due meanwhile are late, and a worker that is behind makes everybody in line wait for it. So an
# open loop counts in pauses: within a slice in a long one, since there is time and a watcher sees
# the rows sooner, after a slice in the first that is long enough, and without any after a few
# slices.
QUIET_NS = 5_000_000
PAUSE_NS = 500_000
COUNT_NS = 5 * SLICE_NS


class Slice:
    """The rows that one loop has written since the last count.

    The loop keeps the number of rows and the end of the slice in local variables, which the methods
    take and return.
    """

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        *,
        until_ns: int = FOREVER_NS,
        count_ns: int = SLICE_NS,
    ):
        """No slice goes on after `until_ns`; rows are counted at the first end of a slice that lies
        `count_ns` or more after the last count.
        """
        self._recorder = recorder
        self._header = recorder.memory.header
        self._now_ns = clock.now_ns
        self._until_ns = until_ns
        self._count_ns = count_ns
        self._began_ns = self._count_by_ns = 0

    def begin(self, due_ns: int | None = None) -> int:
        """Begin with the first row, after a pause until `due_ns` if given; returns the slice's
        end.
        """
        now = self._began_ns = self._now_ns()
        self._recorder.begin(now)
        first = now if due_ns is None else due_ns
        self._count_by_ns = first + self._count_ns
        return min(first + SLICE_NS, self._until_ns)

    def count(self, rows: int) -> None:
        """Count the rows: the slice is over."""
        self._recorder.flush(rows)

    def turn(self, rows: int) -> int:
        """Count the rows and begin again; returns the slice's end."""
        self._recorder.flush(rows)
        return self.begin()

    def end(self, rows: int, now_ns: int) -> int:
        """At the end of a slice: count the rows if it is time. Returns how many stay uncounted."""
        if rows < self._recorder.rows and now_ns < self._count_by_ns:
            return rows
        self._recorder.flush(rows)
        return 0

    def go_on(self, rows: int) -> int:
        """After `end`: begin the next slice behind these rows; returns its end."""
        if not rows:
            return self.begin()
        now = self._now_ns()
        self._header[Field.SLICE_NS] = now
        return now + SLICE_NS

    def rests(self, rows: int, now_ns: int, due_ns: int) -> bool:
        """Whether the pause until the next due time is long enough to count; the rows are counted
        then.
        """
        within = now_ns < self._began_ns + SLICE_NS
        if due_ns - now_ns <= (QUIET_NS if within else PAUSE_NS):
            return False
        self._recorder.flush(rows)
        return True

    def halted(self, due_ns: int, now_ns: int) -> bool:
        """Whether an open loop that has got as far as this due time issues nothing more."""
        drained = 0 < self._header[Field.DRAIN_NS] < now_ns
        return bool(drained) or halted(self._header, due_ns)

    def fail(self, rows: int, fault: BaseException, slice_end: int, requests: int = 1) -> int:
        """Count the requests of the rows from `rows` on as failed: a target may raise anything,
        SystemExit included.

        Returns the slice's end: now, if the run has been stopped, as this failure may have done.
        Raises an interrupt of the user again, after the rows before were counted.
        """
        if is_interrupt(fault):
            self._recorder.flush(rows)
            raise fault
        for row in range(rows, rows + requests):
            self._recorder.raised(fault, self._now_ns(), row)
        return AT_ONCE if self._header[Field.STOP] == Halt.NOW else slice_end

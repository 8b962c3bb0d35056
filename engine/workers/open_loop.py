"""The open-loop hot path: a worker that paces itself.

An idle worker takes the next due time, waits until it, and issues; if that instant has passed it
issues at once and keeps the due time. That is a FIFO queue before as many servers as there are
workers, and response time (completed - due) contains the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from qs.engine.clock import Clock
from qs.engine.errors import is_interrupt
from qs.engine.record.memory import Field, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.closed_loop import SLICE_NS
from qs.engine.workers.queue import DueTimes

# Before a wait of at least this long the rows so far are counted: there is time, and a watcher sees
# them sooner.
QUIET_NS = 5_000_000
# Counting takes some tenths of a millisecond where the caches have gone cold. What falls due
# meanwhile is late, and to a worker that is behind it is lost service time, which all requests in
# line wait for. So from the end of a slice on it is done in the first pause that is long enough,
# and without one only after a few slices.
PAUSE_NS = 500_000
COUNT_NS = 5 * SLICE_NS


def open_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    queue: Iterable[DueTimes],
    wait: Callable[[int], int],
) -> Iterator[None]:
    """Issue requests as they fall due until the queue ends, the stop flag is set, or the drain
    limit has passed.
    """
    now_ns = clock.now_ns
    header = recorder.memory.header
    dues, issued, completed = recorder.due, recorder.issued, recorder.completed
    rows = recorder.rows
    take = feed.__next__
    row = 0
    failed: list[int] = []
    began = now_ns()
    recorder.begin(began)
    slice_end, count_by = began + SLICE_NS, began + COUNT_NS
    for block in queue:
        for due in block:
            start = now_ns()
            if start < due:
                if row and due - start > (QUIET_NS if start < began + SLICE_NS else PAUSE_NS):
                    recorder.flush(row, failed)
                    row, failed = 0, []
                    yield
                    began = now_ns()
                    recorder.begin(began)
                    slice_end, count_by = due + SLICE_NS, due + COUNT_NS
                start = wait(due)
                if start < due:
                    recorder.flush(row, failed)
                    return
            try:
                call(take())
            # a target may raise anything, SystemExit included: it is one failed request
            except BaseException as fault:
                if is_interrupt(fault):
                    recorder.flush(row, failed)
                    raise
                recorder.raised(fault, now_ns())
                failed.append(row)
                due = (
                    -due
                )  # so that whoever reads the rows of a lost worker knows this one for a failure
            end = now_ns()
            dues[row] = due
            issued[row] = start
            completed[row] = end
            row += 1
            if end >= slice_end or row == rows:
                counted = row == rows or end >= count_by
                if counted:
                    recorder.flush(row, failed)
                    row, failed = 0, []
                yield
                if halted(header, abs(due)) or 0 < header[Field.DRAIN_NS] < end:
                    if not counted:
                        recorder.flush(row, failed)
                    return
                now = now_ns()
                slice_end = now + SLICE_NS
                if counted:
                    began, count_by = now, now + COUNT_NS
                    recorder.begin(now)
                else:
                    header[Field.SLICE_NS] = now
    recorder.flush(row, failed)
    yield

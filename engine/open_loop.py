"""The open-loop hot path: a worker that paces itself.

An idle worker takes the next due time, waits until it, and issues; if that instant has passed it issues at once and keeps the due
time. That is a FIFO queue before as many servers as there are workers, and response time (completed - due) contains the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from engine.clock import Clock
from engine.closed_loop import SLICE_NS
from engine.faults import is_interrupt
from engine.memory import Field, halted
from engine.queue import DueTimes
from engine.recorder import Recorder

# Before a wait of at least this long the rows so far are counted: there is time, and a watcher sees them sooner.
QUIET_NS = 5_000_000


def open_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    queue: Iterable[DueTimes],
    wait: Callable[[int], int],
) -> Iterator[None]:
    """Issue requests as they fall due until the queue ends, the stop flag is set, or the drain limit has passed."""
    now_ns = clock.now_ns
    header = recorder.memory.header
    dues, issued, completed = recorder.due, recorder.issued, recorder.completed
    rows = recorder.rows
    take = feed.__next__
    row = 0
    failed: list[int] = []
    recorder.begin(now_ns())
    slice_end = now_ns() + SLICE_NS
    for block in queue:
        for due in block:
            start = now_ns()
            if start < due:
                if row and due - start > QUIET_NS:
                    recorder.flush(row, failed)
                    row, failed = 0, []
                    yield
                    start = now_ns()
                    recorder.begin(start)
                    slice_end = due + SLICE_NS
                start = wait(due)
                if start < due:
                    recorder.flush(row, failed)
                    return
            try:
                call(take())
            except BaseException as fault:  # a target may raise anything, SystemExit included: it is one failed request
                if is_interrupt(fault):
                    recorder.flush(row, failed)
                    raise
                recorder.raised(fault, now_ns())
                failed.append(row)
                due = -due  # so that whoever reads the rows of a lost worker knows this one for a failure
            end = now_ns()
            dues[row] = due
            issued[row] = start
            completed[row] = end
            row += 1
            if end >= slice_end or row == rows:
                recorder.flush(row, failed)
                row, failed = 0, []
                yield
                if halted(header, abs(due)) or 0 < header[Field.DRAIN_NS] < end:
                    return
                began = now_ns()
                recorder.begin(began)
                slice_end = began + SLICE_NS
    recorder.flush(row, failed)
    yield

"""The open-loop hot path: a worker that paces itself.

An idle worker takes the next due time, waits until it, and issues; if that instant has passed it
issues at once and keeps the due time. That is a FIFO queue before as many servers as there are
workers, and response time (completed - due) contains the wait.

There are two loops, for making bursts costs what a worker that shares its schedule cannot gain: it
takes one due time at a time, and a burst of one request is dearer than a plain call.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from qs.engine.clock import Clock
from qs.engine.record.recorder import Recorder
from qs.engine.workers.answers import UNANSWERED, look
from qs.engine.workers.closed_loop import NEVER, chunk_of
from qs.engine.workers.queue import DueTimes
from qs.engine.workers.slices import AT_ONCE, COUNT_NS, PAUSE_NS, SLICE_NS, Slice


def open_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    queue: Iterable[DueTimes],
    wait: Callable[[int], int],
    look: Callable[[Any], None] = look,
) -> Iterator[None]:
    """Issue requests as they fall due until the queue ends, the run is stopped, or the drain limit
    has passed. Yields after slices.
    """
    now_ns = clock.now_ns
    dues, issued, completed = recorder.due, recorder.issued, recorder.completed
    rows = recorder.rows
    take = feed.__next__
    answer: Any = UNANSWERED
    cursor = Slice(recorder, clock, count_ns=COUNT_NS)
    row = 0
    cursor.begin()
    slice_end = AT_ONCE
    for block in queue:
        for due in block:
            start = now_ns()
            if start < due:
                if row and due - start > PAUSE_NS and cursor.rests(row, start, due):
                    row = 0
                    look(answer)
                    yield
                    slice_end = cursor.begin(due)
                start = wait(due)
                if start < due:
                    cursor.count(row)
                    return
            try:
                answer = call(take())
            except BaseException as fault:
                slice_end = cursor.fail(row, fault, slice_end)
            end = now_ns()
            dues[row] = due
            issued[row] = start
            completed[row] = end
            row += 1
            if end >= slice_end or row == rows:
                row = cursor.end(row, end)
                look(answer)
                yield
                if cursor.halted(due, end):
                    cursor.count(row)
                    return
                slice_end = cursor.go_on(row)
    cursor.count(row)
    look(answer)
    yield


def burst_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    blocks: Iterable[np.ndarray],
    wait: Callable[[int], int],
    look: Callable[[Any], None] = look,
) -> Iterator[None]:
    """`open_loop` of a worker that has the schedule (blocks of absolute ns) for itself.

    Nobody else takes from it, so a worker that is behind can see how many requests are due by now,
    and issue those one after the other as the closed loop does, with no step of bytecode around the
    target.
    """
    now_ns = clock.now_ns
    dues, rows = recorder.memory.due, recorder.rows
    issued, completed = recorder.issued, recorder.completed
    reads = iter(now_ns, NEVER)
    calls = map(call, feed)
    cursor = Slice(recorder, clock, count_ns=COUNT_NS)
    row, chunk = 0, 1
    answer: Any = UNANSWERED
    cursor.begin()
    slice_end = AT_ONCE
    for block in blocks:
        instants = block.tolist()
        at, size = 0, len(instants)
        while at < size:
            start, due = now_ns(), instants[at]
            if start < due:
                if row and due - start > PAUSE_NS and cursor.rests(row, start, due):
                    row = 0
                    look(answer)
                    yield
                    slice_end = cursor.begin(due)
                if wait(due) < due:
                    cursor.count(row)
                    return
                last = at + 1
            else:
                last = bisect_right(instants, start, at, min(at + min(chunk, rows - row), size))
            first, end_row = row, row + last - at
            dues[first:end_row] = block[at:last]
            row -= 1
            fault: BaseException | None = None
            began = now_ns()
            try:
                for row, issued[row], answer, completed[row] in zip(  # noqa: B007
                    range(first, end_row), reads, calls, reads
                ):
                    pass
                if row + 1 < end_row:
                    # map and zip take a StopIteration of the target for the end of their input.
                    fault = StopIteration("raised by the target")
            except BaseException as raised:
                fault = raised
            row += 1
            if fault is not None:
                slice_end = cursor.fail(row, fault, slice_end)
                issued[row] = completed[row - 1] if row > first else began
                completed[row] = now_ns()
                row += 1
            end = completed[row - 1]
            at += row - first
            chunk = chunk_of(end - began, row - first, SLICE_NS)
            if end >= slice_end or row == rows:
                row = cursor.end(row, end)
                look(answer)
                yield
                if cursor.halted(instants[at - 1], end):
                    cursor.count(row)
                    return
                slice_end = cursor.go_on(row)
    cursor.count(row)
    look(answer)
    yield

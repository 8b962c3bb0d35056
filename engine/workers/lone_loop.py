"""The open-loop hot path of a worker that has the schedule for itself: what is late already is
issued in bursts.

As `open_loop`, and with the same results. But nobody else takes from this schedule, so a worker
that is behind can see how many requests are due by now, and issue those one after the other as the
closed loop does, with no step of bytecode around the target.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from qs.engine.clock import Clock
from qs.engine.errors import is_interrupt
from qs.engine.record.memory import Field, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.closed_loop import NEVER, SLICE_NS, chunk_of
from qs.engine.workers.open_loop import COUNT_NS, PAUSE_NS, QUIET_NS


def lone_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    blocks: Iterable[np.ndarray],
    wait: Callable[[int], int],
) -> Iterator[None]:
    """Issue requests as they fall due until the blocks (absolute ns) end, the stop flag is set, or
    the drain limit has passed.
    """
    now_ns = clock.now_ns
    header, dues = recorder.memory.header, recorder.memory.due
    issued, completed, rows = recorder.issued, recorder.completed, recorder.rows
    reads = iter(now_ns, NEVER)
    calls = map(call, feed)
    row, chunk = 0, 1
    failed: list[int] = []
    began = now_ns()
    recorder.begin(began)
    slice_end, count_by = began + SLICE_NS, began + COUNT_NS
    for block in blocks:
        instants = block.tolist()
        at, size = 0, len(instants)
        while at < size:
            start, due = now_ns(), instants[at]
            if start < due:
                if row and due - start > (QUIET_NS if start < began + SLICE_NS else PAUSE_NS):
                    recorder.flush(row, failed)
                    row, failed = 0, []
                    yield
                    began = now_ns()
                    recorder.begin(began)
                    slice_end, count_by = due + SLICE_NS, due + COUNT_NS
                if wait(due) < due:
                    recorder.flush(row, failed)
                    return
                last = at + 1
            else:
                last = bisect_right(instants, start, at, min(at + min(chunk, rows - row), size))
            first, end_row = row, row + last - at
            dues[first:end_row] = block[at:last]
            row -= 1
            fault: BaseException | None = None
            spent = now_ns()
            try:
                for row, issued[row], _, completed[row] in zip(  # noqa: B007
                    range(first, end_row), reads, calls, reads
                ):
                    pass
                if row + 1 < end_row:
                    # The target raised StopIteration, which map and zip take for the end of their
                    # input.
                    fault = StopIteration("raised by the target")
            # a target may raise anything, SystemExit included: it is one failed request
            except BaseException as raised:
                if is_interrupt(raised):
                    recorder.flush(row + 1, failed)
                    raise
                fault = raised
            row += 1
            if fault is not None:
                end = now_ns()
                recorder.raised(fault, end)
                failed.append(row)
                dues[row] = -dues[
                    row
                ]  # so that whoever reads the rows of a lost worker knows this one for a failure
                issued[row] = completed[row] = end
                row += 1
            end = completed[row - 1]
            at += row - first
            chunk = chunk_of(end - spent, row - first, SLICE_NS)
            if end >= slice_end or row == rows:
                counted = row == rows or end >= count_by
                if counted:
                    recorder.flush(row, failed)
                    row, failed = 0, []
                yield
                if halted(header, instants[at - 1]) or 0 < header[Field.DRAIN_NS] < end:
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

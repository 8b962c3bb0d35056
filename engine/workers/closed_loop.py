"""The closed-loop hot path: one client, driven in slices inside the thread it is pinned to.

`zip` reads the clock, calls the target and reads the clock again without a step of bytecode in
between, so the loop around the target costs about as much as the plainest one that could be
written, and stores two stamps in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qs.engine.clock import FOREVER_NS, Clock
from qs.engine.errors import is_interrupt
from qs.engine.record.memory import Field
from qs.engine.record.recorder import Recorder
from qs.engine.workers.answers import UNANSWERED, look
from qs.engine.workers.pacing import waiter
from qs.engine.workers.slices import Slice

NEVER = -1  # what no clock reads
_LOOK_NS = 1_000_000
_CHUNK = 512


def closed_loop(
    call: Callable[[Any], Any],
    feed: Iterator[Any],
    recorder: Recorder,
    clock: Clock,
    iterations: int | None,
    until_ns: int = FOREVER_NS,
    think_ns: int = 0,
    look: Callable[[Any], None] = look,
) -> Iterator[None]:
    """Call the target with sample after sample of an endless `feed` until `iterations`, `until_ns`
    or the stop flag. Yields after every slice, and a slice ends with its first failed request. The
    first slice is one request, so that its answer is looked at before many are made.
    """
    now_ns = clock.now_ns
    header = recorder.memory.header
    issued, completed = recorder.issued, recorder.completed
    think = waiter(clock, header, spin=False)
    reads = iter(now_ns, NEVER)  # reads the clock at every step
    calls = map(call, feed)
    cursor = Slice(recorder, clock, until_ns=until_ns)
    left = FOREVER_NS if iterations is None else iterations
    most = 1
    while left > 0 and not header[Field.STOP]:
        began = now_ns()
        if began >= until_ns:
            return
        slice_end = cursor.begin()
        if think_ns:
            began = think(min(began + think_ns, until_ns))
            if began >= until_ns or header[Field.STOP]:
                cursor.count(0)
                return
            slice_end = began  # one request, then the next pause
        rows = min(left, most)
        most = recorder.rows
        row = first = 0
        chunk = 1
        answer: Any = UNANSWERED
        fault: BaseException | None = None
        try:
            while first < rows:
                row = first - 1
                last = min(first + chunk, rows)
                # The stamps go straight from the tuple that zip makes into the columns.
                for row, issued[row], answer, completed[row] in zip(  # noqa: B007
                    range(first, last), reads, calls, reads
                ):
                    pass
                if row + 1 < last:
                    # map and zip take a StopIteration of the target for the end of their input.
                    fault = StopIteration("raised by the target")
                    break
                first = last
                end = completed[row]
                if end >= slice_end:
                    break
                chunk = chunk_of(end - began, first, until_ns - end)
        except BaseException as raised:  # a target may raise anything, SystemExit included
            fault = raised
        done = row + 1
        if fault is not None and not is_interrupt(fault):
            # it was issued as soon as the one before had returned
            issued[done] = completed[row] if row >= 0 else began
            completed[done] = now_ns()
            recorder.raised(fault, completed[done], done)
            done += 1
        cursor.count(done)
        left -= done
        if fault is not None and is_interrupt(fault):
            raise fault
        look(answer)
        yield


def chunk_of(spent_ns: int, done: int, left_ns: int) -> int:
    """How many requests to make before the clock is looked at again: about a millisecond of them,
    one where the end is near.
    """
    if left_ns < 2 * _LOOK_NS:
        return 1
    return min(max(_LOOK_NS * done // max(spent_ns, 1), 1), _CHUNK)

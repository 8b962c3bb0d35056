"""The end of a slice: when rows are counted, and whether a loop goes on."""

from __future__ import annotations

import pytest

from qs.engine.record.memory import Field, Halt, Outcome, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.workers.slices import COUNT_NS, PAUSE_NS, QUIET_NS, SLICE_NS, Slice
from tests.fakes import S, VirtualClock

ROWS = 8


def cursor(**options) -> tuple[Slice, Recorder, VirtualClock]:
    clock = VirtualClock()
    recorder = Recorder(local_memory(1, ROWS)[0], interval_ns=S, timeout_ns=60 * S, open_loop=True)
    recorder.memory.header[Field.START_NS] = clock.now_ns()
    return Slice(recorder, clock, **options), recorder, clock


def answer(recorder: Recorder, clock: VirtualClock, row: int) -> None:
    recorder.due[row] = recorder.issued[row] = recorder.completed[row] = clock.now_ns()


@pytest.mark.parametrize(
    ("after_ns", "rows", "left"),
    [(0, ROWS, 0), (0, 3, 3), (COUNT_NS - 1, 3, 3), (COUNT_NS, 3, 0)],
)
def test_rows_are_counted_when_the_columns_are_full_or_it_is_time(after_ns, rows, left):
    one, recorder, clock = cursor(count_ns=COUNT_NS)
    assert one.begin() == clock.now_ns() + SLICE_NS
    for row in range(rows):
        answer(recorder, clock, row)
    assert one.end(rows, clock.now_ns() + after_ns) == left
    assert recorder.memory.header[Field.COMPLETED] == (0 if left else rows)


def test_what_was_not_counted_is_counted_later():
    one, recorder, clock = cursor(count_ns=COUNT_NS)
    one.begin()
    answer(recorder, clock, 0)
    row = one.end(1, clock.now_ns())
    clock.sleep_ns(SLICE_NS)
    assert one.go_on(row) == clock.now_ns() + SLICE_NS
    assert recorder.memory.header[Field.SLICE_NS] == clock.now_ns()
    answer(recorder, clock, row)
    one.count(row + 1)
    assert recorder.memory.header[Field.COMPLETED] == 2


@pytest.mark.parametrize(
    ("late_ns", "pause_ns", "rests"),
    [
        (0, QUIET_NS, False),
        (0, QUIET_NS + 1, True),
        (SLICE_NS, PAUSE_NS, False),
        (SLICE_NS, PAUSE_NS + 1, True),
    ],
)
def test_a_pause_must_be_longer_within_a_slice_than_after_it(late_ns, pause_ns, rests):
    one, recorder, clock = cursor(count_ns=COUNT_NS)
    one.begin()
    answer(recorder, clock, 0)
    now = clock.now_ns() + late_ns
    assert one.rests(1, now, now + pause_ns) is rests
    assert recorder.memory.header[Field.COMPLETED] == rests


def test_a_slice_ends_with_its_phase():
    until = VirtualClock().now_ns() + SLICE_NS // 2
    one, _, _ = cursor(until_ns=until)
    assert one.begin() == until


@pytest.mark.parametrize(
    ("cells", "halted"),
    [
        ({}, False),
        ({Field.STOP: Halt.NOW}, True),
        ({Field.STOP: Halt.DRAIN, Field.UNTIL_NS: 10}, True),
        ({Field.STOP: Halt.DRAIN, Field.UNTIL_NS: 11}, False),
        ({Field.DRAIN_NS: 19}, True),
        ({Field.DRAIN_NS: 20}, False),
    ],
)
def test_a_loop_goes_on_until_it_is_stopped_or_drained(cells, halted):
    one, recorder, _ = cursor()
    for cell, value in cells.items():
        recorder.memory.header[cell] = value
    assert one.halted(due_ns=10, now_ns=20) is halted


def test_a_failed_row_is_marked_for_as_long_as_its_slice_lasts():
    one, recorder, clock = cursor()
    one.begin()
    one.fail(1, ValueError("as asked"), 0, requests=2)
    for row in range(4):
        answer(recorder, clock, row)
    failed = [outcome == Outcome.FAILED for outcome in recorder.memory.outcome[:4]]
    assert failed == [False, True, True, False]
    one.turn(4)
    header = recorder.memory.header
    assert (header[Field.COMPLETED], header[Field.FAILED]) == (2, 2)
    assert dict(recorder.errors) == {"ValueError": 2}
    assert not recorder.memory.outcome.any()

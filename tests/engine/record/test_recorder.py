"""Recorders: what a slice's columns become. Merged recorders hold what one would have held;
intervals sum to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.engine.conduct.assembling import histogram_of, merged
from qs.engine.conduct.losses import rescue
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.record.memory import Field, Phase, local_memory
from qs.engine.record.recorder import Recorder
from tests.fakes import MS, S

START = 10**15
ROWS = 64
TIMEOUT = 400 * MS
OUTCOMES = ("good", "raised")


@dataclass(frozen=True)
class Request:
    """One request: when due and issued after the start, how long it took, and what came of it."""

    due: int
    issued: int
    took: int
    outcome: str = "good"

    @property
    def completed(self) -> int:
        return self.issued + self.took

    @property
    def counted(self) -> bool:
        return self.outcome == "good" and self.took <= TIMEOUT


def recorder(open_loop: bool = True, interval_ns: int = S) -> Recorder:
    one = Recorder(
        local_memory(1, ROWS)[0],
        interval_ns=interval_ns,
        timeout_ns=TIMEOUT,
        open_loop=open_loop,
    )
    one.memory.header[Field.START_NS] = START
    return one


def record(one: Recorder, requests: list[Request], slices: list[int] = ()) -> Recorder:
    """Do what a loop does: rows in the order of completion, flushed where the slices say and when
    the columns are full.
    """
    row = 0
    one.begin(START)
    for number, request in enumerate(requests):
        one.due[row] = START + request.due
        one.issued[row] = START + request.issued
        one.completed[row] = START + request.completed
        if request.outcome == "raised":
            one.fail("RuntimeError", START + request.completed, row=row)
        row += 1
        if row == ROWS or number in slices:
            one.flush(row)
            row = 0
            one.begin(START + request.completed)
    one.flush(row)
    one.finish()
    return one


def histograms(recorders: list[Recorder], open_loop: bool = True) -> list[tuple]:
    found = merged([one.memory for one in recorders], open_loop)
    return [
        (h.counts.tobytes(), h.count, h.min_ns, h.max_ns, h.sum_ns, h.out_of_range) for h in found
    ]


@st.composite
def requests(draw, most: int = 150) -> list[Request]:
    """Requests of one worker, in turn, over a few seconds."""
    made, free = [], 0
    for _ in range(draw(st.integers(0, most))):
        due = free + draw(st.integers(-200, 200)) * MS
        issued = max(due, free) + draw(st.integers(0, 3 * MS))
        took = draw(st.sampled_from([0, 1, 900, 3 * MS, 70 * MS, TIMEOUT, TIMEOUT + 1, 2_500 * MS]))
        made.append(
            Request(max(due, 0), issued, took, draw(st.sampled_from([*OUTCOMES[:1] * 6, "raised"])))
        )
        free = issued + took
    return made


def expected(counted: list[Request], open_loop: bool) -> list[tuple]:
    values = [
        [r.completed - (r.due if open_loop else r.issued) for r in counted],
        [r.took for r in counted],
        [max(r.issued - r.due, 0) for r in counted] if open_loop else [],
    ]
    found = []
    for column in values:
        h = Histogram()
        h.record(np.array(column, np.int64))
        found.append((h.counts.tobytes(), h.count, h.min_ns, h.max_ns, h.sum_ns, h.out_of_range))
    return found


@given(requests(), st.lists(st.integers(0, 150), max_size=10), st.booleans())
@settings(max_examples=12)
def test_histograms_are_those_of_the_counted_requests(made, slices, open_loop):
    one = record(recorder(open_loop), made, slices)
    counted = [request for request in made if request.counted]
    assert histograms([one], open_loop) == expected(counted, open_loop)
    header = one.memory.header
    assert header[Field.COMPLETED] == len(counted)
    assert header[Field.FAILED] == len(made) - len(counted)
    assert dict(one.errors) == {
        kind: count
        for kind, count in (
            ("RuntimeError", sum(r.outcome == "raised" for r in made)),
            ("timeout", sum(r.outcome == "good" and r.took > TIMEOUT for r in made)),
        )
        if count
    }
    assert header[Field.LAST_COMPLETED_NS] == max([START + r.completed for r in counted], default=0)


@given(st.lists(requests(60), min_size=1, max_size=4))
@settings(max_examples=8)
def test_several_recorders_merged_are_one(parts):
    several = [record(recorder(), part) for part in parts]
    flat = [request for part in parts for request in part if request.counted]
    assert histograms(several) == expected(flat, True)


@given(
    requests(), st.lists(st.integers(0, 150), max_size=10), st.sampled_from([S, S // 10, 3 * MS])
)
@settings(max_examples=12)
def test_every_request_is_in_the_interval_in_which_it_completed(made, slices, interval_ns):
    one = record(recorder(interval_ns=interval_ns), made, slices)
    good, failed = {}, {}
    for request in made:
        where = good if request.counted else failed
        number = request.completed // interval_ns
        where[number] = where.get(number, 0) + 1
    numbers = [interval.number for interval in one.closed]
    assert numbers == sorted(set(numbers))
    assert {i.number: int(i.counts.sum()) for i in one.closed if i.counts.sum()} == good
    assert {i.number: i.failed for i in one.closed if i.failed} == failed
    whole = Histogram()
    for interval in one.closed:
        whole.counts[interval.index] += interval.counts
    assert np.array_equal(
        whole.counts, histogram_of(one.memory, Field.RESPONSE, one.memory.response).counts
    )


@given(requests(), st.sampled_from([S, S // 10]))
@settings(max_examples=8)
def test_arrivals_are_counted_by_due_time(made, interval_ns):
    one = record(recorder(interval_ns=interval_ns), made)
    arrived = (
        np.bincount([r.due // interval_ns for r in made], minlength=one.arrivals.size)
        if made
        else one.arrivals
    )
    assert np.array_equal(one.arrivals, arrived)


def test_failures_late_in_a_slice_do_not_move_what_completed_before_them():
    """A timeout that ends 30 s after the slice began took the slice's good requests into its own
    interval.
    """
    one = recorder()
    record(
        one,
        [
            Request(0, 0, 5 * MS),
            Request(6 * MS, 6 * MS, 30 * S),
            Request(7 * MS, 30 * S + 7 * MS, MS, "raised"),
        ],
    )
    assert [(i.number, int(i.counts.sum()), i.failed) for i in one.closed] == [
        (0, 1, 0),
        (30, 0, 2),
    ]


def test_a_timeout_is_what_took_longer_not_what_took_as_long():
    one = record(recorder(), [Request(0, 0, TIMEOUT), Request(S, S, TIMEOUT + 1)])
    assert dict(one.errors) == {"timeout": 1}
    assert one.memory.header[Field.COMPLETED] == 1


def test_a_failed_row_is_nowhere_but_in_the_errors():
    one = record(recorder(), [Request(0, 0, 7 * MS, "raised"), Request(9 * MS, 9 * MS, 2 * MS)])
    assert [entry[1] for entry in histograms([one])] == [1, 1, 1]
    assert [entry[3] for entry in histograms([one])] == [2 * MS, 2 * MS, 0]


def test_lateness_is_never_negative_and_response_contains_it():
    one = record(recorder(), [Request(10 * MS, 4 * MS, MS), Request(10 * MS, 14 * MS, MS)])
    response, service, lateness = merged([one.memory], True)
    assert (lateness.min_ns, lateness.max_ns) == (0, 4 * MS)
    assert response.max_ns == 5 * MS
    assert service.max_ns == MS


def test_first_fault_is_kept():
    one = recorder()
    one.fail("ValueError", START, "first")
    one.fail("ValueError", START, "second")
    assert one.first_fault == "first"


@pytest.mark.parametrize("scale", [1, 4])
def test_interval_rows_sum_to_the_whole_and_know_what_is_in_flight(scale):
    """Ten due a second, one answered every 200 ms: the line grows by five a second, then is worked
    off.
    """
    made = [Request(k * 100 * MS, k * 200 * MS, 200 * MS) for k in range(40)]
    one = record(recorder(), made)
    log = IntervalLog(1.0)
    log.add([(0, interval) for interval in one.closed])
    for _ in range({1: 0, 4: 2}[scale]):
        log._coarsen()
    rows = log.rows(np.trim_zeros(one.arrivals, "b"), 8.0, lost=False)
    assert sum(row.completed for row in rows) == 40
    assert sum(row.histogram().count for row in rows) == 40
    assert [row.length_s for row in rows[:-1]] == [scale] * (len(rows) - 1)
    if scale == 1:
        assert [row.in_flight for row in rows] == [6, 11, 16, 21, 16, 11, 6, 1, 0]
    assert rows[-1].in_flight == 0


def test_an_interval_without_requests_is_a_row():
    one = record(recorder(), [Request(0, 0, MS), Request(3 * S, 3 * S, MS)])
    log = IntervalLog(1.0)
    log.add([(0, interval) for interval in one.closed])
    rows = log.rows(one.arrivals, 3.001, lost=False)
    assert [(row.start_s, row.completed, row.p50_ns is None) for row in rows] == [
        (0, 1, False),
        (1, 0, True),
        (2, 0, True),
        (3, 1, False),
    ]


def test_many_intervals_are_merged_not_kept():
    log = IntervalLog(0.001, limit=100)
    one = recorder(interval_ns=MS)
    record(one, [Request(k * 2 * MS, k * 2 * MS, 0) for k in range(500)])
    log.add([(0, interval) for interval in one.closed])
    rows = log.rows(one.arrivals, 1.0, lost=False)
    assert sum(row.completed for row in rows) == 500
    assert len(log._found) <= 100


@pytest.mark.parametrize("open_loop", [True, False])
def test_what_a_lost_worker_had_not_counted_is_counted_for_it(open_loop):
    """A slice counted, a slice begun: two answers, one that came too late, and, in open loop, one
    that raised and was counted then.
    """
    one = recorder(open_loop)
    header = one.memory.header
    header[Field.PHASE] = Phase.MEASURE
    one.begin(START)
    one.due[0] = one.issued[0] = START
    one.completed[0] = START + 9 * MS
    one.flush(1)
    one.begin(START + 10 * MS)
    rows = [(10, 1, 2), (20, 5, 3), (30, 0, 401)]
    for row, (issued, late, took) in enumerate(rows):
        one.due[row] = START + (issued - late) * MS
        one.issued[row] = START + issued * MS
        one.completed[row] = START + (issued + took) * MS
    if open_loop:
        one.fail("ValueError", START + 500 * MS, row=3)
        one.due[3] = one.issued[3] = START + 499 * MS
        one.completed[3] = START + 500 * MS
    rescue(one.memory, open_loop, TIMEOUT, S)
    response, service, lateness = merged([one.memory], open_loop)
    assert header[Field.COMPLETED] == response.count == service.count == 3
    assert lateness.count == (3 if open_loop else 0)
    assert header[Field.FAILED] == (2 if open_loop else 1)
    assert header[Field.LAST_COMPLETED_NS] == START + 23 * MS
    assert response.max_ns == pytest.approx(
        9 * MS, rel=1e-3
    )  # rescued values are as exact as counts are
    assert header[Field.PHASE] == Phase.DONE


def test_a_worker_that_comes_back_after_it_was_given_up_counts_nothing():
    one = recorder()
    one.memory.header[Field.PHASE] = Phase.MEASURE
    one.begin(START)
    one.due[0] = one.issued[0] = START
    one.completed[0] = START + MS
    one.memory.header[Field.GIVEN_UP] = 1
    rescue(one.memory, True, TIMEOUT, S)
    one.flush(1)
    one.finish()
    response, _, _ = merged([one.memory], True)
    assert (one.memory.header[Field.COMPLETED], response.count) == (1, 1)


def test_a_long_silence_at_the_end_costs_no_more_intervals_than_are_kept():
    log = IntervalLog(0.001, limit=100)
    log.add([(0, Interval(0, np.array([5]), np.array([3]), 1))])
    rows = log.rows(np.zeros(0, np.int64), 1e6, lost=False)
    assert 50 < len(rows) <= 100
    assert rows[-1].start_s + rows[-1].length_s == pytest.approx(1e6)
    assert sum(row.completed for row in rows) == 3 and sum(row.errors for row in rows) == 1

"""Counting in parts, by any number of workers, gives what one would have counted of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qs.engine import Bound, ClosedLoop, Measure, Pool, RunPlan
from qs.engine.conduct.measuring import Measuring, matched
from qs.engine.hosts.findings import found_of, plain_found
from qs.engine.measures.counting import Counted, Counter
from qs.engine.measures.measure import Ended, Reading
from qs.engine.measures.sampling import Sample
from qs.engine.record.histogram import TRACKABLE_LIMIT_NS, Histogram
from qs.engine.result import Measured
from qs.engine.workers.share import PlanShare

START = 1_000_000_000
MEASURES = (
    Measure("one"),
    Measure("rate", "tokens/s", 1000, more_is_better=True),
    Measure("several", many=True),
)


@dataclass
class Call:
    issued_ns: int
    last_ns: int
    one: int
    several: tuple[int, ...]
    sent_ns: int = 0
    first_ns: int = 0


def reading_of(ended) -> Reading:
    one = np.array([each.call.one for each in ended])
    last = [each.call.last_ns for each in ended]
    sizes = [len(each.call.several) for each in ended]
    several = np.array([value for each in ended for value in each.call.several], np.int64)
    return Reading(
        {"one": one, "rate": np.where(one < 0, -1, one // 2)},
        {"several": (several, np.repeat(np.array(last), sizes))},
        ["even" if each.call.one % 2 == 0 else "" for each in ended],
        {"tokens": (np.array(last), np.array(sizes))},
        {"values": sum(sizes)},
    )


def plan_of(keep: int = 10) -> RunPlan:
    bounds = (Bound("one", 5_000), Bound("rate", 100), Bound("response", 400_000_000))
    return RunPlan(
        ClosedLoop(iterations=1),
        pool=Pool("async"),
        measures=MEASURES,
        bounds=bounds,
        sample_requests=keep,
    )


def counted(plan: RunPlan, worker: int = 0) -> Counted:
    return PlanShare(plan, 1, worker, keep_columns=True).counted(START)


def result_of(plan: RunPlan, founds, completed: int):
    measuring = Measuring(plan)
    measuring.add(founds, START)
    result = Result(completed)
    measuring.into(result, 1, 3.5, lost=False)
    return result


class Result:
    """As much of a RunResult as `Measuring` fills in."""

    def __init__(self, completed: int):
        self.completed, self.wall_s, self.start_ns = completed, 4.0, START
        self.intervals, self.columns, self.measures = [], None, {}
        self.good, self.good_per_s, self.good_by_interval = None, None, []


values = st.integers(-1, 10_000) | st.integers(0, TRACKABLE_LIMIT_NS + 10)
request = st.tuples(
    st.integers(0, 3_000_000_000),  # issued
    st.integers(0, 500_000_000),  # took
    values,
    st.lists(values.map(abs), max_size=4),
    st.booleans(),  # failed
    st.integers(0, 2),  # worker
    st.integers(0, 3),  # batch
)


# A worker's last request doubles its cells, and is in none: only its shift says so.
CELLS = [(0, number << 16, 0, [], False, 0, int(number == 7)) for number in (*range(9), 10, 11)]


@settings(max_examples=20, deadline=None)
@given(st.lists(request, min_size=1, max_size=60), st.integers(1, 12))
@example(CELLS, 5)
def test_merged_equals_whole(requests, keep):
    plan = plan_of(keep)
    ended = [
        (Ended(Call(START + at, START + at + took, one, tuple(several)), START + at, word), place)
        for at, took, one, several, failed, *place in requests
        for word in ["reset" if failed else None]
    ]
    one = Counter(counted(plan))
    whole = [
        one.count(batch, reading_of(batch))
        for failed in (False, True)
        if (batch := [each for each, _ in ended if (each.failure is not None) is failed])
    ]
    parts = []
    for worker in range(3):
        counter = Counter(counted(plan, 0))
        share = PlanShare(plan, 1, 0, keep_columns=True)
        for number in range(4):
            for failed in (False, True):
                batch = [
                    each
                    for each, place in ended
                    if place == [worker, number] and (each.failure is not None) is failed
                ]
                if batch:
                    found = counter.count(batch, reading_of(batch))
                    parts.append(found_of(plain_found(found), share, 1 << 40))
    completed = sum(each.failure is None for each, _ in ended)
    merged, once = (result_of(plan, found, completed) for found in (parts, whole))
    for name in (each.name for each in MEASURES):
        same(merged.measures[name], once.measures[name])
    assert (merged.good, merged.good_by_interval) == (once.good, once.good_by_interval)
    assert merged.good_per_s == once.good_per_s
    assert (merged.outcomes, merged.read, merged.unread) == (once.outcomes, once.read, 0)
    assert {name: column.tolist() for name, column in merged.happened.items()} == {
        name: column.tolist() for name, column in once.happened.items()
    }
    assert sorted(merged.sampled) == sorted(once.sampled)
    stamps = [name for name in merged.sampled if name not in ("one", "rate", "outcome")]
    for name in stamps:  # of requests that are alike in these, either may stand for both
        assert np.array_equal(merged.sampled[name], once.sampled[name])
    assert 0 < once.sampled["worker"].size <= keep
    # and what is counted is what there was
    good = [each.call for each, _ in ended if each.failure is None]
    check = Histogram()
    check.record(np.array([each.one for each in good if each.one >= 0], np.int64))
    same_histogram(check, once.measures["one"].histogram)
    check = Histogram()
    check.record(np.array([value for each in good for value in each.several], np.int64))
    same_histogram(check, once.measures["several"].histogram)
    assert once.good == sum(
        0 <= each.one <= 5_000
        and each.one // 2 >= 100
        and each.last_ns - each.issued_ns <= 400_000_000
        for each in good
    )


def same(one: Measured, other: Measured) -> None:
    same_histogram(one.histogram, other.histogram)
    assert one.confidence == other.confidence
    assert len(one.intervals) == len(other.intervals)
    for row, twin in zip(one.intervals, other.intervals):
        assert (row.start_s, row.completed) == (twin.start_s, twin.completed)
        assert np.array_equal(row.index, twin.index) and np.array_equal(row.counts, twin.counts)


def same_histogram(one: Histogram, other: Histogram) -> None:
    assert np.array_equal(one.counts, other.counts)
    for name in ("count", "min_ns", "max_ns", "sum_ns", "out_of_range"):
        assert getattr(one, name) == getattr(other, name), name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=300), st.integers(1, 20))
def test_a_sample_is_even_and_as_large_as_was_asked_for(instants, most):
    instants = sorted(set(instants))
    sample = Sample(most, 0)
    for at in range(0, len(instants), 7):
        column = np.array(instants[at : at + 7])
        names = ("completed_ns", "due_ns", "issued_ns", "sent_ns", "first_ns", "worker")
        sample.add(dict.fromkeys(names, column))
    rows = sample.rows()["completed_ns"]
    assert rows.size == min(most, len(instants))
    assert set(rows.tolist()) <= set(instants)
    assert (np.diff(rows) > 0).all()


def test_requests_that_ended_at_one_instant_are_all_in_a_sample_that_has_room():
    sample = Sample(5, 0)
    names = ("completed_ns", "due_ns", "issued_ns", "sent_ns", "first_ns", "worker")
    sample.add(dict.fromkeys(names, np.full(4, 7)))
    assert sample.rows()["due_ns"].size == 4
    sample.add(dict.fromkeys(names, np.full(20, 7)))
    sample.add(dict.fromkeys(names, np.full(20, 8)))
    assert sample.rows()["due_ns"].tolist() == [7, 8]


def test_of_a_long_run_the_sample_is_spread_over_all_of_it():
    sample = Sample(50, 0)
    names = ("completed_ns", "due_ns", "issued_ns", "sent_ns", "first_ns", "worker")
    for at in range(0, 100_000, 1_000):
        sample.add(dict.fromkeys(names, np.arange(at, at + 1_000) * 1_000))
    rows = sample.rows()["completed_ns"]
    assert rows.size == 50
    gaps = np.diff(rows)
    assert gaps.max() <= 4 * gaps.min() and rows[0] < 5e6 and rows[-1] > 95e6


def test_alike_requests_are_matched_one_to_one():
    here = [np.array([5, 5, 7, 9]), np.array([1, 1, 2, 3])]
    there = [np.array([9, 5, 5, 5, 8]), np.array([3, 1, 1, 1, 2])]
    ours, theirs = matched(here, there)
    assert sorted(zip(ours.tolist(), theirs.tolist())) == [(0, 1), (1, 2), (3, 0)]
    nothing = np.zeros(0, np.int64)
    assert matched([nothing], [np.array([1])])[0].size == 0
    assert matched([nothing], [nothing])[0].size == 0


@pytest.mark.parametrize("stamp", ["soon", -5, 1 << 70, 1.5, None, True])
def test_a_stamp_that_is_none_is_none(stamp):
    call = Call(START, START + 5, 1, ())
    call.first_ns = stamp
    found = Counter(counted(plan_of())).count(
        [Ended(call, START, None)], Reading({"one": np.array([1])})
    )
    assert found.sampled["first_ns"].tolist() == [0]
    call.first_ns = np.int64(START + 2)
    found = Counter(counted(plan_of())).count([Ended(call, START, None)], Reading())
    assert found.sampled["first_ns"].tolist() == [START + 2]

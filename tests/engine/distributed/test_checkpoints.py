"""Checkpoints: what a node tells while it runs comes back as it was, a lying one is found out, and
of a lost one everything until then is kept and everything after is accounted for.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import (
    AllAtOnce,
    Bound,
    Cause,
    ClosedLoop,
    ConstantRate,
    Ending,
    ErrorKind,
    Histogram,
    Measure,
    Poisson,
    Pool,
    RunPlan,
    Sessions,
    Stop,
    run_async,
)
from qs.engine.clock import MONOTONIC
from qs.engine.conduct.joined_rows import merged_by_number
from qs.engine.conduct.lead import Snapshot
from qs.engine.distributed.results.checkpoints import (
    part_from,
    plain_checkpoint,
    plain_snapshot,
    snapshot_of,
)
from qs.engine.distributed.results.counts import (
    filled_of,
    histogram_of,
    intervals_of,
    packed,
    plain_histogram,
    unpacked,
)
from qs.engine.distributed.results.merging import Union, merged_result
from qs.engine.distributed.splitting.late import rest_of
from qs.engine.part import Part
from qs.engine.record.histogram import COUNTS
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.result import NodePart
from tests.engine.conduct.test_led import Lead
from tests.engine.distributed.test_merging import same_histogram
from tests.fakes import MS, S

LIES = (ValueError, TypeError)


def histogram(values) -> Histogram:
    found = Histogram()
    found.record(np.asarray(values, np.int64))
    return found


@given(st.lists(st.lists(st.integers(0, (1 << 62) - 1), max_size=50), max_size=4))
def test_numbers_come_back(lists):
    arrays = [np.array(each, np.int64) for each in lists]
    back = unpacked(packed(*arrays), len(arrays))
    assert [each.tolist() for each in back] == lists


@given(st.lists(st.integers(-1, 1 << 44), max_size=300))
def test_a_histogram_comes_back(values):
    one = histogram(values)
    back = histogram_of(plain_histogram(one))
    assert same_histogram(one, back)
    assert one.summary() == back.summary()
    again = histogram_of(plain_histogram(back))
    assert same_histogram(one, again)
    both = Histogram()
    both.merge(back)
    both.merge(again)
    assert (both.count, both.sum_ns) == (2 * one.count, 2 * one.sum_ns)


def test_what_is_kept_is_not_written_to():
    back = histogram_of(plain_histogram(histogram([5, 6])))
    with pytest.raises(ValueError, match="read-only"):
        back.counts[7] = 1


@pytest.mark.parametrize("torn", [{"sum_ns": 5}, {"min_ns": 900}, {"count": 1}])
def test_a_histogram_that_is_written_to_meanwhile_is_told_by_its_counts(torn):
    one = histogram([1_000, 2_000])
    one.out_of_range = 3
    for name, value in torn.items():
        setattr(one, name, value)
    back = histogram_of(plain_histogram(one))
    assert (back.count, back.min_ns, back.max_ns, back.out_of_range) == (2, 1_000, 2_000, 3)


def test_the_sum_of_hours_is_exact():
    one = histogram(np.full(3_000_000, 3_600_000_000_000))
    one.sum_ns = 3_000_000 * 3_600_000_000_000
    assert one.sum_ns > 1 << 62
    assert histogram_of(plain_histogram(one)).sum_ns == one.sum_ns


intervals_drawn = st.lists(
    st.tuples(
        st.integers(0, 1_000),
        st.dictionaries(st.integers(0, COUNTS - 1), st.integers(1, 1 << 40), max_size=20),
        st.integers(0, 5),
    ),
    max_size=20,
    unique_by=lambda each: each[0],
)


def interval(number, counts, failed=0):
    index = np.array(sorted(counts), np.int64)
    return Interval.compact(
        number, index, np.array([counts[at] for at in sorted(counts)], np.int64), failed
    )


@given(intervals_drawn)
def test_intervals_come_back(drawn):
    found = [interval(*each) for each in sorted(drawn, key=lambda each: each[0])]
    back = intervals_of(plain_checkpoint(enumerate(found)), 1_000)
    assert [(each.number, each.failed) for each in back] == [
        (each.number, each.failed) for each in found
    ]
    for one, other in zip(found, back):
        assert np.array_equal(one.index, other.index) and np.array_equal(one.counts, other.counts)


def test_intervals_of_several_workers_are_one_each():
    found = [(0, interval(3, {5: 1}, 1)), (1, interval(2, {9: 1})), (1, interval(3, {4: 1, 5: 1}))]
    back = intervals_of(plain_checkpoint(found), 3)
    assert [
        (each.number, each.index.tolist(), each.counts.tolist(), each.failed) for each in back
    ] == [
        (2, [9], [1], 0),
        (3, [4, 5], [1, 2], 1),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (b"nothing", "none"),
        (7, "int for packed numbers"),
        (packed(np.arange(3)), "missing"),
        (packed(*[np.arange(3)] * 6), "more than was to be packed"),
        (zlib.compress(b"\x03" + bytes(8)), "no size"),
        (zlib.compress(b"\x08" + (1 << 60).to_bytes(8, "little")), "no size"),
        (zlib.compress(bytes(200 << 20), 9), "too many"),  # a bomb
        (packed(np.array([1]), *[np.zeros(0, np.int64)] * 4), "no order"),
        (packed(*map(np.array, ([5], [0], [1], [1], [1]))), "last there can be"),
        (packed(*map(np.array, ([1], [0], [1], [COUNTS], [1]))), "no histogram"),
        (packed(*map(np.array, ([1], [0], [1], [1], [0]))), "nothing"),
        (packed(*map(np.array, ([1], [0], [2], [1, 0], [1, 1]))), "no order"),
        (packed(*map(np.array, ([1], [0], [2], [1], [1]))), "belong"),
        (packed(*map(np.array, ([2, 1], [0, 0], [1, 1], [1, 1], [1, 1]))), "no order"),
    ],
)  # fmt: skip
def test_intervals_that_cannot_be_are_refused(data, why):
    with pytest.raises(LIES, match=why):
        intervals_of(data, 4)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, packed(np.array([1]), np.array([9])), "not that of its values"),
        (0, packed(np.array([0]), np.array([2])), "least or greatest"),
        (0, packed(np.array([1, 0]), np.array([1, 1])), "no order"),
        (0, packed(np.array([1, COUNTS]), np.array([1, 1])), "no order|no histogram"),
        (0, packed(np.array([1]), np.array([1, 1])), "belong"),
        (1, 3, "not that of its values"),
        (1, -2, "number from"),
        (1, 2.0, "number from"),
        (1, True, "number from"),
        (2, 900, "least or greatest"),
        (3, 1, "least or greatest"),
        (4, -1, "number from"),
        (5, "1", "number from"),
        (4, float("nan"), "number from"),
        (4, 1 << 200, "number from"),
        (4, 1, "sum"),
        (4, 10**12, "sum"),
    ],
)
def test_a_histogram_that_no_values_make_is_refused(at, value, why):
    plain = list(plain_histogram(histogram([1_000, 2_000])))
    plain[at] = value
    with pytest.raises(LIES, match=why):
        histogram_of(plain)


@pytest.mark.parametrize("plain", [None, 5, "histogram", (), {}, [b""] * 6, (1,) * 7])
def test_something_else_is_no_histogram(plain):
    with pytest.raises(LIES):
        histogram_of(plain)


def snapshot(response=(MS,), errors=None, now_ns=3 * S, **changes):
    times = histogram(response)
    found = Snapshot(now_ns, 0, times.count, errors or {}, times, times, Histogram())
    return replace(found, **changes)


def test_a_snapshot_comes_back():
    one = snapshot([MS, 2 * MS], {"dropped": 3}, lateness=histogram([1]))
    back = snapshot_of(plain_snapshot(one))
    assert (back.now_ns, back.start_ns, back.completed, back.errors_by_kind) == (
        3 * S,
        0,
        2,
        {"dropped": 3},
    )
    assert same_histogram(one.response, back.response) and back.service is back.response
    assert same_histogram(one.lateness, back.lateness)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, -1),
        (2, 3),
        (3, {"dropped": -1}),
        (3, {7: 1}),
        (3, {"x" * 500: 1}),
        (3, {str(each): 1 for each in range(5_000)}),
        (3, [1]),
        (4, None),
        (5, b"no"),
        (6, ()),
    ],
)
def test_a_snapshot_that_cannot_be_is_refused(at, value):
    plain = list(plain_snapshot(snapshot()))
    plain[at] = value
    with pytest.raises(LIES):
        snapshot_of(plain)
    with pytest.raises(LIES):
        snapshot_of(plain[:-1])


def test_a_checkpoint_of_a_second_is_small():
    """1,000 requests of 1 to 20 ms a second, told in ten intervals, and all of a minute."""
    draw = np.random.default_rng(1)
    times = draw.gamma(4.0, 1.5 * MS, 60_000).astype(np.int64)
    ten = []
    for number in range(10):
        one = histogram(times[number * 100 : number * 100 + 100])
        index, counts = filled_of(one)
        ten.append((0, Interval.compact(number, index, counts, 0)))
    assert len(plain_checkpoint(ten)) < 2_500
    assert len(plain_histogram(histogram(times))[0]) < 7_000


# What is left of a node that was lost.


class Checkpoints(Lead):
    """Keeps what is told until a moment, as a driver does."""

    def __init__(self, plan, until, clock):
        super().__init__(ahead_ns=0, clock=clock)
        self.log = IntervalLog(plan.recorded_ns / 1e9, plan.recorded_per_interval)
        self.union = Union(plan)
        self.until, self.snapshot = until, None

    def look(self, moment):
        self.moments.append(moment)
        if len(self.moments) <= self.until:
            found = intervals_of(plain_checkpoint(moment.intervals), 1 << 40)
            self.log.add((0, one) for one in found)
            self.union.add(found)
            self.snapshot = snapshot_of(plain_snapshot(moment.snapshot()))
        return None


RATE, DURATION_S = 200, 1.2
HALF = RunPlan(
    ConstantRate(RATE),
    Stop(duration_s=DURATION_S),
    Pool("thread"),
    part=Part(0, 2),
    calibrate=False,
    interval_s=0.2,
)


def answered(sample):
    time.sleep(0.001)


@pytest.fixture(scope="module")
def lost():
    """A real run, what was told of it in its first half second, and what is left by that."""
    lead = Checkpoints(HALF, until=2, clock=MONOTONIC)
    whole = asyncio.run(run_async(HALF, answered, lead=lead))
    part = part_from(
        HALF, lead.snapshot, lead.log, "it is gone", started_at=5.0, union=lead.union,
        until_s=DURATION_S,
    )  # fmt: skip
    return whole, lead, part


def test_what_was_measured_until_the_last_checkpoint_is_kept_and_the_rest_accounted_for(lost):
    whole, lead, part = lost
    kept = lead.snapshot
    assert kept.completed == part.completed < whole.completed
    assert same_histogram(kept.response, part.response)
    assert same_histogram(kept.lateness, part.lateness)
    assert part.completed + part.errors == RATE * DURATION_S
    assert part.errors_by_kind.get("died", 0) <= 1
    assert part.ended_by is Ending.LOST and part.verdict == "INVALID"
    assert [each.code for each in part.causes] == [Cause.NODE_LOST]
    rows = sum(row.completed for row in part.intervals), sum(row.errors for row in part.intervals)
    assert rows == (part.completed, part.errors)
    assert (lead.union.completed, lead.union.failed) == rows
    assert part.wall_s == pytest.approx((kept.now_ns - kept.start_ns) / 1e9)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_whole_of_a_lost_node_and_one_that_lived(lost, streamed):
    other, lead, part = lost
    union = Union(HALF)
    for one in [moment.intervals for moment in lead.moments]:
        union.add(merged_by_number(each for _, each in one))
    for one in lead.union.log.found():  # which is the lost one's, of longer intervals
        union.log.add([(0, replace(one, number=one.number * lead.union.log.scale))])
    union.completed += lead.union.completed
    parts = [
        NodePart("a", "", "part 1 of 2", other),
        NodePart("b", "", "part 2 of 2", part, lost="it is gone", lost_at_s=0.9, kept_until_s=0.5),
    ]
    both = replace(HALF, load=ConstantRate(2 * RATE), part=None)
    found = merged_result(both, parts, start_ns=other.start_ns, union=union if streamed else None)
    assert found.completed + found.errors == 2 * RATE * DURATION_S
    assert [each.code for each in found.causes] == [Cause.NODE_LOST, Cause.FAILED]
    assert found.ended_by is Ending.DURATION
    assert found.wall_s == pytest.approx(other.wall_s)
    assert sum(row.completed for row in found.intervals) == found.completed
    assert sum(row.errors for row in found.intervals) == found.errors
    for row in found.intervals:
        assert (row.in_flight is None) == (row.start_s < part.wall_s)


@pytest.mark.parametrize(
    ("load", "stop", "heir", "expected"),
    [
        # one of its two clients' requests each died with it; the others nobody made
        (ClosedLoop(2, 10), Stop(), None, {"died": 2, "not issued": 17}),
        (ClosedLoop(2), Stop(duration_s=5.0), None, {"died": 2}),
        (ClosedLoop(2, 10), Stop(), ClosedLoop(2), {"died": 2}),
        # due at 0, 0.1, ... 3 until the checkpoint, of which one was answered
        (ConstantRate(10), Stop(duration_s=5.0), None, {"died": 2, "not issued": 47}),
        (ConstantRate(10), Stop(iterations=20), None, {"died": 2, "not issued": 17}),
        (AllAtOnce(9), Stop(), None, {"died": 2, "not issued": 6}),
        (AllAtOnce(9), Stop(), AllAtOnce(8), {}),
        (Sessions(users=2), Stop(duration_s=5.0), None, {}),
    ],
    ids=str,
)
def test_what_nobody_made_is_counted_where_the_plan_knows(load, stop, heir, expected):
    share = RunPlan(load, stop, Pool("thread", workers=2), part=Part(0, 2))
    log = IntervalLog(share.recorded_ns / 1e9, share.recorded_per_interval)
    part = part_from(
        share,
        snapshot(),
        log,
        "gone",
        started_at=0.0,
        until_s=5.0,
        heir=None if heir is None else replace(share, load=heir),
    )
    assert part.errors_by_kind == expected


def test_between_a_loss_and_who_takes_over_nobody_makes_what_falls_due():
    share = RunPlan(ConstantRate(10), Stop(duration_s=9.0), Pool("thread"), part=Part(0, 2))
    heir = rest_of(share, 1, 6.0)
    log = IntervalLog(0.1, 10)
    part = part_from(share, snapshot(), log, "gone", started_at=0.0, until_s=9.0, heir=heir)
    assert part.errors_by_kind == {"died": 1, "not issued": 58}  # of the 60 that were due before


def test_one_that_was_lost_before_its_first_checkpoint_measured_nothing():
    share = RunPlan(ConstantRate(10), Stop(duration_s=5.0), Pool("thread"), part=Part(0, 2))
    part = part_from(share, None, IntervalLog(0.1, 10), "gone", started_at=0.0, until_s=5.0)
    assert (part.completed, part.errors_by_kind) == (0, {"not issued": 50})
    parts = [NodePart("a", "", "part 1 of 1", part, lost="gone")]
    whole = merged_result(share, parts)
    assert [each.code for each in whole.causes] == [Cause.NOTHING, Cause.NODE_LOST, Cause.FAILED]
    assert "nothing that it measured is kept" in whole.reasons[1]


def test_what_its_requests_told_was_not_read():
    share = RunPlan(
        Poisson(10, seed=1),
        Stop(duration_s=5.0),
        Pool("async"),
        measures=(Measure("tokens"),),
        bounds=(Bound("tokens", 4),),
        part=Part(0, 2),
    )
    part = part_from(share, snapshot(), IntervalLog(0.1, 10), "x", started_at=0.0, until_s=5.0)
    assert part.measures["tokens"].histogram.count == 0
    assert (part.unread, part.unread_why, part.good) == (1, {"lost": ""}, 0)
    assert ErrorKind.DIED in part.errors_by_kind

"""What is left of a node that was lost: what it had told, and what nobody made."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from qs.engine import (
    AllAtOnce,
    Bound,
    Cause,
    ClosedLoop,
    ConstantRate,
    Ending,
    ErrorKind,
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
from qs.engine.distributed.results.checkpoints import (
    part_from,
    plain_checkpoint,
    plain_snapshot,
    snapshot_of,
)
from qs.engine.distributed.results.counts import (
    intervals_of,
)
from qs.engine.distributed.results.merging import Union, merged_result
from qs.engine.distributed.splitting.late import rest_of
from qs.engine.part import Part
from qs.engine.record.intervals import IntervalLog
from qs.engine.result import NodePart
from tests.engine.conduct.test_led import Lead
from tests.engine.distributed.snapshots import snapshot
from tests.engine.distributed.test_merging import same_histogram


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

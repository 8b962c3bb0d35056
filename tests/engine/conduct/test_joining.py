"""Several runs of one plan as one: as if there had been no pauses between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import ClosedLoop, ConstantRate, Ending, Pool, RunPlan, Stop, joined, run
from tests.fakes import MS, Service, VirtualClock


def made(stop, load=None, takes_ns=MS, **plan):
    clock = VirtualClock()
    plan = RunPlan(load=load or ClosedLoop(), stop=stop, pool=Pool("inline"), **plan)
    return run(plan, Service(clock, takes_ns), clock=clock)


def test_three_runs_are_as_one_of_their_length():
    parts = [made(Stop(duration_s=1.0)) for _ in range(3)]
    whole, once = joined(parts), made(Stop(duration_s=3.0))
    assert (whole.completed, whole.wall_s) == (once.completed, pytest.approx(once.wall_s))
    assert whole.queries_per_s == pytest.approx(once.queries_per_s)
    assert np.array_equal(whole.response.counts, once.response.counts)
    assert whole.response.mean_ns == once.response.mean_ns
    assert whole.response.percentile_ns(99) == once.response.percentile_ns(99)
    assert [row.start_s for row in whole.intervals] == sorted(
        row.start_s for row in whole.intervals
    )
    assert sum(row.completed for row in whole.intervals) == whole.completed
    assert whole.warmup.completed == 3 * once.warmup.completed
    assert whole.verdict == "VALID"
    assert whole.to_dict()  # everything that is written is there


def test_the_intervals_of_all_tell_how_far_to_trust_it():
    parts = [made(Stop(duration_s=0.4), interval_s=0.05) for _ in range(3)]
    assert parts[0].confidence.throughput.half_width is None  # of 8 intervals
    told = joined(parts).confidence.throughput
    assert told.value == pytest.approx(1000.0, rel=0.01)
    assert told.half_width is not None
    assert len(joined(parts).rates) >= 20


def test_slow_and_fast_runs_spread():
    parts = [made(Stop(duration_s=2.0), takes_ns=each * MS) for each in (1, 2, 1)]
    whole = joined(parts)
    assert whole.completed == sum(each.completed for each in parts)
    assert whole.response.min_ns == MS and whole.response.max_ns == 2 * MS
    assert whole.response.percentile_ns(50) == pytest.approx(MS, rel=0.002)


def test_of_an_open_loop_what_was_offered_is_summed():
    parts = [made(Stop(duration_s=1.0), ConstantRate(100)) for _ in range(2)]
    whole = joined(parts)
    assert whole.offered_s == pytest.approx(2.0)
    assert whole.offered_per_s == pytest.approx(100.0, rel=0.02)
    assert whole.service.count == whole.lateness.count == whole.completed


def test_what_was_found_in_one_stays_found():
    good, bad = made(Stop(duration_s=1.0)), made(Stop(duration_s=1.0))
    bad = replace(bad, errors_by_kind={"ValueError": 2}, first_fault="ValueError: no")
    whole = joined([good, bad, replace(bad, interrupted=True, ended_by=Ending.INTERRUPT)])
    assert whole.errors_by_kind == {"ValueError": 4}
    assert whole.first_fault == "ValueError: no"
    assert whole.interrupted and whole.ended_by is Ending.INTERRUPT


def test_one_run_is_itself():
    only = made(Stop(iterations=5))
    assert joined([only]) is only

"""What a trial's result becomes: batches, backlog, and whether it is about the target at all."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qs.engine import Poisson, Pool, RunPlan, Stop, run
from qs.engine.ruling import Caveat
from qs.limit import Trial, TrialPlan, parse_goals
from qs.limit.counts import BATCHES
from qs.limit.trial_plan import SEARCH


def plan_of(rate: float, duration_s: float, *bounds: str) -> TrialPlan:
    return TrialPlan(0, SEARCH, rate, duration_s, 3, parse_goals(bounds))


def result_of(call, plan: TrialPlan, **more):
    load = RunPlan(
        load=Poisson(plan.rate_per_s, plan.seed),
        stop=Stop(duration_s=plan.duration_s),
        pool=Pool("thread", workers=1),
        interval_s=plan.interval_s,
        calibrate=False,
        **more,
    )
    return run(load, call)


def test_a_target_that_keeps_up_leaves_no_backlog():
    plan = plan_of(500.0, 0.4, "p99=1s,mean=1s,errors=1%")
    result = result_of(lambda sample: None, plan)
    seen = Trial.of(plan, result)
    assert seen.valid
    assert seen.backlog <= 2
    assert seen.requests == result.completed
    assert seen.due_per_s == pytest.approx(500, rel=0.3)
    tallies, waits = seen.tallies, seen.waits
    for goal in plan.goals:
        assert tallies[goal.name].requests.sum() == result.completed
        assert 10 <= tallies[goal.name].requests.size <= BATCHES
    assert tallies["p99"].missed.sum() == tallies["errors"].missed.sum() == 0
    assert tallies["mean"].missed.sum() / result.completed == pytest.approx(
        result.response.mean_ns, rel=0.01
    )
    assert waits.variance_ns2 > 0


def test_what_the_drain_limit_cuts_off_is_backlog_and_over_every_bound():
    """200 requests a second for a target that answers 50: three in four are left over, and the
    drain takes few of them.
    """
    plan = plan_of(200.0, 0.5, "p99=30ms,errors=1%")
    result = result_of(lambda sample: time.sleep(0.02), plan, drain_s=0.1)
    seen = Trial.of(plan, result)
    assert seen.failed > 30
    assert seen.backlog >= seen.failed
    tallies = seen.tallies
    assert tallies["errors"].missed.sum() == seen.failed
    assert tallies["p99"].missed.sum() > seen.failed
    assert tallies["p99"].requests.sum() == seen.requests


def test_a_trial_that_the_engine_bounds_is_not_valid_and_says_why():
    plan = plan_of(500.0, 0.2)
    result = result_of(lambda sample: None, plan)
    assert Trial.of(plan, replace(result, caveats=[SimpleNamespace(code="late_issue")])).valid
    busy = Caveat("engine_bound", "the engine was busy", "use more")
    bound = Trial.of(plan, replace(result, caveats=[busy]))
    assert not bound.valid
    assert "the engine was busy" in bound.reasons[0]
    assert not Trial.of(plan, replace(result, interrupted=True)).valid
    nothing = Trial.of(plan, replace(result, completed=0, errors_by_kind={}))
    assert nothing.reasons == ("no request fell due",)


def test_a_lost_worker_hides_the_backlog_but_not_all_of_it():
    result = result_of(lambda sample: None, plan_of(500.0, 0.4))
    rows = [replace(row, in_flight=None) for row in result.intervals]
    seen = Trial.of(
        plan_of(500.0, 0.2), replace(result, intervals=rows, errors_by_kind={"not issued": 7})
    )
    late = sum(row.completed for row in rows if row.start_s >= 0.2)
    assert late > 0
    assert seen.backlog == 7 + late


def test_failures_count_in_the_batch_they_came_back_in():
    calls = []

    def every_fourth(sample):
        calls.append(None)
        if len(calls) % 4 == 0:
            raise ValueError("as asked")

    plan = plan_of(400.0, 0.4, "p50=1s,errors=1%")
    seen = Trial.of(plan, result_of(every_fourth, plan))
    failed = seen.tallies["errors"].missed
    assert failed.sum() == seen.failed == len(calls) // 4
    assert np.count_nonzero(failed) > 5
    assert np.array_equal(seen.tallies["p50"].missed, failed)

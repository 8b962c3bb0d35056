"""What a trial's result becomes: batches, backlog, and whether it says anything of the target."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qs.engine import Poisson, Pool, RunPlan, Stop, run
from qs.limit import Observation, interval_s, parse_goals
from qs.limit.tally import BATCHES, tallies_of


def result_of(call, rate: float, duration_s: float, **plan):
    load = RunPlan(
        load=Poisson(rate, 3),
        stop=Stop(duration_s=duration_s),
        pool=Pool("thread", workers=1),
        interval_s=interval_s(duration_s),
        calibrate=False,
        **plan,
    )
    return run(load, call)


def test_a_target_that_keeps_up_leaves_no_backlog():
    result = result_of(lambda sample: None, 500.0, 0.4)
    seen = Observation.of(result, 500.0, 0.4)
    assert seen.valid
    assert seen.backlog <= 2
    assert seen.requests == result.completed
    assert seen.due_per_s == pytest.approx(500, rel=0.3)
    goals = parse_goals(["p99=1s,mean=1s,errors=1%"])
    tallies, waits = tallies_of(seen, goals)
    for goal in goals:
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
    result = result_of(lambda sample: time.sleep(0.02), 200.0, 0.5, drain_s=0.1)
    seen = Observation.of(result, 200.0, 0.5)
    assert seen.failed > 30
    assert seen.backlog >= seen.failed
    tallies, _ = tallies_of(seen, parse_goals(["p99=30ms,errors=1%"]))
    assert tallies["errors"].missed.sum() == seen.failed
    assert tallies["p99"].missed.sum() > seen.failed
    assert tallies["p99"].requests.sum() == seen.requests


def test_without_a_duration_the_last_due_request_tells_it():
    result = result_of(lambda sample: None, 500.0, 0.4)
    assert Observation.of(result, 500.0).duration_s == pytest.approx(0.4, abs=0.05)


def fake(result, **fields):
    return replace(result, **fields)


def test_a_trial_that_the_engine_bounds_is_not_valid_and_says_why():
    result = result_of(lambda sample: None, 500.0, 0.2)
    assert Observation.of(
        fake(result, caveats=[SimpleNamespace(code="late_issue")]), 500.0, 0.2
    ).valid
    from qs.engine.result import Caveat

    bound = Observation.of(
        fake(result, caveats=[Caveat("engine_bound", "the engine was busy", "use more")]),
        500.0,
        0.2,
    )
    assert not bound.valid
    assert "the engine was busy" in bound.reasons[0]
    assert not Observation.of(fake(result, interrupted=True), 500.0, 0.2).valid
    nothing = Observation.of(fake(result, completed=0, errors_by_kind={}), 500.0, 0.2)
    assert nothing.reasons == ("no request fell due",)


def test_a_lost_worker_hides_the_backlog_but_not_all_of_it():
    result = result_of(lambda sample: None, 500.0, 0.4)
    rows = [replace(row, in_flight=None) for row in result.intervals]
    seen = Observation.of(
        fake(result, intervals=rows, errors_by_kind={"not issued": 7}), 500.0, 0.2
    )
    late = sum(row.completed for row in rows if row.start_s >= 0.2)
    assert late > 0
    assert seen.backlog == 7 + late
    assert Observation.of(fake(result, intervals=rows), 500.0).duration_s == result.wall_s


def test_failures_count_in_the_batch_they_came_back_in():
    calls = []

    def every_fourth(sample):
        calls.append(None)
        if len(calls) % 4 == 0:
            raise ValueError("as asked")

    seen = Observation.of(result_of(every_fourth, 400.0, 0.4), 400.0, 0.4)
    tallies, _ = tallies_of(seen, parse_goals(["p50=1s,errors=1%"]))
    failed = tallies["errors"].missed
    assert failed.sum() == seen.failed == len(calls) // 4
    assert np.count_nonzero(failed) > 5
    assert np.array_equal(tallies["p50"].missed, failed)

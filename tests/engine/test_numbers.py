"""Numbers of a plan: the wrong kind, infinite, far away. Each is a fault before anything starts, or
a run that ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    Batching,
    ClosedLoop,
    ConstantRate,
    MultiStream,
    PlanError,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Server,
    SingleStream,
    Stage,
    Stages,
    Stop,
    run,
)
from qs.engine.clock import FOREVER_NS
from qs.engine.load.schedule import bounded
from qs.engine.numbers import LONGEST_S, to_ns

LOOP = ClosedLoop(iterations=10)
OPEN = Stop(duration_s=1)


@pytest.mark.parametrize("value", [1e2, 2.0, "2", True, math.inf, math.nan, None, 0, -1])
@pytest.mark.parametrize(
    "plan",
    [
        lambda value: RunPlan(ClosedLoop(clients=value, iterations=10)),
        lambda value: RunPlan(AllAtOnce(value)),
        lambda value: RunPlan(ConstantRate(10), OPEN, batching=Batching(value)),
    ],
)
def test_a_count_is_a_whole_number(plan, value):
    assert plan(value).faults()


@pytest.mark.parametrize("value", [1e2, 2.0, "2", True, math.inf, math.nan, 0, -1])
@pytest.mark.parametrize(
    "plan",
    [
        lambda value: RunPlan(ClosedLoop(iterations=value), OPEN),
        lambda value: RunPlan(LOOP, Stop(iterations=value)),
        lambda value: RunPlan(LOOP, Stop(min_queries=value)),
        lambda value: RunPlan(LOOP, pool=Pool(workers=value)),
        lambda value: RunPlan(LOOP, pool=Pool(instances=value)),
        lambda value: RunPlan(LOOP, pool=Pool(intra_op_threads=value)),
        lambda value: RunPlan(LOOP, samples_per_query=value),
    ],
)
def test_a_count_that_may_be_left_out_is_one_too(plan, value):
    assert plan(value).faults()
    assert not plan(None).faults()
    assert not plan(np.int64(3)).faults()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "1", True, 2 * LONGEST_S])
@pytest.mark.parametrize(
    "plan",
    [
        lambda value: RunPlan(LOOP, Stop(duration_s=value)),
        lambda value: RunPlan(LOOP, Stop(max_duration_s=value)),
        lambda value: RunPlan(LOOP, Stop(min_duration_s=value)),
        lambda value: RunPlan(LOOP, timeout_s=value),
        lambda value: RunPlan(LOOP, drain_s=value),
        lambda value: RunPlan(LOOP, warmup_s=value),
        lambda value: RunPlan(LOOP, build_timeout_s=value),
        lambda value: RunPlan(LOOP, interval_s=value),
        lambda value: RunPlan(ClosedLoop(iterations=2, think_time_s=value)),
        lambda value: RunPlan(Stages((Stage(value, 1.0),))),
        lambda value: RunPlan(ConstantRate(value), OPEN),
        lambda value: RunPlan(Poisson(value), OPEN),
    ],
)
def test_a_time_and_a_rate_are_finite_numbers(plan, value):
    assert plan(value).faults()
    assert not plan(np.float64(2)).faults()


@pytest.mark.parametrize(
    "scenario",
    [
        SingleStream(min_duration_s="1"),
        SingleStream(min_queries=2.5),
        MultiStream(samples_per_query=2.0),
        MultiStream(max_duration_s=math.inf),
        Server(rate_per_s=math.inf),
        Server(rate_per_s=1.0, bound_s=math.nan),
    ],
    ids=repr,
)
def test_a_scenarios_numbers_too(scenario):
    with pytest.raises(PlanError):
        scenario.plan()


@pytest.mark.parametrize(
    "load",
    [
        ConstantRate(1e-9),
        ConstantRate(5e-324),
        Poisson(1e-6),
        Poisson(1e-12),
        Stages((Stage(1.0, 1e-9),)),
        Stages((Stage(LONGEST_S, 1e-9, ramp=True),)),
    ],
    ids=repr,
)
def test_a_rate_at_which_nothing_is_due_in_this_century_ends_like_any_other(load):
    assert load.faults() == []
    due = [offset for block in bounded(load.blocks(), 10**9, None) for offset in block.tolist()]
    assert all(0 <= offset < 10**9 for offset in due) and len(due) <= 1
    result = run(RunPlan(load, Stop(duration_s=0.05)), lambda sample: None)
    assert result.completed == len(due)


@pytest.mark.parametrize(
    "replay",
    [
        Replay((1.7e12, 1.7e12 + 1000)),  # ms since 1970
        Replay((1.7e9, 1.7e9 + 1)),  # s since 1970
        Replay((0.5, 1.7e18)),  # one line of ns among good ones
        Replay((10.0,), speed=1e-9),
    ],
    ids=repr,
)
def test_a_replay_that_begins_in_another_age_is_refused(replay):
    (fault,) = RunPlan(replay).faults()
    assert "due times are seconds from the start" in fault


def test_due_times_beyond_every_run_stay_in_order():
    far = np.array([0.0, 1e9, 1e30, np.inf])
    assert to_ns(far).tolist() == [0, 10**9, FOREVER_NS, FOREVER_NS]
    assert to_ns(far, 5).tolist() == [5, 10**9 + 5, FOREVER_NS, FOREVER_NS]


def test_counts_of_numpy_are_plain_ones_in_the_result():
    plan = RunPlan(ClosedLoop(clients=np.int64(2), iterations=np.int32(5)))
    result = run(plan, lambda sample: None)
    assert (result.completed, type(result.planned)) == (10, int)

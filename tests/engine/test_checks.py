"""Values of a plan: the wrong kind, infinite, far away. Each is a fault before anything starts, or
a run that ends."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    Batching,
    ClosedLoop,
    ConstantRate,
    MultiStream,
    Offline,
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
from qs.engine.checks import LONGEST_S, to_ns
from qs.engine.clock import FOREVER_NS
from qs.engine.load.schedule import bounded

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


# Of no use in any field of any plan.
NONSENSE = [object(), 1 + 2j, math.nan, math.inf, -math.inf, {}, b"1", np.array(3), -1, 10**30]
WHOLE_PLANS = {
    "closed loop": ClosedLoop(iterations=3),
    "constant rate": ConstantRate(100.0),
    "poisson": Poisson(100.0),
    "all at once": AllAtOnce(3),
    "replay": Replay((0.0, 0.1)),
    "stages": Stages((Stage(1.0, 10.0),)),
    "stop": Stop(iterations=3),
    "pool": Pool(),
    "batching": Batching(2),
    "plan": RunPlan(ClosedLoop(iterations=3)),
    "single stream": SingleStream(),
    "multi stream": MultiStream(),
    "server": Server(10.0),
    "offline": Offline(),
}
FIELDS = [
    pytest.param(value, field.name, id=f"{name}, {field.name}")
    for name, value in WHOLE_PLANS.items()
    for field in dataclasses.fields(value)
]


@pytest.mark.parametrize("value, field", FIELDS)
def test_a_field_of_nonsense_is_named_and_nothing_else_happens(value, field):
    # Huge, and of use all the same.
    allowed = dict.fromkeys(("seed", "speed", "until_known", "until_stable"), [10**30])
    for nonsense in NONSENSE:
        faults = replace(value, **{field: nonsense}).faults()
        assert all(isinstance(fault, str) and len(fault) < 400 for fault in faults)
        if nonsense not in allowed.get(field, []):
            assert any(field in fault for fault in faults), (field, nonsense)


@pytest.mark.parametrize("value, field", FIELDS)
def test_odd_values_raise_nothing(value, field):
    array = np.array([1, 2])
    for odd in (
        None,
        True,
        "2",
        "",
        [],
        [1],
        (1,),
        array,
        "a" * 10_000,
        [[]],
        [[1], [1, 2]],
        0,
        len,
    ):
        assert isinstance(replace(value, **{field: odd}).faults(), list)


class Silent(tuple):
    def __repr__(self) -> str:
        raise RuntimeError("not to be written out")


def test_what_is_right_is_not_written_out_and_what_is_wrong_need_not_be_willing():
    assert RunPlan(Replay(Silent((0.0, 1.0)))).faults() == []
    assert RunPlan(LOOP, pool=Pool(affinity=Silent([Silent((0,))]))).faults() == []
    (fault,) = RunPlan(Replay(Silent("ab"))).faults()
    assert fault.startswith("due_s: ") and "must be a list of numbers" in fault
    (fault,) = RunPlan(LOOP, pool=Silent()).faults()
    assert fault.endswith("it must be a Pool")


def test_what_is_no_plan_at_all_is_refused():
    with pytest.raises(PlanError, match="it must be a RunPlan or a scenario"):
        run("closed loop", lambda sample: None)


@pytest.mark.parametrize(
    "plan",
    [
        RunPlan(ClosedLoop(clients=5_000, iterations=1)),
        RunPlan(ConstantRate(10.0), Stop(iterations=1), Pool(workers=5_000)),
    ],
    ids=["clients", "workers"],
)
def test_more_threads_than_any_machine_runs_are_refused(plan):
    with pytest.raises(PlanError, match="5,000 is not allowed, it must be at most 4,096"):
        run(plan, lambda sample: None)


def test_coroutines_may_be_more():
    async def answer(sample):
        return sample

    result = run(RunPlan(ClosedLoop(clients=5_000, iterations=1), calibrate=False), answer)
    assert result.completed == 5_000

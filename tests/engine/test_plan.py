"""Plans are checked before anything starts, and say all that is wrong with them at once."""

from __future__ import annotations

import asyncio

import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Factory,
    HostError,
    HostTarget,
    LocalHost,
    PlanError,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Stage,
    Stages,
    Stop,
    run,
)
from tests.fakes import Counter, nothing

ONCE = ClosedLoop(iterations=1)


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (RunPlan(), ["iterations: missing"]),
        (
            RunPlan(ClosedLoop(clients=0, iterations=-1, think_time_s=-1)),
            ["clients: 0", "iterations: -1", "think_time_s: -1"],
        ),
        (RunPlan(ONCE, pool=Pool("fibre")), ["pool kind: 'fibre'"]),
        (
            RunPlan(ONCE, pool=Pool(spin="sometimes", workers=0)),
            ["pool spin: 'sometimes'", "pool workers: 0"],
        ),
        (
            RunPlan(ONCE, pool=Pool(instances=0, intra_op_threads=-1)),
            ["pool instances: 0", "pool intra_op_threads: -1"],
        ),
        (RunPlan(ONCE, Stop(duration_s=0, min_queries=-4)), ["duration_s: 0", "min_queries: -4"]),
        (RunPlan(ONCE, Stop(duration_s=float("nan"))), ["duration_s: nan"]),
        (
            RunPlan(ONCE, timeout_s=0, drain_s=-1, interval_s=0),
            ["drain_s: -1", "timeout_s: 0", "interval_s: 0"],
        ),
        (
            RunPlan(ONCE, warmup_iterations=-1, warmup_s=-0.5),
            ["warmup_iterations: -1", "warmup_s: -0.5"],
        ),
        (RunPlan(ONCE, build_timeout_s=float("nan")), ["build_timeout_s: nan"]),
        (RunPlan(ClosedLoop(clients=2, iterations=1), pool=Pool("inline")), ["clients: 2"]),
        (
            RunPlan(ClosedLoop(clients=4, iterations=1), pool=Pool("thread", workers=2)),
            ["pool workers: 2"],
        ),
        (
            RunPlan(ClosedLoop(clients=2, iterations=1), pool=Pool("process", workers=3)),
            ["pool workers: 3"],
        ),
        (RunPlan(Poisson(10)), ["stop: an open loop of this kind has no end"]),
        (RunPlan(ConstantRate(0)), ["rate_per_s: 0", "stop: an open loop"]),
        (RunPlan(Replay(()), pool=Pool("inline", workers=2)), ["due_s: empty", "pool workers: 2"]),
        (
            RunPlan(
                ClosedLoop(clients=0),
                Stop(iterations=0),
                Pool("x", workers=0),
                timeout_s=-1,
                drain_s=-1,
            ),
            [
                "clients: 0",
                "iterations: 0",
                "pool kind: 'x'",
                "pool workers: 0",
                "drain_s: -1",
                "timeout_s: -1",
            ],
        ),
    ],
    ids=lambda value: None,
)
def test_all_faults_at_once(plan, named):
    found = plan.faults()
    assert len(found) == len(named), found
    for part in named:
        assert any(fault.startswith(part) for fault in found), (part, found)


@pytest.mark.parametrize(
    "plan",
    [
        RunPlan(ONCE),
        RunPlan(ClosedLoop(), Stop(duration_s=1)),
        RunPlan(ClosedLoop(), Stop(iterations=1)),
        RunPlan(ClosedLoop(), Stop(max_duration_s=1)),
        RunPlan(ClosedLoop(), Stop(min_queries=1)),
        RunPlan(Poisson(1), Stop(min_duration_s=1)),
        RunPlan(Poisson(1), Stop(iterations=1)),
        RunPlan(Stages((Stage(1, 1),))),
        RunPlan(Replay((1.0,))),
        RunPlan(ClosedLoop(clients=3, iterations=1), pool=Pool("process", workers=2)),
    ],
    ids=lambda value: None,
)
def test_a_plan_that_can_run_has_no_fault(plan):
    assert plan.faults() == []


def test_nothing_runs_when_the_plan_is_faulty():
    target = Counter()
    with pytest.raises(PlanError) as caught:
        run(RunPlan(ClosedLoop(clients=0, iterations=1), timeout_s=0), target)
    assert len(caught.value.faults) == 2
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    assert target.seen == []


@pytest.mark.parametrize("target", [lambda sample: None, Counter()], ids=["lambda", "object"])
def test_a_target_that_no_process_can_find_is_a_fault_of_the_plan(target):
    with pytest.raises(PlanError, match="Factory"):
        run(RunPlan(ONCE, pool=Pool("process")), target)


def test_processes_need_a_host_that_is_one():
    host = LocalHost(Factory("tests.fakes:Thing"))
    with pytest.raises(PlanError, match="process"):
        run(RunPlan(ONCE, pool=Pool("process")), HostTarget(host, "make"))


def test_run_inside_a_coroutine_names_run_async():
    async def inside():
        run(RunPlan(ONCE), nothing)

    with pytest.raises(RuntimeError, match="run_async"):
        asyncio.run(inside())


@pytest.mark.parametrize(
    ("plan", "planned"),
    [
        (RunPlan(ClosedLoop(clients=3, iterations=5)), 15),
        (RunPlan(ClosedLoop(clients=3, iterations=5), Stop(iterations=7)), 7),
        (RunPlan(ClosedLoop(clients=3), Stop(duration_s=1)), None),
        (RunPlan(Poisson(5), Stop(iterations=9)), 9),
        (RunPlan(Poisson(5), Stop(duration_s=9)), None),
    ],
    ids=lambda value: None,
)
def test_planned(plan, planned):
    assert plan.planned == planned


@pytest.mark.parametrize(
    "reference",
    ["tests.fakes", "tests.fakes:", ":make", "tests.fakes:no_such_name", "tests.none:make"],
)
def test_a_factory_that_names_nothing_is_a_host_error(reference):
    with pytest.raises(HostError):
        run(RunPlan(ONCE), Factory(reference))

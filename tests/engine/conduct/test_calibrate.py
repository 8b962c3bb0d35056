"""The engine's own cost: measured in every layout, in the processes of the run, within its budget,
once.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from qs.engine import (
    ChildHost,
    ClosedLoop,
    ConstantRate,
    Factory,
    Poisson,
    Pool,
    RunPlan,
    Stop,
    run,
    run_async,
)
from qs.engine.clock import MONOTONIC
from qs.engine.conduct import calibrate
from qs.engine.conduct.calibrate import (
    EngineCost,
    budget_s,
    cost_of,
    engine_cost,
    layout_key,
    null_share,
)
from qs.engine.conduct.layout import lay_out
from qs.engine.workers.share import PlanShare
from qs.engine.workers.target import nothing, nothing_awaited
from tests.fakes import VirtualClock


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(calibrate, "_known", {})


def plan_of(kind: str, workers: int, open_loop: bool) -> RunPlan:
    pool = Pool(kind, workers=workers if open_loop and kind != "inline" else None)
    load = Poisson(100, seed=0) if open_loop else ClosedLoop(clients=workers, iterations=5)
    return RunPlan(load=load, stop=Stop(iterations=5), pool=pool)


async def measured(plan: RunPlan) -> EngineCost | None:
    target = nothing_awaited if plan.pool.kind == "async" else nothing
    layout = lay_out(plan, target, None, False, False, MONOTONIC)
    try:
        for host in layout.hosts:
            host.start()
        return await engine_cost(plan, layout.sessions)
    finally:
        await layout.close()


@pytest.mark.parametrize("open_loop", [False, True])
@pytest.mark.parametrize(
    ("kind", "workers"), [("inline", 1), ("thread", 1), ("thread", 3), ("process", 2), ("async", 1)]
)
def test_every_layout_has_a_cost(kind, workers, open_loop):
    cost = asyncio.run(measured(plan_of(kind, workers, open_loop)))
    assert cost is not None
    assert cost.requests > 5  # thousands, on a machine at rest
    assert 10 < cost.ns_per_request < 10_000_000
    assert 0 < cost.service_ns < 10_000_000


def test_a_layout_is_measured_once():
    plan = plan_of("thread", 2, open_loop=False)
    first = asyncio.run(measured(plan))
    assert asyncio.run(measured(plan)) is first
    assert asyncio.run(measured(plan_of("thread", 3, open_loop=False))) is not first
    assert len(calibrate._known) == 2


def test_what_makes_layouts_differ():
    def key(plan: RunPlan) -> tuple:
        return layout_key(plan, lay_out(plan, nothing, None, False, False, MONOTONIC).sessions)

    base = plan_of("thread", 2, open_loop=False)
    assert key(base) == key(RunPlan(load=ClosedLoop(clients=2, iterations=99), pool=Pool("thread")))
    different = [
        plan_of("thread", 3, open_loop=False),
        plan_of("thread", 2, open_loop=True),
        RunPlan(load=ClosedLoop(clients=2, iterations=5), pool=Pool("thread", affinity=((0,),))),
        plan_of("inline", 1, open_loop=False),
    ]
    keys = {key(base), *map(key, different)}
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (Stop(), 0.03),
        (Stop(duration_s=60), 0.03),
        (Stop(duration_s=0.5), 0.015),
        (Stop(duration_s=60, max_duration_s=0.5), 0.015),
        (Stop(duration_s=0.01), 0.005),
        (Stop(iterations=10), 0.03),
    ],
)
def test_the_budget_is_a_small_share_of_the_run(stop, expected):
    assert budget_s(RunPlan(stop=stop)) == pytest.approx(expected)


def test_the_null_run_is_the_same_part_of_a_run_without_its_limits_and_extras():
    plan = RunPlan(
        load=ConstantRate(5),
        stop=Stop(duration_s=60),
        pool=Pool("thread", workers=40, affinity=((0,),)),
        timeout_s=0.001,
    )
    null = null_share(PlanShare(plan, 40, first=7, keep_columns=True, spin=True), 0.03, None)
    assert null.workers == calibrate.MOST_THREADS and null.first == 7
    assert not null.keep_columns and not null.spin
    assert null.plan.pool.affinity == ((0,),)
    assert null.plan.timeout_s > 1
    assert null.plan.faults() == []


def test_nothing_completed_is_no_cost():
    assert cost_of([], []) is None


def test_a_run_carries_it_unless_switched_off():
    plan = RunPlan(load=ClosedLoop(clients=1, iterations=300), pool=Pool("thread"))
    assert run(plan, nothing).engine_cost is not None
    off = run(RunPlan(load=plan.load, pool=plan.pool, calibrate=False), nothing)
    assert off.engine_cost is None
    assert off.to_dict()["engine_cost"] is None


def test_the_run_after_it_is_whole():
    """The null run leaves nothing behind: counts, errors and due times are the run's alone."""
    for kind in ("inline", "thread", "process"):
        result = run(RunPlan(load=ClosedLoop(clients=1, iterations=40), pool=Pool(kind)), nothing)
        assert (result.completed, result.errors, result.response.count) == (40, 0, 40), kind
    plan = RunPlan(
        load=ConstantRate(2_000), stop=Stop(iterations=50), pool=Pool("process", workers=2)
    )
    result = run(plan, nothing)
    assert (result.completed, result.errors) == (50, 0)


def test_no_null_request_on_another_clock():
    """On a clock that does not move by itself a null run would never end."""
    clock = VirtualClock()

    def target(sample: object) -> None:
        clock.advance_ns(1_000_000)

    plan = RunPlan(load=ClosedLoop(clients=1, iterations=10), pool=Pool("inline"))
    result = asyncio.run(run_async(plan, target, clock=clock))
    assert (result.completed, result.engine_cost, result.cpu) == (10, None, None)


class Service:
    def __init__(self):
        self.calls = 0

    def load_target(self, instance: int):
        def target(sample: object) -> None:
            self.calls += 1

        return target

    def seen(self) -> list[int]:
        return [self.calls, os.getpid()]


def test_in_a_host_process_it_is_measured_there_and_its_object_sees_nothing_of_it():
    async def main() -> None:
        async with ChildHost(Factory("tests.engine.conduct.test_calibrate:Service")) as host:
            plan = RunPlan(load=ClosedLoop(clients=1, iterations=25), pool=Pool("thread"))
            result = await run_async(plan, host.target("load_target"))
            calls, pid = await host.call("seen")
            assert (result.completed, calls) == (25, 25)
            assert result.engine_cost is not None
            assert pid != os.getpid()
        ((*_, places),) = calibrate._known
        assert [place for place, _, _ in places] != [""]

    asyncio.run(main())

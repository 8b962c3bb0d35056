"""The search with the real engine: a target that sleeps a fixed time behind two threads, whose
limit an exact simulation knows.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run_async
from qs.limit import LimitSettings, Trial, TrialPlan, find_limit, parse_goals
from tests.qs.limit.queues import true_limit

WORKERS = 2
POOL = Pool("thread", workers=WORKERS)


class Server:
    """Takes `service_s`: sleeps until an instant, and holds neither a core nor the interpreter
    meanwhile.
    """

    def __init__(self, service_s: float):
        self.service_s = service_s

    def __call__(self, sample: object) -> None:
        until = time.perf_counter() + self.service_s
        while (left := until - time.perf_counter()) > 0:
            time.sleep(left)


async def find(server: Server, bounds: str, settings: LimitSettings):
    """The limit, and the mean service time of all trials in seconds, weighted by their requests."""
    goals = parse_goals([bounds])
    results = []

    async def trial(plan: TrialPlan) -> Trial:
        run_plan = RunPlan(
            load=Poisson(plan.rate_per_s, plan.seed),
            stop=Stop(duration_s=plan.duration_s),
            pool=POOL,
            drain_s=plan.drain_s,
            interval_s=plan.interval_s,
            calibrate=False,
        )
        result = await run_async(run_plan, server)
        results.append(result)
        return Trial.of(plan, result)

    limit = await find_limit(goals, trial, settings)
    service_s = (
        sum(each.service.sum_ns for each in results)
        / sum(each.service.count for each in results)
        / 1e9
    )
    return limit, service_s


async def closed_loop_per_s(server: Server) -> float:
    plan = RunPlan(
        load=ClosedLoop(clients=WORKERS), stop=Stop(duration_s=0.5), pool=POOL, calibrate=False
    )
    return (await run_async(plan, server)).queries_per_s


def edge_of(service_s: float, bound_s: float) -> float:
    return true_limit(
        lambda took: float((took > bound_s).mean()) <= 0.01, WORKERS, service_s, WORKERS / service_s
    )


def test_a_short_search_runs_through_the_engine():
    """Too short for a good limit, and on a busy machine for any; but what is found is possible for
    the service time as it was measured, and the curve reaches collapse.
    """
    server = Server(0.002)

    async def whole():
        settings = LimitSettings(hint_per_s=await closed_loop_per_s(server), budget_s=3.0)
        return await find(server, "p90=6ms", settings)

    limit, service_s = asyncio.run(whole())
    assert service_s >= 0.002
    assert limit.spent_s <= 4.0
    assert limit.rate_per_s is None or 0.3 < limit.rate_per_s * service_s / WORKERS < 1.0
    assert any(point.verdict == "fails" for point in limit.points) or limit.fails_per_s is None
    assert len({trial.seed for trial in limit.trials}) == len(limit.trials)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_limit_of_a_real_target_is_that_of_the_exact_queue(seed):
    """5 ms of service, p99 within 20 ms: within a tenth of the limit of the simulated queue with
    the service time as it was measured.
    """
    server = Server(0.005)

    async def whole():
        settings = LimitSettings(
            hint_per_s=await closed_loop_per_s(server), budget_s=100.0, seed=seed, curve=False
        )
        return await find(server, "p99=20ms", settings)

    limit, service_s = asyncio.run(whole())
    edge = edge_of(service_s, 0.02)
    print(f"service {service_s * 1e3:.3f} ms, simulated limit {edge:.1f}/s")
    print(f"{limit.sentence()}; {limit.spent_s:.0f} s")
    assert limit.rate_per_s == pytest.approx(edge, rel=0.1)

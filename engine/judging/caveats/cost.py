"""Caveats about the engine itself: is it the engine that was measured, and did it issue in time?"""

from __future__ import annotations

from qs.engine.outcome import Doubt
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.ruling import Caveat
from qs.engine.words import number

ENGINE_BOUND = 0.8
ENGINE_NOTABLE = 0.25
ENGINE_SHARE = 0.05
LATE_SHARE = 0.05
LOOP_BOUND = 0.8
COLLECTION_NS = 1_000_000
COLLECTION_SHARE = 0.5
# CPU times tick in 10 ms, and a moment says little: shorter runs are not judged by them.
LEAST_S = 0.5


def engine_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Nearly everything that the workers did was the engine's work, and that was not a small part
    of the time.

    If other programs take CPU from the workers, the workers' own CPU time shows what the wall clock
    does not.
    """
    cores = engine_cores(result)
    if cores is None or not is_engine_bound(result, cores):
        return None
    return Caveat(
        Doubt.ENGINE_BOUND,
        f"the engine's own work took {cores:.0%} of a core in each worker process, "
        "nearly all that the workers did: "
        "the rate is the engine's limit, not the target's",
        "use more worker processes, or let one call do more work",
    )


def engine_cost(result: RunResult, plan: RunPlan) -> Caveat | None:
    """A share of the throughput (closed loop) or of the service times is the engine's; engine_bound
    is the worse case.

    Coroutines overlap, so the engine's work delays none of them until the event loop is busy: see
    loop_bound.
    """
    cores, cost = engine_cores(result), result.engine_cost
    if cores is None or cost is None or is_engine_bound(result, cores) or plan.pool.kind == "async":
        return None
    parts = []
    share = cost.ns_per_request / (cost.ns_per_request + result.service.mean_ns)
    if not result.open_loop and share > ENGINE_SHARE:
        parts.append(
            f"the engine's own {cost.ns_per_request:.0f} ns a request took {share:.0%} "
            "of the workers' time"
        )
    typical = result.service.percentile_ns(50)
    if cost.service_ns > ENGINE_SHARE * typical:
        parts.append(
            f"{cost.service_ns} ns of the median service time of {typical} ns "
            "are the engine's clock readings and its call"
        )
    if not parts:
        return None
    return Caveat(
        Doubt.ENGINE_COST,
        " and ".join(parts),
        "take such short calls as an upper bound, or let one call do more work",
    )


def loop_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.elapsed_s < LEAST_S:
        return None
    # On a busy machine a loop that is never idle gets less than a core.
    busiest = max(
        (
            (group.cpu_s + group.delayed_s) / cpu.elapsed_s
            for group in cpu.groups
            if group.kind == "async"
        ),
        default=0.0,
    )
    if busiest <= LOOP_BOUND:
        return None
    return Caveat(
        Doubt.LOOP_BOUND,
        f"an event loop that issues requests was busy for {busiest:.0%} of the time: "
        "the client's side, not the service, may set pace and latency",
        "spread the coroutines over more processes (pool workers)",
    )


def collector(result: RunResult, plan: RunPlan) -> Caveat | None:
    """An event loop that collects garbage answers to nothing; the engine collects in pauses, so the
    target asked for it, or left so much that it could not wait.
    """
    longest = result.longest_collection_ns
    if longest < COLLECTION_NS or longest <= COLLECTION_SHARE * result.service.percentile_ns(50):
        return None
    return Caveat(
        Doubt.COLLECTOR,
        f"Python's garbage collector stopped the event loop {number(result.collections)} times, "
        f"for up to {number(round(longest / 1e6, 1))} ms: what was in flight came back later by "
        "as much",
        "let the target leave fewer objects that refer to each other, or collect no garbage itself",
    )


def late_issue(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Late although a worker was free. Waits behind other requests are load, and are not meant."""
    pacing = result.pacing
    typical = result.service.percentile_ns(50)
    if pacing is None or not typical:
        return None
    percentile = next((p for p in (99.0, 95.0, 90.0) if pacing.supports(p)), None)
    if percentile is None:
        return None
    late = pacing.percentile_ns(percentile)
    if late <= LATE_SHARE * typical:
        return None
    return Caveat(
        Doubt.LATE_ISSUE,
        "requests were issued late although a worker was free "
        f"(p{percentile:g} {number(round(late / 1e3))} us, {_ratio(late / typical)} the median "
        "service time): response times contain it",
        "free a core for each worker and let it spin, or read service times",
    )


def engine_cores(result: RunResult) -> float | None:
    """How many cores the engine's own work took in each worker process, at the cost that the null
    run showed.
    """
    cost, cpu = result.engine_cost, result.cpu
    if cost is None or cpu is None or not cpu.groups or not result.completed or result.wall_s <= 0:
        return None
    return cost.ns_per_request * 1e-9 * result.completed / (result.wall_s * len(cpu.groups))


def is_engine_bound(result: RunResult, cores: float) -> bool:
    if cores > ENGINE_BOUND:
        return True
    workers_s = result.cpu.workers_s if result.cpu else 0.0
    groups = len(result.cpu.groups) if result.cpu else 1
    return cores > ENGINE_NOTABLE and cores * result.wall_s * groups > ENGINE_BOUND * workers_s > 0


def _ratio(value: float) -> str:
    return f"{value:.0%} of" if value < 2 else f"{number(round(value))} times"

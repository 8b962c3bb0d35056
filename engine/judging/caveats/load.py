"""Caveats about the load and what the target made of it: samples, the global lock, drift."""

from __future__ import annotations

from qs.engine.outcome import Doubt
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import TRACKABLE_LIMIT_NS, samples_needed
from qs.engine.result import RunResult
from qs.engine.ruling import Caveat
from qs.engine.statistics.trend import drift
from qs.engine.words import number

# CPU times tick in 10 ms, and a moment says little: shorter runs are not judged by them.
LEAST_S = 0.5
# Beside a target that frees the interpreter, a thread waits far less than a switch interval (5 ms);
# beside one that does not, one or more.
HELD_NS = 2_500_000
LEAST_IDLE = 0.25


def too_few_samples(result: RunResult, plan: RunPlan) -> Caveat | None:
    """For the percentiles that the plan asks for, and the one that its scenario judges."""
    asked = set(plan.percentiles)
    if plan.scenario is not None and plan.scenario.percentile is not None:
        asked.add(plan.scenario.percentile)
    wanted = sorted(p for p in asked if not result.response.supports(p))
    if not wanted or not result.response.count:
        return None
    names = ", ".join(f"p{p:g}" for p in wanted)
    needed = samples_needed(max(wanted, key=samples_needed))
    return Caveat(
        Doubt.TOO_FEW_SAMPLES,
        f"{number(result.response.count)} samples are too few for {names}, "
        f"which {'is' if len(wanted) == 1 else 'are'} not reported",
        f"measure at least {number(needed)} requests",
    )


def out_of_range(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Response times that no histogram holds: they are in no percentile, and not in the mean."""
    lost = result.response.out_of_range
    if not lost:
        return None
    return Caveat(
        Doubt.OUT_OF_RANGE,
        f"{number(lost)} of {number(result.completed)} response times were above "
        f"{TRACKABLE_LIMIT_NS / 3.6e12:.1f} h "
        "and are in no percentile, so the true ones are longer",
        "lower the rate, or set a timeout so that such requests count as failed",
    )


def gil_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Threads share about one core although another is idle, and a thread beside them waits long
    for the interpreter.

    A run too short for the latter is judged without it.
    """
    cpu = result.cpu
    if (
        cpu is None
        or cpu.elapsed_s < LEAST_S
        or cpu.cores < 2
        or cpu.idle_cpus is None
        or cpu.idle_cpus < LEAST_IDLE
    ):
        return None
    for group in cpu.groups:
        cores = group.cpu_s / cpu.elapsed_s
        if group.kind != "thread" or group.workers < 2 or not 0.8 <= cores <= 1.2:
            continue
        if group.wake_up_ns is None or group.wake_up_ns >= HELD_NS:
            return Caveat(
                Doubt.GIL_BOUND,
                f"{group.workers} threads together used {cores:.1f} cores: "
                "the target holds Python's global lock, "
                "so its calls wait for one another and the waits are in the service times",
                "use a process pool",
            )
    return None


def slow_warm_up(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Calls of the warm-up that would have been failures in the measured phase."""
    late, calls = result.warmup.timed_out, result.warmup.completed + result.warmup.errors
    if not late:
        return None
    return Caveat(
        Doubt.SLOW_WARM_UP,
        f"{number(late)} of {number(calls)} calls of the warm-up took longer than the timeout of "
        f"{number(plan.timeout_s)} s, which would be a failure in the measured phase",
        "users of a cold start wait that long: prepare the target before its first request, or "
        "set a longer timeout",
    )


def throughput_drift(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Only if the target sets the throughput, and not the schedule."""
    if plan.load.sets_rate:
        return None
    found = drift(result.rates)
    if found is None:
        return None
    return Caveat(
        Doubt.DRIFT,
        f"throughput {'rose' if found.change > 0 else 'fell'} by {abs(found.change):.0%} "
        "from the first half of the run to the second "
        f"({number(found.first, 4)} to {number(found.second, 4)} queries/s), "
        "more than chance explains",
        "warm up longer, or look for heat, other load or growing memory",
    )

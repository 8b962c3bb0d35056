"""What could have moved a result, in plain words and with advice: one rule a function, each a pure function of a result and its plan.

A caveat does not make a result INVALID: that is for the verdict. It says how far to trust the number and what to change.
Nothing is measured here; what a rule does not know (None) it does not judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.histogram import samples_needed
from engine.plan import RunPlan
from engine.result import RunResult
from engine.trend import drift, growth

# CPU times tick in 10 ms, and a moment is no picture of a machine: shorter runs are not judged by them.
LEAST_S = 0.5
# Beside a target that frees the interpreter, a thread waits far less than a switch interval (5 ms); beside one that does not, one or more.
HELD_NS = 2_500_000
LEAST_IDLE = 0.25
ENGINE_BOUND = 0.8
ENGINE_NOTABLE = 0.25
ENGINE_SHARE = 0.05
LATE_SHARE = 0.05
LOOP_BOUND = 0.8
OTHERS_SHARE = 0.1
STEAL_SHARE = 0.02
HELD_BACK_SHARE = 0.01
SLOW_CLOCK = 0.9
SWITCHES_PER_S = 100
BACKLOG_SHARE = 0.01


@dataclass(frozen=True)
class Caveat:
    """`code` for programs; `text` what was seen and what it does to the result; `advice` what to change."""

    code: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"


CaveatRule = Callable[[RunResult, RunPlan], "Caveat | None"]


def caveats_of(result: RunResult, plan: RunPlan) -> list[Caveat]:
    """All that apply, the gravest kinds first."""
    found = (rule(result, plan) for rule in RULES)
    return [caveat for caveat in found if caveat is not None]


def too_few_samples(result: RunResult, plan: RunPlan) -> Caveat | None:
    wanted = [p for p in plan.percentiles if not result.response.supports(p)]
    if not wanted or not result.response.count:
        return None
    names = ", ".join(f"p{p:g}" for p in wanted)
    needed = samples_needed(max(wanted, key=samples_needed))
    return Caveat(
        "too_few_samples",
        f"{result.response.count} samples are too few for {names}, which {'is' if len(wanted) == 1 else 'are'} not reported",
        f"measure at least {needed} requests",
    )


def gil_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Threads that share about one core although another is idle, while a thread beside them waits long for the interpreter.

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
                "gil_bound",
                f"{group.workers} threads together used {cores:.1f} cores: the target holds Python's global lock, "
                "so its calls wait for one another and the waits are in the service times",
                "use a process pool",
            )
    return None


def engine_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Nearly all that the workers did was the engine's work, and that was no small part of the time.

    Where other programs take CPU from the workers, their own CPU time shows what the wall clock does not.
    """
    cores = engine_cores(result)
    if cores is None or not is_engine_bound(result, cores):
        return None
    return Caveat(
        "engine_bound",
        f"the engine's own work took {cores:.0%} of a core in each worker process, nearly all that the workers did: "
        "the rate is the engine's limit, not the target's",
        "use more worker processes, or let one call do more work",
    )


def engine_cost(result: RunResult, plan: RunPlan) -> Caveat | None:
    """A share of the throughput (closed loop) or of the service times is the engine's; engine_bound is the worse case.

    Coroutines overlap, so the engine's work delays none of them until the event loop is busy: see loop_bound.
    """
    cores, cost = engine_cores(result), result.engine_cost
    if cores is None or cost is None or is_engine_bound(result, cores) or plan.pool.kind == "async":
        return None
    parts = []
    share = cost.ns_per_request / (cost.ns_per_request + result.service.mean_ns)
    if not result.open_loop and share > ENGINE_SHARE:
        parts.append(
            f"the engine's own {cost.ns_per_request:.0f} ns a request took {share:.0%} of the workers' time"
        )
    typical = result.service.percentile_ns(50)
    if cost.service_ns > ENGINE_SHARE * typical:
        parts.append(
            f"{cost.service_ns} ns of the median service time of {typical} ns are the engine's clock readings and its call"
        )
    if not parts:
        return None
    return Caveat(
        "engine_cost",
        " and ".join(parts),
        "take such short calls as an upper bound, or let one call do more work",
    )


def loop_bound(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.elapsed_s < LEAST_S:
        return None
    busiest = max((group.cpu_s / cpu.elapsed_s for group in cpu.groups if group.kind == "async"), default=0.0)
    if busiest <= LOOP_BOUND:
        return None
    return Caveat(
        "loop_bound",
        f"an event loop that issues requests was busy for {busiest:.0%} of the time: "
        "the client's side, not the service, may set pace and latency",
        "spread the coroutines over more processes (pool workers)",
    )


def late_issue(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Late though a worker was free: waits behind other requests are load, and not meant here."""
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
        "late_issue",
        f"requests were issued late although a worker was free (p{percentile:g} {late / 1e3:.0f} us, "
        f"{_ratio(late / typical)} the median service time): response times contain it",
        "free a core for each worker and let it spin, or read service times",
    )


def overload(result: RunResult, plan: RunPlan) -> Caveat | None:
    """A backlog that grew steadily by more than chance makes it, or of which much was left when the run was cut short."""
    if not result.open_loop:
        return None
    arrived = result.completed + result.errors
    handful = max(BACKLOG_SHARE * arrived, 10 + 4 * result.workers)
    left = sum(result.errors_by_kind.get(kind, 0) for kind in ("dropped", "not issued"))
    advice = "lower the rate, or give the target more workers"
    if left >= handful:
        text = f"{left} of {arrived} due requests never had their turn: more arrived than the target could answer"
        return Caveat("overload", text, advice)
    backlog = [float(row.in_flight) for row in _whole(result) if row.in_flight is not None]
    # After its highest point the backlog is that of the drain, when nothing arrives any more.
    grown = growth(backlog[: backlog.index(max(backlog)) + 1] if backlog else [])
    if grown is None or grown < handful:
        return None
    return Caveat(
        "overload",
        f"the backlog kept growing, by {grown:.0f} requests: more arrived than the target could answer, "
        "so response times depend on how long the run was",
        advice,
    )


def throughput_drift(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Closed loop only: in open loop the schedule sets the throughput."""
    if result.open_loop:
        return None
    found = drift([row.completed / row.length_s for row in _whole(result) if row.length_s > 0])
    if found is None:
        return None
    return Caveat(
        "drift",
        f"throughput {'rose' if found.change > 0 else 'fell'} by {abs(found.change):.0%} from the first half of the run to the second "
        f"({found.first:.4g} to {found.second:.4g} queries/s), more than chance explains",
        "warm up longer, or look for heat, other load or growing memory",
    )


def throttled(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.elapsed_s <= 0:
        return None
    seen = []
    held = cpu.quota_held_back_s or 0.0
    if held > HELD_BACK_SHARE * cpu.elapsed_s:
        seen.append(
            f"the CPU quota of {cpu.cores:.3g} cores held this process back for {held:.2f} of {cpu.elapsed_s:.2f} s"
        )
    if cpu.thermal_events:
        seen.append(f"CPUs slowed down for heat {cpu.thermal_events} times")
    if cpu.seen_mhz:
        half = len(cpu.seen_mhz) // 2
        least = min(cpu.seen_mhz)
        if cpu.base_mhz and least < SLOW_CLOCK * cpu.base_mhz:
            seen.append(f"the fastest CPU fell to {least:.0f} MHz, below its nominal {cpu.base_mhz:.0f}")
        elif half and min(cpu.seen_mhz[half:]) < SLOW_CLOCK * max(cpu.seen_mhz[:half]):
            seen.append(
                f"the CPU frequency fell from {max(cpu.seen_mhz[:half]):.0f} to {min(cpu.seen_mhz[half:]):.0f} MHz"
            )
    if not seen:
        return None
    return Caveat(
        "throttled", ", ".join(seen), "raise the quota, cool the machine, or set its governor to performance"
    )


def other_load(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.others_s is None or cpu.elapsed_s < LEAST_S:
        return None
    others = cpu.others_s / cpu.elapsed_s
    if others <= OTHERS_SHARE * cpu.host_cpus:
        return None
    return Caveat(
        "other_load",
        f"other programs used {others:.1f} of the machine's {cpu.host_cpus} CPUs",
        "stop them and measure again",
    )


def steal(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.steal_s is None or cpu.elapsed_s < LEAST_S:
        return None
    share = cpu.steal_s / (cpu.elapsed_s * cpu.host_cpus)
    if share <= STEAL_SHARE:
        return None
    return Caveat(
        "steal",
        f"the hypervisor gave {share:.0%} of this machine's CPU time to others",
        "measure on a machine with cores of its own",
    )


def preempted(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    workers = sum(group.workers for group in cpu.groups) if cpu else 0
    if cpu is None or not workers or cpu.elapsed_s < LEAST_S:
        return None
    per_s = cpu.involuntary_switches / (workers * cpu.elapsed_s)
    if per_s <= SWITCHES_PER_S:
        return None
    return Caveat(
        "preempted",
        f"each worker lost its core to another thread {per_s:.0f} times a second",
        "use fewer workers or fewer threads in the target, and pin them (pool affinity)",
    )


RULES: tuple[CaveatRule, ...] = (
    engine_bound,
    gil_bound,
    overload,
    loop_bound,
    late_issue,
    engine_cost,
    throughput_drift,
    steal,
    other_load,
    throttled,
    preempted,
    too_few_samples,
)


def engine_cores(result: RunResult) -> float | None:
    """Cores that the engine's own work took in each worker process, by the cost that the null run showed."""
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
    return f"{value:.0%} of" if value < 2 else f"{value:.0f} times"


def _whole(result: RunResult) -> list:
    """The intervals of full length."""
    length = max((row.length_s for row in result.intervals), default=0.0)
    return [row for row in result.intervals if row.length_s >= length * (1 - 1e-9)]

"""Caveats about the machine: what took CPU time from the run, or slowed the CPUs down."""

from __future__ import annotations

from qs.engine.outcome import Doubt
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.ruling import Caveat
from qs.engine.words import number

# CPU times tick in 10 ms, and a moment says little: shorter runs are not judged by them.
LEAST_S = 0.5
OTHERS_SHARE = 0.1
STEAL_SHARE = 0.02
HELD_BACK_SHARE = 0.01
SLOW_CLOCK = 0.9
SWITCHES_PER_S = 100


def throttled(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.elapsed_s <= 0:
        return None
    seen = []
    held = cpu.quota_held_back_s or 0.0
    if held > HELD_BACK_SHARE * cpu.elapsed_s:
        seen.append(
            f"the CPU quota of {number(cpu.cores, 3)} cores held this process back "
            f"for {held:.2f} of {cpu.elapsed_s:.2f} s"
        )
    if cpu.thermal_events:
        seen.append(f"CPUs slowed down for heat {cpu.thermal_events} times")
    if cpu.seen_mhz:
        half = len(cpu.seen_mhz) // 2
        least = min(cpu.seen_mhz)
        if cpu.base_mhz and least < SLOW_CLOCK * cpu.base_mhz:
            seen.append(
                f"the fastest CPU fell to {least:.0f} MHz, below its nominal {cpu.base_mhz:.0f}"
            )
        elif half and min(cpu.seen_mhz[half:]) < SLOW_CLOCK * max(cpu.seen_mhz[:half]):
            seen.append(
                f"the CPU frequency fell from {max(cpu.seen_mhz[:half]):.0f} "
                f"to {min(cpu.seen_mhz[half:]):.0f} MHz"
            )
    if not seen:
        return None
    return Caveat(
        Doubt.THROTTLED,
        ", ".join(seen),
        "raise the quota, cool the machine, or set its governor to performance",
    )


def other_load(result: RunResult, plan: RunPlan) -> Caveat | None:
    cpu = result.cpu
    if cpu is None or cpu.others_s is None or cpu.elapsed_s < LEAST_S:
        return None
    others = cpu.others_s / cpu.elapsed_s
    if others <= OTHERS_SHARE * cpu.host_cpus:
        return None
    return Caveat(
        Doubt.OTHER_LOAD,
        f"other programs used {others:.1f} of the machine's {cpu.host_cpus} CPUs: "
        "under another load a run may differ by more than its intervals say",
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
        Doubt.STEAL,
        f"the hypervisor gave {share:.0%} of this machine's CPU time to others: "
        "another run may differ by more than its intervals say",
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
        Doubt.PREEMPTED,
        f"each worker lost its core to another thread {number(round(per_s))} times a second",
        "use fewer workers or fewer threads in the target, and pin them (pool affinity)",
    )

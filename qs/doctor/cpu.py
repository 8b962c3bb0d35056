"""The processors: how many this process may use and whether the plan fits on them, their speed and
clocks, and the environment variables that give libraries a number of threads.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from qs.base.words import cpu_text, short_time
from qs.base.words import number as figure
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding, Planned
from qs.engine.machine import (
    FrequencyLog,
    cpu_folders,
    number,
    quota_cores,
    sharpen_timer,
    text,
    usable_cpus,
)

CPUS = "sys/devices/system/cpu"
SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
FAST_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
SLOW_CLOCK = 0.9
SLEEPS, SLEEP_S = 20, 0.0005
LATE_NS = 200_000
COARSE_NS = 1_000
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TBB_NUM_THREADS",
    "ORT_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME",
    "KMP_AFFINITY",
    "GOMP_CPU_AFFINITY",
    "OMP_PROC_BIND",
)


def cores(planned: Planned, root: Path) -> list[Finding]:
    """How many there are to use, whether they share hardware threads, and whether the plan fits."""
    usable = tuple(sorted(usable_cpus()))
    memberships = text(root / "proc/self/cgroup") or ""
    quota = quota_cores(cpu_folders(memberships, root / "sys/fs/cgroup"))
    return [
        _usable(usable),
        _quota(quota, len(usable)),
        _hardware_threads(usable, root),
        _room(planned, usable, quota),
        _affinity(planned, usable),
    ]


def _usable(usable: tuple[int, ...]) -> Finding:
    total = os.cpu_count() or len(usable)
    value = f"{len(usable)} of {total} CPUs ({cpu_text(usable)})"
    figures = {"usable": list(usable), "total": total}
    if len(usable) < 2:
        effect = (
            "clients, target and the program that watches them take turns on one core: "
            "their waits are part of the response times"
        )
        return Finding("cores", WARN, value, effect, "measure with at least two cores", figures)
    if len(usable) < total:
        effect = "an affinity mask keeps this process off the others, whatever the plan says"
        return Finding("cores", OK, value, effect, figures=figures)
    return Finding("cores", OK, value, figures=figures)


def _quota(quota: float | None, usable: int) -> Finding:
    figures = {"cores": quota}
    if quota is None:
        return Finding("CPU quota", OK, "none", figures=figures)
    if quota >= usable:
        value = f"{figure(quota)} cores, at least as many as there are"
        return Finding("CPU quota", OK, value, figures=figures)
    effect = "whoever uses more is held back for tens of milliseconds, which shows in p99"
    fix = (
        f"raise the container's CPU limit to {usable}, "
        f"or plan for at most {max(int(quota), 1)} busy threads"
    )
    value = f"{figure(quota)} cores on {usable} CPUs"
    return Finding("CPU quota", WARN, value, effect, fix, figures)


def _hardware_threads(usable: tuple[int, ...], root: Path) -> Finding:
    siblings = {
        cpu: cpu_numbers(text(root / CPUS / f"cpu{cpu}/topology/thread_siblings_list"))
        for cpu in usable
    }
    shared = sorted({each for each in siblings.values() if len(set(each) & set(usable)) > 1})
    figures = {"siblings": [list(each) for each in shared]}
    if not any(siblings.values()):
        return Finding("hardware threads", UNKNOWN, "not shown")
    if not shared:
        return Finding("hardware threads", OK, "one per core", figures=figures)
    value = "shared cores: " + ", ".join(map(cpu_text, shared))
    effect = "two threads of one core slow each other down by a third or more, at random"
    firsts = "/".join(str(each[0]) for each in shared)
    fix = f"pin instances to one thread per core: --affinity {firsts}"
    return Finding("hardware threads", WARN, value, effect, fix, figures)


def _room(planned: Planned, usable: tuple[int, ...], quota: float | None) -> Finding:
    available = min(float(len(usable)), quota or float(len(usable)))
    threads = planned.threads(available)
    if not planned.stated or threads is None:
        figures = {"cores": available}
        return Finding("room for the plan", UNKNOWN, "no plan was given", figures=figures)
    busy = threads * planned.copies
    value = f"{planned.copies} x {threads} threads on {figure(available)} cores"
    figures = {"busy_threads": busy, "cores": available}
    if busy <= available:
        return Finding("room for the plan", OK, value, figures=figures)
    effect = (
        "threads wait for each other's cores: "
        "the operating system's scheduling is measured along with the model"
    )
    fix = "fewer --instances, or --intra_op_threads"
    return Finding("room for the plan", WARN, value, effect, fix, figures)


def _affinity(planned: Planned, usable: tuple[int, ...]) -> Finding:
    if not planned.affinity:
        value = "instances are not pinned" if planned.stated else "nothing is pinned"
        return Finding("affinity", OK, value)
    missing = sorted({cpu for cpus in planned.affinity for cpu in cpus} - set(usable))
    value = " / ".join(cpu_text(cpus) for cpus in planned.affinity)
    if missing:
        effect = f"this process may not use the CPUs {missing}"
        return Finding("affinity", WARN, value, effect, f"choose from {cpu_text(usable)}")
    return Finding("affinity", OK, value)


def clocks(root: Path) -> list[Finding]:
    """Frequency, governor and turbo; the clock's source and resolution; how late sleeps end."""
    return [_governor(root), _frequency(root), _turbo(root), _source(root), _resolution(), _sleep()]


def _governor(root: Path) -> Finding:
    name = text(root / CPUS / "cpu0/cpufreq/scaling_governor")
    if name is None:
        return Finding("frequency governor", UNKNOWN, "not shown: the machine's owner sets it")
    if name in ("performance", "userspace"):
        return Finding("frequency governor", OK, name)
    effect = (
        "cores that waited run slower for the first milliseconds: "
        "short requests at low rates look slower than they are"
    )
    fix = "cpupower frequency-set -g performance"
    return Finding("frequency governor", WARN, name, effect, fix)


def _frequency(root: Path) -> Finding:
    log = FrequencyLog([0], root / CPUS)
    log.look()
    if not log.seen_mhz:
        return Finding("frequency", UNKNOWN, "not shown")
    now, nominal = log.seen_mhz[-1], log.base_mhz
    top_khz = number(root / CPUS / "cpu0/cpufreq/cpuinfo_max_freq")
    against = nominal or (top_khz and top_khz / 1e3)
    figures = {"mhz": now, "nominal_mhz": nominal}
    value = f"{now:.0f} MHz" + (f" of {against:.0f}" if against else "")
    if nominal and now < SLOW_CLOCK * nominal:
        effect = (
            "below its nominal frequency while this program ran: "
            "throttled, or slowed down by its governor"
        )
        fix = "cool the machine, or set its governor"
        return Finding("frequency", WARN, value, effect, fix, figures)
    return Finding("frequency", OK, value, figures=figures)


def _turbo(root: Path) -> Finding:
    off = number(root / CPUS / "intel_pstate/no_turbo")
    boost = number(root / CPUS / "cpufreq/boost")
    if off is None and boost is None:
        return Finding("turbo", UNKNOWN, "not shown")
    on = off == 0 if off is not None else boost == 1
    if not on:
        return Finding("turbo", OK, "off", figures={"on": False})
    effect = "a short run is faster than a long one, until the machine is warm"
    fix = (
        "warm up longer (--warmup 30s), "
        "or turn it off: echo 0 > /sys/devices/system/cpu/cpufreq/boost"
    )
    return Finding("turbo", WARN, "on", effect, fix, {"on": True})


def _source(root: Path) -> Finding:
    name = text(root / SOURCE)
    if name is None:
        return Finding("clock source", UNKNOWN, "not shown")
    if name in FAST_SOURCES:
        return Finding("clock source", OK, name)
    effect = "every reading of the clock is a system call: microseconds, twice per request"
    fix = "boot with clocksource=tsc if the processor's is stable"
    return Finding("clock source", WARN, name, effect, fix)


def _resolution() -> Finding:
    """The smallest step that the clock was seen to make."""
    steps: list[int] = []
    last = time.perf_counter_ns()
    while len(steps) < 200:
        now = time.perf_counter_ns()
        if now != last:
            steps.append(now - last)
            last = now
    least = min(steps)
    value, figures = short_time(least), {"resolution_ns": least}
    if least > COARSE_NS:
        effect, fix = "shorter requests cannot be told apart", "use another clock source"
        return Finding("clock resolution", WARN, value, effect, fix, figures)
    return Finding("clock resolution", OK, value, figures=figures)


def _sleep() -> Finding:
    """How late a sleep of half a millisecond ends: a worker that waits for a due time has to make
    up for it.
    """
    sharpen_timer()
    late = []
    for _ in range(SLEEPS):
        until = time.perf_counter_ns() + int(SLEEP_S * 1e9)
        time.sleep(SLEEP_S)
        late.append(time.perf_counter_ns() - until)
    median, most = int(statistics.median(late)), max(late)
    value = f"{short_time(median)} late in the median, {short_time(most)} at most"
    figures = {"median_ns": median, "max_ns": most}
    if median <= LATE_NS:
        return Finding("sleep", OK, value, figures=figures)
    effect = "open-loop requests are issued late, and their response times include that"
    fix = "stop other programs; let workers spin (--spin always) if cores are free"
    return Finding("sleep", WARN, value, effect, fix, figures)


def thread_variables(planned: Planned) -> Finding:
    """Environment variables that give libraries a number of threads, compared with the plan."""
    stated = {name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name)}
    value = ", ".join(f"{name}={each}" for name, each in stated.items()) or "none set"
    counts = {
        name: int(each)
        for name, each in stated.items()
        if name.endswith("_NUM_THREADS") and each.isdigit()
    }
    wanted = planned.intra_op_threads
    clashing = [name for name, count in counts.items() if wanted is not None and count != wanted]
    if clashing:
        effect = (
            f"libraries that read {', '.join(clashing)} "
            f"use another number of threads than the plan's {wanted}"
        )
        fix = f"unset {' '.join(clashing)}"
        return Finding("thread variables", WARN, value, effect, fix, stated)
    return Finding("thread variables", OK, value, figures=stated)


def cpu_numbers(listed: str | None) -> tuple[int, ...]:
    """The CPUs of a list such as 0-3,8; none if it is empty or not such a list."""
    cpus: list[int] = []
    for part in (listed or "").split(","):
        first, dash, last = part.strip().partition("-")
        if first.isdigit() and (not dash or last.isdigit()):
            cpus += range(int(first), int(last if dash else first) + 1)
    return tuple(dict.fromkeys(cpus))

"""Speed and time: the frequency governor and the frequency now, turbo, the clock's source and
resolution, how late sleeps end.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from qs.base.words import short_time
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.doctor.reading import number, text

CPU0 = "sys/devices/system/cpu/cpu0/cpufreq"
SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
FAST_SOURCES = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
SLOW_CLOCK = 0.9
SLEEPS, SLEEP_S = 20, 0.0005
LATE_NS = 200_000
COARSE_NS = 1_000


def probe(root: Path) -> list[Finding]:
    return [_governor(root), _frequency(root), _turbo(root), _source(root), _resolution(), _sleep()]


def _governor(root: Path) -> Finding:
    name = text(root / CPU0 / "scaling_governor")
    if name is None:
        return Finding("frequency governor", UNKNOWN, "not shown: the machine's owner sets it")
    if name in ("performance", "userspace"):
        return Finding("frequency governor", OK, name)
    effect = "cores that waited run slower for the first milliseconds: short requests at low rates look slower than they are"
    return Finding(
        "frequency governor", WARN, name, effect, "cpupower frequency-set -g performance"
    )


def _frequency(root: Path) -> Finding:
    now, nominal, top = (
        number(root / CPU0 / name)
        for name in ("scaling_cur_freq", "base_frequency", "cpuinfo_max_freq")
    )
    if now is None:
        return Finding("frequency", UNKNOWN, "not shown")
    against = nominal or top
    figures = {"mhz": now / 1e3, "nominal_mhz": None if nominal is None else nominal / 1e3}
    value = f"{now / 1e3:.0f} MHz" + (f" of {against / 1e3:.0f}" if against else "")
    if nominal and now < SLOW_CLOCK * nominal:
        effect = "below its nominal frequency while this program ran: throttled, or asleep by its governor"
        return Finding(
            "frequency", WARN, value, effect, "cool the machine, or set its governor", figures
        )
    return Finding("frequency", OK, value, figures=figures)


def _turbo(root: Path) -> Finding:
    off = number(root / "sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = number(root / "sys/devices/system/cpu/cpufreq/boost")
    if off is None and boost is None:
        return Finding("turbo", UNKNOWN, "not shown")
    on = off == 0 if off is not None else boost == 1
    if not on:
        return Finding("turbo", OK, "off", figures={"on": False})
    effect = "a short run is faster than a long one, until the machine is warm"
    fix = "warm up longer (--warmup 30s), or turn it off: echo 0 > /sys/devices/system/cpu/cpufreq/boost"
    return Finding("turbo", WARN, "on", effect, fix, {"on": True})


def _source(root: Path) -> Finding:
    name = text(root / SOURCE)
    if name is None:
        return Finding("clock source", UNKNOWN, "not shown")
    if name in FAST_SOURCES:
        return Finding("clock source", OK, name)
    effect = "every look at the clock is a call of the kernel: microseconds, twice a request"
    return Finding(
        "clock source",
        WARN,
        name,
        effect,
        "boot with clocksource=tsc where the processor's is stable",
    )


def _resolution() -> Finding:
    """The least step that the clock was seen to make."""
    steps: list[int] = []
    last = time.perf_counter_ns()
    while len(steps) < 200:
        now = time.perf_counter_ns()
        if now != last:
            steps.append(now - last)
            last = now
    least = min(steps)
    figures = {"resolution_ns": least}
    if least > COARSE_NS:
        return Finding(
            "clock resolution",
            WARN,
            short_time(least),
            "shorter requests cannot be told apart",
            "use another clock source",
            figures,
        )
    return Finding("clock resolution", OK, short_time(least), figures=figures)


def _sleep() -> Finding:
    """How late a sleep of half a millisecond ends: what a worker that waits for a due time has to
    make up for.
    """
    from qs.engine.machine import sharpen_timer

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
    effect = "requests of open loop are issued late, and their response times contain it"
    return Finding(
        "sleep",
        WARN,
        value,
        effect,
        "stop other programs; let workers spin (--spin always) where cores are free",
        figures,
    )

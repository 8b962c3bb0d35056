"""How the CPU time of this machine and of this process's family is spent, read through psutil; None
where that is not installed.

Only the conductor reads these, around a run and never inside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class HostTimes:
    """CPU seconds of all CPUs together since the machine started, at an instant (monotonic
    seconds).

    `steal_s` is time that a virtual machine wanted to run and its host gave to others; always 0 on
    bare metal.
    """

    at_s: float
    busy_s: float
    idle_s: float
    steal_s: float


def host_times() -> HostTimes | None:
    """The machine's CPU times now. In ticks of 10 ms a CPU on Linux: only differences over 0.1 s
    and more mean something.
    """
    try:
        import psutil
    except ImportError:
        return None
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    steal = getattr(times, "steal", 0.0)
    # Guests' time is part of user and nice on Linux.
    counted = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")
    busy = sum(getattr(times, name, 0.0) for name in counted)
    return HostTimes(time.perf_counter(), busy, idle, steal)


def family_s() -> float | None:
    """CPU seconds used so far by this process, all its descendants, and those that ended and were
    waited for.
    """
    try:
        import psutil
    except ImportError:
        return None
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it has just ended; its time is in its parent's
        total += (
            times.user
            + times.system
            + getattr(times, "children_user", 0.0)
            + getattr(times, "children_system", 0.0)
        )
    return total

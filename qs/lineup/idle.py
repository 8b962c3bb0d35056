"""Whether a backend whose turn it is not sleeps. One that goes on computing, or spins for work,
would slow down the others.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Of one CPU: less is a watchdog or a timer, and moves no figure by more than noise does. A thread
# pool may spin for a moment after its last call.
AWAKE, MOMENT_S = 0.05, 0.3


@dataclass(frozen=True)
class CpuReading:
    """CPU time of a process and of the children that it has waited for, in seconds."""

    pid: int
    used_s: float
    at_s: float


def awake(before: CpuReading | None, after: CpuReading | None) -> float | None:
    """The share of one CPU that a process took between two looks; None if it slept, is another one
    by now, or is gone.
    """
    if before is None or after is None or before.pid != after.pid:
        return None
    used_s, passed_s = after.used_s - before.used_s, after.at_s - before.at_s
    if used_s <= MOMENT_S or used_s <= AWAKE * passed_s:
        return None
    return used_s / passed_s


def read_cpu(pid: int | None, proc: Path = Path("/proc")) -> CpuReading | None:
    """None where there is no such process, or the system does not say (Linux does, in proc(5))."""
    if pid is None:
        return None
    try:
        text = (proc / str(pid) / "stat").read_text()
        # The name, in parentheses, may hold anything.
        ticks = sum(map(int, text.rpartition(")")[2].split()[11:15]))
    except (OSError, ValueError):
        return None
    return CpuReading(pid, ticks / os.sysconf("SC_CLK_TCK"), time.monotonic())

"""CPU time: of this machine and this process's family, of one thread, the time that a thread loses
waiting for the interpreter, and how exactly its timers end.

The machine's times are read through psutil and are None if it is not installed. Only the conductor
reads those, around a run and never inside it.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

try:
    import resource
except ImportError:  # not on this system: context switches are then not counted
    resource = None  # type: ignore[assignment]

KEPT_WAKE_UPS = 1_000
LEAST_WAKE_UPS = 3
_PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class HostTimes:
    """CPU seconds of all CPUs together since the machine started, read at one instant."""

    at_s: float  # monotonic
    busy_s: float
    idle_s: float
    # time that a virtual machine wanted to run and its host gave to others; always 0 on bare metal
    steal_s: float


def host_times() -> HostTimes | None:
    """The machine's CPU times now. On Linux each CPU counts in ticks of 10 ms, so only differences
    over 0.1 s or more are meaningful.
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
    """CPU seconds used so far by this process, by all its descendants, and by those descendants
    that have ended and were waited for.
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
            continue  # it has just ended; its time is counted in its parent's
        total += (
            times.user
            + times.system
            + getattr(times, "children_user", 0.0)
            + getattr(times, "children_system", 0.0)
        )
    return total


class WorkerUsage(Protocol):
    """What a worker thread reports of its use of the CPUs."""

    cpu_ns: int
    # ready to run, while others had the cores
    delayed_ns: int
    voluntary_switches: int
    involuntary_switches: int
    # how late a thread beside the workers typically woke up; see WakeUps
    wake_up_ns: int | None


class ThreadUse:
    """The CPU time and context switches of one thread. The thread makes it when its measured phase
    begins, and calls `into` at the end.
    """

    def __init__(self) -> None:
        self._cpu_ns = time.thread_time_ns()
        self._delayed_ns = _delayed_ns()
        self._switches = _switches()

    def into(self, report: WorkerUsage) -> None:
        """Put the CPU time into a worker's report, and the context switches if the system counts
        them by thread.
        """
        report.cpu_ns = time.thread_time_ns() - self._cpu_ns
        report.delayed_ns = max(_delayed_ns() - self._delayed_ns, 0)
        now = _switches()
        if now is not None and self._switches is not None:
            report.voluntary_switches = now[0] - self._switches[0]
            report.involuntary_switches = now[1] - self._switches[1]


def _delayed_ns() -> int:
    """How long this thread has waited for a core while it could have run (schedstat, see proc(5));
    0 where the kernel does not say.
    """
    try:
        return int(Path("/proc/thread-self/schedstat").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _switches() -> tuple[int, int] | None:
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None
    usage = resource.getrusage(who)
    return usage.ru_nvcsw, usage.ru_nivcsw


class WakeUps:
    """How long a thread that wakes up waits until the interpreter lets it run: what a target that
    holds the GIL does to the other threads.

    It costs nothing: the thread that watches over a group of workers waits with a time-out anyway,
    and those waits end late by just that. Call `waiting` before each wait, and `timed_out` after
    one that ran to its time-out.
    """

    def __init__(self) -> None:
        self._late_ns: deque[int] = deque(maxlen=KEPT_WAKE_UPS)
        self._until_ns = 0

    def waiting(self, for_s: float) -> None:
        self._until_ns = time.perf_counter_ns() + int(for_s * 1e9)

    def timed_out(self) -> None:
        self._late_ns.append(max(time.perf_counter_ns() - self._until_ns, 0))

    def typical_ns(self) -> int | None:
        """The median; None after fewer than LEAST_WAKE_UPS waits."""
        return (
            int(statistics.median(self._late_ns)) if len(self._late_ns) >= LEAST_WAKE_UPS else None
        )


def sharpen_timer() -> None:
    """Ask for the least timer slack for this thread (50 us by default), so that its sleeps end when
    they should. Does nothing outside Linux.
    """
    if sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        except (OSError, AttributeError):
            pass

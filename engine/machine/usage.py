"""What one thread used of a CPU, and how often it was put aside: read by the thread itself, before
and after what it measures.
"""

from __future__ import annotations

import time

from qs.engine.record.report import WorkerReport

try:
    import resource
except ImportError:  # not on this system: switches are then not told
    resource = None  # type: ignore[assignment]


class ThreadUse:
    """Made by a thread when its measured phase begins; `into` is called by the same thread at its
    end.
    """

    def __init__(self) -> None:
        self._cpu_ns = time.thread_time_ns()
        self._switches = _switches()

    def into(self, report: WorkerReport) -> None:
        """Leave in a worker's report the CPU time, and the context switches where the system counts
        them by thread.
        """
        report.cpu_ns = time.thread_time_ns() - self._cpu_ns
        now = _switches()
        if now is not None and self._switches is not None:
            report.voluntary_switches = now[0] - self._switches[0]
            report.involuntary_switches = now[1] - self._switches[1]


def _switches() -> tuple[int, int] | None:
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return None
    usage = resource.getrusage(who)
    return usage.ru_nvcsw, usage.ru_nivcsw

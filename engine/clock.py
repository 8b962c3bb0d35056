"""The one clock: every due, issued and completed time of a run is read here.

A clock has two methods, so a test can put one in whose time only moves when the target says so.
Wall-clock time of day is not a clock in this sense; it only stamps reports.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic nanoseconds, and sleep on the same scale."""

    def now_ns(self) -> int: ...

    def sleep_ns(self, duration_ns: int) -> None: ...


class MonotonicClock:
    """The system's monotonic clock, one scale for every process of the machine (CLOCK_MONOTONIC on
    Linux).
    """

    now_ns = staticmethod(time.perf_counter_ns)

    @staticmethod
    def sleep_ns(duration_ns: int) -> None:
        time.sleep(duration_ns / 1e9)


MONOTONIC = MonotonicClock()
# Later than any run, and far enough from the end of int64 for an instant to be added.
FOREVER_NS = 1 << 62

"""What a worker reports at its end, beside what lies in its memory. Plain values, for they cross
processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class WarmUp:
    """One worker's warm-up. Times in ns."""

    completed: int
    failed: int
    wall_ns: int
    first_ns: int  # service time of the very first call that was answered
    mean_ns: float  # mean service time
    first_fault: str | None = None
    timed_out: int = 0  # of `failed`, those that took longer than the plan's timeout_s


# due, issued, completed and the plan's parts (int64 ns), and outcome (int8), of one slice
Columns = tuple[np.ndarray, ...]


@dataclass
class WorkerReport:
    """One worker's report. The number is that of the whole run."""

    worker: int
    warm: WarmUp | None = None
    errors: dict[str, int] = field(default_factory=dict)  # failed requests by kind
    first_fault: str | None = None
    # what a started target counted by itself
    counts: dict[str, int] = field(default_factory=dict)
    # pauses of the event loop for garbage collection while requests were made, and the longest
    collections: int = 0
    longest_collection_ns: int = 0
    arrivals: list[int] = field(default_factory=list)  # requests due by interval
    cpu_ns: int = 0
    delayed_ns: int = 0  # ready to run, while others had the cores
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    # histogram index and count of the lateness of requests that the worker waited for
    paced: list[tuple[int, int]] = field(default_factory=list)
    # how late the thread that watches over the group woke up; in the first worker's report only
    wake_up_ns: int | None = None
    hung: bool = False
    crash: str | None = None  # traceback of what failed outside the target
    columns: list[Columns] = field(default_factory=list)  # empty unless kept
    # first issued, last completed, requests of each slice; empty unless kept
    slices: list[tuple[int, int, int]] = field(default_factory=list)


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of each name, 0 included."""
    total: dict[str, int] = {}
    for each in counts:
        for name, value in each.items():
            total[name] = total.get(name, 0) + value
    return total

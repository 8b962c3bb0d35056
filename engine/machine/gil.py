"""How long a thread that wakes up must wait until the interpreter lets it run: what a target that
holds the GIL does to the others.

Costs nothing: the thread that watches over a group of workers waits with a time-out anyway, and its
waits end late by just that.
"""

from __future__ import annotations

import statistics
import time
from collections import deque

KEPT = 1_000
LEAST = 3


class WakeUps:
    """How late timed waits ended: `waiting` before each, `timed_out` after one that ran to its
    time-out.
    """

    def __init__(self) -> None:
        self._late_ns: deque[int] = deque(maxlen=KEPT)
        self._until_ns = 0

    def waiting(self, for_s: float) -> None:
        self._until_ns = time.perf_counter_ns() + int(for_s * 1e9)

    def timed_out(self) -> None:
        self._late_ns.append(max(time.perf_counter_ns() - self._until_ns, 0))

    def typical_ns(self) -> int | None:
        """The median; None after fewer than LEAST waits."""
        return int(statistics.median(self._late_ns)) if len(self._late_ns) >= LEAST else None

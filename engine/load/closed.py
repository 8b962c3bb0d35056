"""Closed loop: each client issues its next request when the last one has come back.

The rate is whatever the target gives. There is no due time, so a stalled target is simply not
asked, and the stall shows in one sample: closed-loop response time is service time. Use an
open-loop model to see what users of a busy service would see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qs.engine.checks import MOST_WORKERS, count, counts, faults_of, seconds


@dataclass(frozen=True)
class ClosedLoop:
    """`clients` at a time, each `iterations` times (None: until the stop rule), pausing
    `think_time_s` before each request.
    """

    sets_rate: ClassVar[bool] = False
    duration_s: ClassVar[None] = None
    seed: ClassVar[None] = None

    clients: int = 1
    iterations: int | None = None
    think_time_s: float = 0.0

    def faults(self) -> list[str]:
        return faults_of(
            count("clients", self.clients, most=MOST_WORKERS),
            *counts(self, "iterations"),
            seconds("think_time_s", self.think_time_s),
        )

    @property
    def planned(self) -> int | None:
        """How many requests the model makes in all, where it says."""
        return None if self.iterations is None else int(self.clients) * int(self.iterations)

    @property
    def ends(self) -> bool:
        return self.iterations is not None

    def seeded(self) -> ClosedLoop:
        return self

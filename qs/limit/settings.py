"""How a search for a limit goes about: where it begins, how long its trials are, when it has seen
enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qs.base.errors import Fault, Faults
from qs.limit.goals import Goal

# So many requests may miss the strictest goal in the first look at a rate: with 150 for p99 the
# tail of the response times is to be seen.
FIRST_LOOK = 1.5
# A queue whose waits come near a bound remembers for as long; a trial lasts so many times the
# longest bound at least.
BOUNDS_A_TRIAL = 20
INTERVALS = 40
# Where the search begins: at this share of what the target does in closed loop.
FIRST = 0.7
NO_HINT_PER_S = 10.0


@dataclass(frozen=True)
class LimitSettings:
    """Everything a search depends on beside what its trials show: with the same settings and the
    same trials it does the same.

    hint_per_s   about what the target can do: its throughput in closed loop. None: the search
                 begins at 10 requests a second
    lowest_per_s, highest_per_s   rates that it does not leave. None: a fiftieth of where it begins,
                                  or what lets 20 requests fall due in
                 point_s; a hundred times where it begins, and without a hint a hundred thousand
                 times
    budget_s     what all trials together may take, from the start of each until its last answer
    trial_s      the shortest trial; point_s: what one rate may take until it is given up as
                 unclear; confirm_s: the confirmation. None: a share of the budget
    confidence   of "holds" and of "fails", each
    slack        how far below the likely limit the search goes for a rate that it can show to hold;
                 where the budget is too short for that, the limit is stated with less confidence
    resolution   the search ends when the rate that holds and the next that does not are as near as
                 this share
    curve        whether to measure below and above the limit for the curve, besides
    """

    hint_per_s: float | None = None
    lowest_per_s: float | None = None
    highest_per_s: float | None = None
    budget_s: float = 300.0
    trial_s: float | None = None
    point_s: float | None = None
    confirm_s: float | None = None
    confidence: float = 0.95
    slack: float = 0.05
    resolution: float = 0.02
    most_trials: int = 80
    seed: int = 0
    curve: bool = True

    def check(self) -> None:
        """Raises Faults with all that cannot be."""
        found = []
        for name in (
            "hint_per_s",
            "lowest_per_s",
            "highest_per_s",
            "budget_s",
            "trial_s",
            "point_s",
            "confirm_s",
            "most_trials",
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                found.append(Fault("the search for a limit", name, value, "above 0"))
        if not 0.5 < self.confidence < 1:
            found.append(
                Fault(
                    "the search for a limit", "confidence", self.confidence, "above 0.5 and below 1"
                )
            )
        for name in ("resolution", "slack"):
            if not 0 < getattr(self, name) < 1:
                found.append(
                    Fault(
                        "the search for a limit", name, getattr(self, name), "above 0 and below 1"
                    )
                )
        if self.seed < 0:
            found.append(Fault("the search for a limit", "seed", self.seed, "0 or above"))
        lowest, highest = self.lowest_per_s, self.highest_per_s
        if lowest is not None and highest is not None and not lowest < highest:
            found.append(
                Fault(
                    "the search for a limit",
                    "highest_per_s",
                    self.highest_per_s,
                    "above lowest_per_s",
                )
            )
        if found:
            raise Faults(found)

    @property
    def shortest_s(self) -> float:
        return self.trial_s or self.budget_s / 150

    @property
    def longest_point_s(self) -> float:
        return self.point_s or self.budget_s / 12

    @property
    def confirmation_s(self) -> float:
        return self.confirm_s or self.budget_s / 5

    def rates(self) -> tuple[float, float, float]:
        """The lowest rate, the one to begin with, and the highest."""
        start = self.hint_per_s * FIRST if self.hint_per_s else NO_HINT_PER_S
        start = min(max(start, self.lowest_per_s or 0.0), self.highest_per_s or math.inf)
        lowest = self.lowest_per_s or min(max(start / 50, 20 / self.longest_point_s), start)
        highest = self.highest_per_s or start * (100 if self.hint_per_s else 100_000)
        return lowest, start, highest

    def first_look_s(self, goals: Iterable[Goal], rate: float) -> float:
        """How long the first trial at a rate lasts."""
        goals = tuple(goals)
        shares = [goal.share for goal in goals if goal.share]
        enough = FIRST_LOOK / min(shares, default=0.01) / rate
        return min(
            max(self.shortest_s, BOUNDS_A_TRIAL * longest_bound_s(goals), enough),
            self.longest_point_s,
        )

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial, so that no two trials of a search see the same arrivals."""
    import numpy as np

    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def longest_bound_s(goals: Iterable[Goal]) -> float:
    return max((goal.bound_ns or 0 for goal in goals), default=0) / 1e9


def drain_s(goals: Iterable[Goal], duration_s: float) -> float:
    """What a trial's plan must set as its drain limit (`RunPlan.drain_s`): how long requests may
    still come back after the last was due.

    A request that waits for twice the longest bound has missed it. Half of the trial's own time is
    enough to answer what half as much again as the target's capacity leaves undone, so that its
    throughput beyond the limit is seen. What is cut off there counts as failed.
    """
    return max(1.0, 2 * longest_bound_s(goals), duration_s / 2)


def interval_s(duration_s: float) -> float:
    """What a trial's plan must set as the length of its intervals (`RunPlan.interval_s`), which the
    batches are made of.
    """
    return duration_s / INTERVALS

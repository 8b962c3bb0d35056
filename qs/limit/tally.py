"""How one trial stands to one goal: counts by batches of neighbouring intervals, small enough to be
kept in a result.

What the counts say of the goal is qs.limit.judging's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.limit.goals import Goal
from qs.limit.observation import Observation

# Batches of a trial at most. Neighbours are put together where they turn out to be correlated.
BATCHES = 40


@dataclass(frozen=True)
class Tally:
    """Per batch, in order of time.

    requests  how many ended in it; of a mean, how many were answered
    missed    how many of them missed the bound; of a mean, the sum of the response times in ns
    """

    requests: np.ndarray
    missed: np.ndarray

    def to_dict(self) -> dict[str, list[float]]:
        return {"requests": self.requests.tolist(), "missed": self.missed.tolist()}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Tally:
        return Tally(np.array(plain["requests"], np.float64), np.array(plain["missed"], np.float64))


@dataclass(frozen=True)
class Waits:
    """A trial's response times by batch: how many were answered, the sum of their times in ns, and
    of all the sum of their squares.
    """

    answered: np.ndarray
    total_ns: np.ndarray
    squares_ns2: float

    @property
    def variance_ns2(self) -> float:
        """Of one response time."""
        count = float(self.answered.sum())
        return (
            max(self.squares_ns2 / count - (float(self.total_ns.sum()) / count) ** 2, 0.0)
            if count
            else 0.0
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "answered": self.answered.tolist(),
            "total_ns": self.total_ns.tolist(),
            "squares_ns2": self.squares_ns2,
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Waits:
        answered, total = (np.array(plain[name], np.float64) for name in ("answered", "total_ns"))
        return Waits(answered, total, float(plain["squares_ns2"]))


def tallies_of(observation: Observation, goals: Sequence[Goal]) -> tuple[dict[str, Tally], Waits]:
    """A trial's tallies by the goals' names, and its waits."""
    rows = observation.intervals
    inside = sum(row.start_s < observation.duration_s * (1 - 1e-9) for row in rows)
    count = max(min(inside, BATCHES), 1)
    # What was answered after the last request had fallen due belongs to the last batch.
    of_row = np.array(
        [min(at * count // max(inside, 1), count - 1) for at in range(len(rows))], np.int64
    )
    nothing = np.zeros(0, np.int64)
    batch = np.repeat(of_row, [row.index.size for row in rows])
    index = np.concatenate([nothing, *(row.index for row in rows)]).astype(np.int64)
    counts = np.concatenate([nothing, *(row.counts for row in rows)]).astype(np.float64)
    failed = np.bincount(of_row, weights=[float(row.errors) for row in rows], minlength=count)
    failed[-1] += max(observation.failed - failed.sum(), 0.0)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(batch, weights=values, minlength=count)

    middles = middles_of(index)
    answered, total = sums(counts), sums(counts * middles)
    found = {}
    for goal in goals:
        if goal.share is None:
            found[goal.name] = Tally(answered, total)
        elif goal.bound_ns is None:
            found[goal.name] = Tally(answered + failed, failed)
        else:
            found[goal.name] = Tally(
                answered + failed, sums(counts * (index >= first_over(goal.bound_ns))) + failed
            )
    return found, Waits(answered, total, float((counts * middles**2).sum()))


def first_over(bound_ns: int) -> int:
    """The first histogram index whose values may lie above a bound: one that straddles it (0.1 %
    wide) counts as over.
    """
    from qs.engine.record.histogram import highest_value_of, index_of

    index = index_of(bound_ns)
    return index if highest_value_of(index) > bound_ns else index + 1


def middles_of(index: np.ndarray) -> np.ndarray:
    """The middle of each histogram cell in ns."""
    from qs.engine.record.histogram import HALF_BITS

    bucket = np.maximum((index >> HALF_BITS) - 1, 0)
    return ((index - (bucket << HALF_BITS)) << bucket) + ((1 << bucket) - 1) / 2

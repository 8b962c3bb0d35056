"""Spending a budget of time on the settings that promise something: successive halving.

Each round has an equal part of the budget, shared among the settings that are left; after it the
better half stays, and is measured longer (K. Jamieson and A. Talwalkar, "Non-stochastic best arm
identification and hyperparameter optimization", AISTATS 2016). Better is meant for two figures at
once: settings that nothing beats in both throughput and p99 go first, then those that only the
first beat, and so on (non-dominated sorting; K. Deb et al., "A fast and elitist multiobjective
genetic algorithm: NSGA-II", 2002).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from qs.base.pareto import fronts

T = TypeVar("T")
LAST = 4  # so many settings are left in the last round
LEAST_S = 0.25


def rounds_of(settings: int) -> list[int]:
    """How many settings each round measures: all, half of them, ... down to LAST."""
    counts = [settings]
    while counts[-1] > LAST:
        counts.append(max(math.ceil(counts[-1] / 2), LAST))
    return counts


def seconds_each(
    budget_s: float, counts: Sequence[int], at: int, spent_s: float, overhead_s: float
) -> float:
    """How long each trial of round `at` may measure: an equal part of what is left, less what a
    trial costs besides.
    """
    share = max(budget_s - spent_s, 0.0) / (len(counts) - at)
    return max(share / counts[at] - overhead_s, LEAST_S)


def survivors(figures: Mapping[T, tuple[float, float] | None], keep: int) -> list[T]:
    """The settings that go on, best first. figures: (throughput, p99) of each; None for one that
    failed, which does not go on.

    Within a front those with the most throughput go first, then those with the least p99, in turn.
    """
    alive = {setting: each for setting, each in figures.items() if each is not None}
    kept: list[T] = []
    for front in fronts(alive):
        fastest = sorted(front, key=lambda each: -alive[each][0])
        quickest = sorted(front, key=lambda each: alive[each][1])
        in_turn = [each for pair in zip(fastest, quickest) for each in pair]
        kept += list(dict.fromkeys(in_turn))
    return kept[:keep]

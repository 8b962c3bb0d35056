"""The rounds of a sweep: the order of its combinations in each, and a budget of time spent on the
promising ones by successive halving.

Each round gets an equal part of the budget, shared among the combinations that are left; after it
the better half stays, and is measured longer (K. Jamieson and A. Talwalkar, "Non-stochastic best
arm identification and hyperparameter optimization", AISTATS 2016). Better refers to two figures at
once: combinations that nothing beats in both throughput and p99 go first, then those that only the
first beat, and so on (non-dominated sorting; K. Deb et al., "A fast and elitist multiobjective
genetic algorithm: NSGA-II", 2002).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from qs.base.pareto import fronts

T = TypeVar("T")
LAST = 4  # how many combinations are left in the last round
LEAST_S = 0.25


def shuffled(combinations: Sequence[T], turn: int, seed: int) -> list[T]:
    """The order of a round. Each round has one of its own, so that a machine that slows down or
    warms up over the sweep favours no combination; a resumed sweep has the same ones again.
    """
    order = np.random.default_rng([seed, turn]).permutation(len(combinations))
    return [combinations[int(at)] for at in order]


def rounds_of(combinations: int) -> list[int]:
    """How many combinations each round measures: all, half of them, ... down to LAST."""
    counts = [combinations]
    while counts[-1] > LAST:
        counts.append(max(math.ceil(counts[-1] / 2), LAST))
    return counts


def seconds_each(
    budget_s: float, counts: Sequence[int], at: int, spent_s: float, overhead_s: float
) -> float:
    """How long each trial of round `at` may measure: an equal part of what is left, minus what a
    trial costs besides measuring.
    """
    share = max(budget_s - spent_s, 0.0) / (len(counts) - at)
    return max(share / counts[at] - overhead_s, LEAST_S)


def survivors(figures: Mapping[T, tuple[float, float] | None], keep: int) -> list[T]:
    """The combinations that go on, best first, by (throughput, p99) of each; None for one that
    failed, which does not go on.

    Within a front, those with the most throughput and those with the least p99 take turns.
    """
    alive = {key: each for key, each in figures.items() if each is not None}
    kept: list[T] = []
    for front in fronts(alive):
        fastest = sorted(front, key=lambda each: -alive[each][0])
        quickest = sorted(front, key=lambda each: alive[each][1])
        in_turn = [each for pair in zip(fastest, quickest) for each in pair]
        kept += list(dict.fromkeys(in_turn))
    return kept[:keep]

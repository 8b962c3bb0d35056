"""Does a goal hold? A test on counted requests that does not take noise for an answer, and does not
treat requests that queue together as independent.

A percentile's bound is a statement about a share: p99 <= 50 ms holds when at most 1 % of the
requests take longer. The share is tested as a binomial one (C. J. Clopper, E. S. Pearson, "The use
of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934),
with the number of requests first reduced for their crowding: long waits in a queue come together,
so a thousand requests may say no more than a hundred independent ones. That effective number is E.
L. Korn and B. I. Graubard's ("Confidence intervals for proportions with small expected number of
positive counts estimated from survey data", Survey Methodology 24, 1998): n / (variance between
batches / variance of independent requests), and less for few batches. A trial in which hardly
anything missed the bound shows nothing of the crowding, so before a goal is said to hold we look at
the response times themselves: in queues, the variance of their batch means relative to independent
requests is about as large as that of the share over a bound near p99 (computed for M/D/1, M/D/2 and
M/D/4 at loads of 14 to 94 %: they differ by at most a quarter, up to 90 %). The larger one counts.

Batches are intervals of a trial; neighbours are merged until they no longer show correlation (G. S.
Fishman, "Grouping observations in digital simulation", Management Science 24, 1978), down to 10,
below which their spread says little (B. Schmeiser, "Batch size effects in the analysis of
simulation output", Operations Research 30, 1982). A mean is tested by Student's t over the same
batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qs.engine.statistics import regularized_beta, student_t
from qs.limit.goals import Goal
from qs.limit.trial import BatchCounts, Waits

HOLDS, FAILS, UNCLEAR = "holds", "fails", "unclear"
FEWEST = 10
# The 95 % point of the standard normal distribution: the one-sided test at 5 %.
_ONE_SIDED = 1.645
_MOST_CORRELATED = 0.9


@dataclass(frozen=True)
class Judgement:
    """One goal at one rate, or over several."""

    goal: Goal
    requests: int
    # The share that missed the bound; for a mean, the mean in ns. None if nothing was seen.
    value: float | None
    # How many independent requests would say as much; for a mean, the number of batches.
    effective: float
    # How likely a result this good is if the goal just fails ...
    by_chance_holds: float
    # ... and one this bad if it just holds.
    by_chance_fails: float
    # Standard error of the value; for a share, taken at the value itself.
    error: float

    def verdict(self, confidence: float) -> str:
        if self.value is None:
            return UNCLEAR
        if self.by_chance_fails <= 1.0 - confidence:
            return FAILS
        return HOLDS if self.by_chance_holds <= 1.0 - confidence else UNCLEAR

    @property
    def allowed(self) -> float:
        """The highest value at which the goal holds."""
        return float(self.goal.bound_ns or 0) if self.goal.share is None else self.goal.share

    @property
    def met(self) -> bool:
        """Whether it holds as measured, without regard to chance."""
        return self.value is not None and self.value <= self.allowed

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Where the true value lies, at this confidence for each of the two ends."""
        if self.value is None or math.isinf(self.error):
            return None
        risk = 1.0 - confidence
        if self.goal.share is None:
            reach = _student(2 * confidence - 1, max(round(self.effective) - 1, 1)) * self.error
            return max(self.value - reach, 0.0), self.value + reach
        trials, seen = self.effective, self.value * self.effective
        low = (
            0.0
            if seen <= 0
            else _crossing(lambda share: _at_least(seen, trials, share) <= risk, 0.0, self.value)
        )
        high = (
            1.0
            if seen >= trials
            else _crossing(
                lambda share: probability_at_most(seen, trials, share) > risk, self.value, 1.0
            )
        )
        return low, high


def judge(
    goal: Goal, rates: Sequence[Sequence[tuple[BatchCounts, Waits]]], confidence: float
) -> Judgement:
    """All the trials given, together; there is one sequence for each rate."""
    tallies = [[counts for counts, _ in of_rate] for of_rate in rates]
    requests = float(sum(counts.requests.sum() for of_rate in tallies for counts in of_rate))
    missed = float(sum(counts.missed.sum() for of_rate in tallies for counts in of_rate))
    if requests <= 0:
        return Judgement(goal, 0, None, 0.0, 1.0, 1.0, math.inf)
    value = missed / requests
    if goal.share == 0:
        # No test can show that nothing ever fails: what was seen is all there is to say.
        return Judgement(
            goal, int(requests), value, requests, float(missed > 0), float(missed == 0), 0.0
        )
    variance, batches = _variance(
        [[(counts.missed, counts.requests) for counts in of_rate] for of_rate in tallies]
    )
    if goal.share is None:
        return _judge_mean(goal, int(requests), value, variance, batches)
    crowding = variance / (requests * value * (1 - value)) if 0 < value < 1 else 1.0
    shown = _effective(requests, crowding, batches, confidence)
    waits = [waits for of_rate in rates for _, waits in of_rate]
    effective = (
        min(shown, _effective(requests, *_crowding_of(waits), confidence))
        if goal.bound_ns is not None
        else shown
    )
    return Judgement(
        goal,
        int(requests),
        value,
        effective,
        probability_at_most(value * effective, effective, goal.share),
        _at_least(value * shown, shown, goal.share),
        math.sqrt(max(value * (1 - value), 1e-12) / effective),
    )


def _effective(requests: float, crowding: float, batches: int, confidence: float) -> float:
    """How many independent requests say as much; fewer for few batches, whose spread is not well
    known.
    """
    if batches < 2:
        return min(requests, 1.0)
    few, many = (
        _student(2 * confidence - 1, batches - 1),
        _student(2 * confidence - 1, max(int(requests) - 1, 1)),
    )
    return requests / max(crowding, 1.0) * min((many / few) ** 2, 1.0)


def _crowding_of(waits: Sequence[Waits]) -> tuple[float, int]:
    """How much more the batches of response times vary than independent ones would, each trial
    around its own mean; and the number of batches.
    """
    alone = sum(each.variance_ns2 * float(each.answered.sum()) for each in waits)
    variance, batches = _variance([[(each.total_ns, each.answered)] for each in waits])
    return (variance / alone if alone > 0 else 1.0), batches


def _judge_mean(
    goal: Goal, requests: int, value: float, variance: float, batches: int
) -> Judgement:
    if batches < 2:
        return Judgement(goal, requests, value, batches, 1.0, 1.0, math.inf)
    error = math.sqrt(variance) / requests
    distance = float(goal.bound_ns or 0) - value
    if error == 0.0:
        below = 0.0 if distance >= 0 else 1.0
    else:
        degrees, t = batches - 1, distance / error
        tail = 0.5 * regularized_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
        below = tail if distance >= 0 else 1.0 - tail
    return Judgement(goal, requests, value, batches, below, 1.0 - below, error)


def _variance(groups: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]]) -> tuple[float, int]:
    """Variance of the sum of what was counted, around each group's own share, and the number of
    batches that it comes from.

    The estimator of a ratio's variance (W. G. Cochran, "Sampling Techniques", 3rd edition, 1977,
    chapter 6), with batches as the units. If even the longest batches are correlated, it is widened
    as for a first-order autoregression.
    """
    size = 1
    while True:
        trials = [
            [(_together(counted, size), _together(of, size)) for counted, of in group]
            for group in groups
        ]
        residuals = []
        for group in trials:
            whole = sum(float(of.sum()) for _, of in group)
            share = sum(float(counted.sum()) for counted, _ in group) / whole if whole else 0.0
            residuals += [counted - share * of for counted, of in group]
        batches = sum(each.size for each in residuals)
        squares = sum(float((each**2).sum()) for each in residuals)
        neighbours = sum(max(each.size - 1, 0) for each in residuals)
        beside = sum(float((each[1:] * each[:-1]).sum()) for each in residuals)
        correlation = beside / squares if squares > 0 else 0.0
        correlated = neighbours > 0 and correlation > _ONE_SIDED / math.sqrt(neighbours)
        free = batches - len(groups)
        if free < 1:
            return squares, 1
        if not correlated or batches // 2 < FEWEST + len(groups):
            break
        size *= 2
    variance = squares * batches / free
    if correlated:
        correlation = min(correlation, _MOST_CORRELATED)
        variance *= (1 + correlation) / (1 - correlation)
    return variance, free + 1


def _together(values: np.ndarray, size: int) -> np.ndarray:
    """Sums of `size` neighbours; what is left over at the end goes to the last sum."""
    if size == 1 or values.size <= size:
        return values if size == 1 else values.sum(keepdims=True)
    return np.add.reduceat(values, np.arange(0, values.size - values.size % size, size))


def probability_at_most(count: float, trials: float, share: float) -> float:
    """P(X <= count) for a binomial X, also between whole numbers (DLMF 8.17.5)."""
    return 1.0 if count >= trials else regularized_beta(1.0 - share, trials - count, count + 1.0)


def _at_least(count: float, trials: float, share: float) -> float:
    return 1.0 if count <= 0 else regularized_beta(share, count, trials - count + 1.0)


def _crossing(below, low: float, high: float) -> float:
    """Where a statement about a share that is true at `low` becomes false."""
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


@lru_cache(maxsize=4096)
def _student(confidence: float, degrees: int) -> float:
    return student_t(round(confidence, 12), min(degrees, 1_000))

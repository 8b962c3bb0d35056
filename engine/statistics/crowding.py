"""How much requests that follow each other say: they wait in the same queue, meet the same stall,
run on the same hot core, so a thousand of them may say no more than a hundred independent ones.

What was counted in neighbouring intervals is put together into batches until the batches no longer
show correlation; their spread is that of the whole (G. S. Fishman, "Grouping observations in
digital simulation", Management Science 24, 1978, down to 10 batches, below which a spread says
little: B. Schmeiser, "Batch size effects in the analysis of simulation output", Operations Research
30, 1982). The test misses a small correlation, so what is left of it widens the spread as for a
first-order autoregression (A. Tafazzoli and J. R. Wilson, "Skart: a skewness- and
autoregression-adjusted batch-means procedure for simulation analysis", IIE Transactions 43, 2011).

The spread of a share makes an effective number of independent requests, less for few batches, and
that the interval of the share (E. L. Korn and B. I. Graubard, "Confidence intervals for proportions
with small expected number of positive counts estimated from survey data", Survey Methodology 24,
1998; C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the
case of the binomial", Biometrika 26, 1934).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qs.engine.statistics.beta import regularized_beta, student_t

FEWEST = 10
# The 95 % point of the standard normal distribution: the one-sided test at 5 %.
_ONE_SIDED = 1.645
_MOST_CORRELATED = 0.9
# What was counted in each interval, and of how many: two float64 arrays of one length.
Counts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Spread:
    """Variance of the sum of what was counted, and the batches that it comes from."""

    variance: float
    # One more than the degrees of freedom.
    batches: int
    # Whether even the longest batches resemble their neighbours: the run is too short to tell.
    correlated: bool


def spread_of(groups: Sequence[Sequence[Counts]]) -> Spread:
    """Of counts in order of time. Each group of runs varies around its own share.

    The estimator of a ratio's variance (W. G. Cochran, "Sampling Techniques", 3rd edition, 1977,
    chapter 6), with batches as the units.
    """
    size = 1
    while True:
        residuals = []
        for group in groups:
            runs = [(_together(counted, size), _together(of, size)) for counted, of in group]
            whole = sum(float(of.sum()) for _, of in runs)
            share = sum(float(counted.sum()) for counted, _ in runs) / whole if whole else 0.0
            residuals += [counted - share * of for counted, of in runs]
        batches = sum(each.size for each in residuals)
        squares = sum(float((each**2).sum()) for each in residuals)
        neighbours = sum(max(each.size - 1, 0) for each in residuals)
        beside = sum(float((each[1:] * each[:-1]).sum()) for each in residuals)
        correlation = beside / squares if squares > 0 else 0.0
        correlated = neighbours > 0 and correlation > _ONE_SIDED / math.sqrt(neighbours)
        free = batches - len(groups)
        if free < 1:
            return Spread(squares, 1, True)
        if not correlated or batches // 2 < FEWEST + len(groups) - 1:
            break
        size *= 2
    correlation = min(max(correlation, 0.0), _MOST_CORRELATED)
    variance = squares * batches / free * (1 + correlation) / (1 - correlation)
    return Spread(variance, free + 1, correlated)


def _together(values: np.ndarray, size: int) -> np.ndarray:
    """Sums of `size` neighbours; what is left over at the end goes to the last sum."""
    if size == 1 or values.size <= size:
        return values if size == 1 else values.sum(keepdims=True)
    return np.add.reduceat(values, np.arange(0, values.size - values.size % size, size))


def crowding_of(spread: Spread, requests: float, share: float) -> float:
    """How many times the variance of independent requests; 1 if the share is 0 or 1, which shows
    nothing of it.
    """
    return spread.variance / (requests * share * (1 - share)) if 0 < share < 1 else 1.0


def effective(requests: float, crowding: float, batches: int, confidence: float) -> float:
    """How many independent requests say as much; fewer for few batches, whose spread is not well
    known. `confidence` is that of a two-sided interval.
    """
    if batches < 2:
        return min(requests, 1.0)
    few = student(confidence, batches - 1)
    many = student(confidence, max(int(requests) - 1, 1))
    return requests / max(crowding, 1.0) * min((many / few) ** 2, 1.0)


def share_interval(share: float, requests: float, risk: float) -> tuple[float, float]:
    """Where the true share lies if this one was seen in so many independent requests (which need
    not be a whole number); each end is wrong with a probability of at most `risk`.
    """
    seen = share * requests
    low = (
        0.0 if seen <= 0 else _crossing(lambda at: at_least(seen, requests, at) <= risk, 0.0, share)
    )
    high = (
        1.0
        if seen >= requests
        else _crossing(lambda at: at_most(seen, requests, at) > risk, share, 1.0)
    )
    return low, high


def at_most(count: float, trials: float, share: float) -> float:
    """P(X <= count) for a binomial X, also between whole numbers (DLMF 8.17.5)."""
    return 1.0 if count >= trials else regularized_beta(1.0 - share, trials - count, count + 1.0)


def at_least(count: float, trials: float, share: float) -> float:
    """P(X >= count) for a binomial X, also between whole numbers."""
    return 1.0 if count <= 0 else regularized_beta(share, count, trials - count + 1.0)


def _crossing(below: Callable[[float], bool], low: float, high: float) -> float:
    """Where a statement about a share that is true at `low` becomes false."""
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
        if high - low <= 1e-5 * high:
            break
    return (low + high) / 2


@lru_cache(maxsize=4096)
def student(confidence: float, degrees: int) -> float:
    """`student_t`, remembered; above 1,000 degrees of freedom it hardly changes."""
    return student_t(round(confidence, 12), min(degrees, 1_000))

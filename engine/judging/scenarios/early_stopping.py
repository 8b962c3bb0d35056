"""How many requests a percentile needs before it may be believed: MLPerf's early-stopping
criterion.

Source: MLCommons, "MLPerf Inference Rules" (inference_policies/inference_rules.adoc), appendix
"Early Stopping Criterion"; the same as LoadGen's loadgen/early_stopping.cc. A system that fails by
a hair answers a request within the bound with probability p. It shows t or fewer over-latency
requests in h + t with the binomial probability F(t; h + t, 1 - p) = I_p(h, t + 1). A run may stop
when that is at most 1 - c: so lucky a run is then too unlikely. The rules' tolerance d is 0 and
their confidence c is 0.99.

Requests are taken as independent, as the rules take them. For runs that may be correlated see
statistics/confidence.py.
"""

from __future__ import annotations

import math

import numpy as np

from qs.engine.record.histogram import Histogram, highest_value_of
from qs.engine.statistics.beta import binomial_at_most

CONFIDENCE = 0.99


def queries_needed(over: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """The least number of requests, `over` of them over the bound, that show the percentile to be
    within it.

    459 for p99 with none over, 662 with one; 64 for p90 with one. `percentile` lies between 0 and
    100.
    """
    share = 1.0 - percentile / 100.0

    def enough(count: int) -> bool:
        return binomial_at_most(over, count, share) <= 1.0 - confidence

    # The expected place is over / share; it is passed by a few standard deviations.
    low = max(int(over / share) - 1, over)
    step = 1 + math.isqrt(low)
    high = low + step
    while not enough(high):
        low, step = high, step * 2
        high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def may_be_over(queries: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """The most requests over a bound that still show the percentile to be within it; -1 if even
    none would be too many.
    """
    share = 1.0 - percentile / 100.0
    low, high = -1, math.ceil(queries * share) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_at_most(middle, queries, share) <= 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def estimate_ns(
    response: Histogram, percentile: float, failed: int = 0, confidence: float = CONFIDENCE
) -> int | None:
    """The early-stopping estimate of a percentile: an upper bound that holds with the given
    confidence. None if there are too few requests.

    The rules' algorithm: with t the most that may be over, discard the t - 1 highest and report the
    highest of the rest. Failed requests count as the highest of all. Accurate to the histogram's
    resolution (0.1 %, upwards).
    """
    discarded = may_be_over(response.count + failed, percentile, confidence) - 1
    if discarded < failed:
        return None
    rank = response.count - (discarded - failed)
    index = int(np.searchsorted(np.cumsum(response.counts), rank))
    return min(highest_value_of(index), response.max_ns)


def count_over(response: Histogram, bound_ns: int) -> int:
    """How many values lie above a bound. A histogram bin that straddles the bound (0.1 % wide)
    counts as over, unless the maximum is within it.
    """
    if response.max_ns <= bound_ns:
        return 0
    filled = np.flatnonzero(response.counts)
    return sum(
        int(response.counts[index])
        for index in filled.tolist()
        if highest_value_of(index) > bound_ns
    )

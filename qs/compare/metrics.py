"""The figures that are compared, each a function of a series of intervals and of how often each
interval counts.

`weights` has a row a replicate and a column a cell; a row of ones gives the series' own figure.
Figures are in items/s and ns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qs.result.logs import Series

# Below so many queries beyond a percentile, its resampled values are a handful of the largest and
# say nothing of its spread.
BEYOND = 10
FEWEST_QUERIES = 20


@dataclass(frozen=True)
class Metric:
    """`key` is the figure's name in the report, where it is in ms; `percentile` None: throughput or
    mean.
    """

    name: str
    key: str
    percentile: float | None = None

    @property
    def rate(self) -> bool:
        """Whether more is better."""
        return self.name == "throughput"

    @property
    def heading(self) -> str:
        return "items/s" if self.rate else f"{self.name} ms"

    @property
    def queries_needed(self) -> int:
        if self.percentile is None:
            return FEWEST_QUERIES
        share = min(self.percentile, 100.0 - self.percentile) / 100.0
        return max(math.ceil(round(BEYOND / share, 6)), FEWEST_QUERIES)

    def of(self, series: Series, weights: np.ndarray) -> np.ndarray:
        """The figure in each replicate; throughput in queries/s. NaN where a replicate holds no
        answer.
        """
        if self.rate:
            return _ratio(weights @ series.counts.sum(axis=1), weights @ series.lengths_s)
        if self.percentile is None:
            sums = series.counts @ series.middles_ns
            return _ratio(weights @ sums, weights @ series.counts.sum(axis=1))
        return _percentile(series, weights, self.percentile)

    def influence(self, series: Series, value: float) -> np.ndarray:
        """What each cell adds to the figure's error, but for a factor: its correlation from cell to
        cell is the figure's.

        For a percentile that is the surplus of queries above it (Bahadur's representation of a
        quantile).
        """
        counts = series.counts.sum(axis=1)
        if self.rate:
            return counts - value * series.lengths_s
        if self.percentile is None:
            return series.counts @ series.middles_ns - value * counts
        above = series.counts[:, series.tops_ns > value].sum(axis=1)
        return above - (1.0 - self.percentile / 100.0) * counts

    def resolution(self, value: float) -> float:
        """Standard error, as a share, of where in its histogram bin a figure lies: percentiles
        report the bin's top.
        """
        if self.percentile is None or value <= 0:
            return 0.0
        from qs.engine.record.histogram import highest_value_of, index_of, lowest_value_of

        index = index_of(int(value))
        width = highest_value_of(index) - lowest_value_of(index)
        return width / value / math.sqrt(12.0)


METRICS = (
    Metric("throughput", "QPS"),
    Metric("mean", "AVG Latency"),
    Metric("p50", "P50 Latency", 50.0),
    Metric("p90", "P90 Latency", 90.0),
    Metric("p99", "P99 Latency", 99.0),
    Metric("p99.9", "P99.9 Latency", 99.9),
)
NAMES = tuple(metric.name for metric in METRICS)


def ones(series: Series) -> np.ndarray:
    return np.ones((1, series.cells))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _percentile(series: Series, weights: np.ndarray, percentile: float) -> np.ndarray:
    """By HdrHistogram's definition, found by bisection over the bins: a step costs one column of
    the table, not all of it.
    """
    below = np.cumsum(series.counts, axis=1)
    if not below.size:
        return np.full(weights.shape[0], np.nan)
    total = weights @ below[:, -1]
    rank = np.maximum(np.floor(percentile * total / 100.0 + 0.5), 1.0)
    low = np.zeros(weights.shape[0], np.int64)
    high = np.full(weights.shape[0], below.shape[1] - 1)
    for _ in range(below.shape[1].bit_length()):
        middle = (low + high) // 2
        reached = np.einsum("rc,cr->r", weights, below[:, middle]) >= rank
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return np.where(total > 0, series.tops_ns[high], np.nan)

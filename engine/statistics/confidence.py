"""How far a throughput and a percentile can be trusted: confidence intervals by batch means, which
allow for autocorrelation.

Requests that follow each other are not independent (a queue, a cache, a throttled core), so the
usual interval of n values is far too narrow. The run is cut into intervals, and neighbouring
intervals into batches; the interval comes from the spread of the batches' values by Student's t. A
batch's value is its completions per second, or its percentile of response time (batch quantiles:
Seila, "A batching approach to quantile estimation in regenerative simulations", Management Science
28, 1982).

Batches must be long enough to be independent of each other. As in Fishman, "Grouping observations
in digital simulation", Management Science 24, 1978: begin with many batches and double their length
until von Neumann's ratio no longer shows positive correlation between neighbours at the 5 % level.
Fewer than 10 batches say nothing of their spread (Schmeiser, "Batch size effects in the analysis of
simulation output", Operations Research 30, 1982: 10 to 30 suffice), and then there is no interval.

Left out: detection of a transient at the beginning, which the warm-up is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from qs.engine.record.histogram import Histogram, highest_value_of, samples_needed
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.statistics.beta import student_t
from qs.engine.statistics.estimate import LEVEL, Confidence, Estimate

FEWEST, MOST = 10, 64
PERCENTILES = (50.0, 90.0, 99.0)
# The 95 % point of the standard normal distribution: the one-sided test at 5 %.
_ONE_SIDED = 1.645
TOO_SHORT = "the run was shorter than one interval"


class Evidence:
    """The intervals of a run so far, in bounded memory: neighbours merge as the run goes on."""

    LIMIT = 2 * MOST

    def __init__(self, interval_s: float, percentiles: Iterable[float] = PERCENTILES):
        self._log = IntervalLog(interval_s, limit=self.LIMIT)
        self._interval_s = interval_s
        self._percentiles = tuple(dict.fromkeys(percentiles))
        self._last: dict[int, int] = {}

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        intervals = list(intervals)
        self._log.add(intervals)
        for worker, interval in intervals:
            self._last[worker] = interval.number

    def complete_s(self, workers: int) -> float:
        """The time up to which every worker has reported all it completed; 0.0 while one of them
        has reported nothing.
        """
        return (
            (min(self._last.values()) + 1) * self._interval_s if len(self._last) >= workers else 0.0
        )

    def rates(self, until_s: float) -> list[float]:
        """Completions per second, interval after interval, until a time."""
        cells, length_s = self._log.cells(until_s)
        return [int(cell.counts.sum()) / length_s for cell in cells]

    def confidence(self, until_s: float) -> Confidence:
        """The intervals from the start until a time."""
        cells, length_s = self._log.cells(until_s)
        counts = np.array([cell.counts.sum() for cell in cells], np.float64)
        return Confidence(
            _throughput(counts, length_s),
            {percentile: _percentile(cells, percentile) for percentile in self._percentiles},
        )


def _throughput(counts: np.ndarray, length_s: float) -> Estimate:
    if not counts.size:
        return Estimate(None, None, why=TOO_SHORT)
    value = float(counts.sum()) / (counts.size * length_s)
    found = Estimate(value, None, why=f"fewer than {FEWEST} intervals")
    for size, batches in _groupings(counts.size):
        means = (
            counts[counts.size - size * batches :].reshape(batches, size).mean(axis=1) / length_s
        )
        if independent(means):
            return Estimate(value, half_width(means), batches)
        found = Estimate(
            value, None, batches, "neighbouring batches are correlated: the run is too short"
        )
    return found


def _percentile(cells: Sequence[Interval], percentile: float) -> Estimate:
    value = percentile_of(cells, percentile)
    if value is None:
        return Estimate(None, None, why="nothing completed" if cells else TOO_SHORT)
    needed = samples_needed(percentile)
    found = Estimate(value, None, why=f"fewer than {FEWEST} batches of {needed} requests")
    for size, batches in _groupings(len(cells)):
        used = cells[len(cells) - size * batches :]
        groups = [used[first : first + size] for first in range(0, len(used), size)]
        if min(sum(int(cell.counts.sum()) for cell in group) for group in groups) < needed:
            continue
        values = np.array([percentile_of(group, percentile) for group in groups], np.float64)
        if independent(values):
            # A histogram's bin is 0.1 % wide: values that agree to the bin are not known any
            # better.
            return Estimate(
                value, max(half_width(values), Histogram.width_ns_at(value) / 2), batches
            )
        found = Estimate(
            value, None, batches, "neighbouring batches are correlated: the run is too short"
        )
    return found


def _groupings(cells: int) -> Iterator[tuple[int, int]]:
    """Cells per batch and number of batches, from many short ones to few long ones. What does not
    fill a batch is left out at the front.
    """
    size = max(math.ceil(cells / MOST), 1)
    while cells // size >= FEWEST:
        yield size, cells // size
        size *= 2


def independent(values: np.ndarray) -> bool:
    """Whether neighbours show no positive correlation: von Neumann's ratio, in Fishman's form,
    tested at 5 %.

    C = 1 - sum (y_j - y_{j+1})^2 / (2 sum (y_j - mean)^2) is the lag-1 correlation but for its
    ends; without correlation it is close to normal with mean 0 and variance (k - 2) / (k^2 - 1).
    """
    spread = float(((values - values.mean()) ** 2).sum())
    if spread == 0.0:
        return True
    ratio = 1.0 - float((np.diff(values) ** 2).sum()) / (2.0 * spread)
    batches = values.size
    return ratio <= _ONE_SIDED * math.sqrt((batches - 2) / (batches**2 - 1))


def half_width(values: np.ndarray) -> float:
    """Half the confidence interval of the mean of independent values, by Student's t."""
    return student_t(LEVEL, values.size - 1) * float(values.std(ddof=1)) / math.sqrt(values.size)


def percentile_of(cells: Sequence[Interval], percentile: float) -> int | None:
    """A percentile in ns over several intervals; None if they hold nothing."""
    index = np.concatenate([cell.index for cell in cells]) if cells else np.zeros(0, np.int64)
    if not index.size:
        return None
    order = np.argsort(index, kind="stable")
    below = np.cumsum(np.concatenate([cell.counts for cell in cells])[order])
    rank = max(int(percentile * below[-1] / 100 + 0.5), 1)
    return highest_value_of(int(index[order][np.searchsorted(below, rank)]))

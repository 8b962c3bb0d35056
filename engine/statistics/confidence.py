"""How far a throughput and a percentile can be trusted: 95 % confidence intervals that allow for
requests that are not independent of each other (a queue, a cache, a throttled core).

The run is cut into intervals, and neighbouring ones into batches (qs.engine.statistics.crowding).
A throughput's interval is that of the mean of the batches' counts, by Student's t.

A percentile is the response time that a certain share of the requests exceed, so its interval is
that of the share, read off the response times (R. S. Woodruff, "Confidence intervals for medians
and other position measures", Journal of the American Statistical Association 47, 1952; for
simulated queues P. Heidelberger and P. A. W. Lewis, "Quantile estimation in dependent sequences",
Operations Research 32, 1984). Percentiles of batches would not do: p99 of a queue is made by its
rare long waits, which most batches never see.

- A run that saw few of these long waits shows little of how they crowd. High percentiles are
  therefore taken to be worth no more independent requests than p90 (and p99, for those above it) of
  the same run, where there is more to see; in queues, requests above a bound crowd the less, the
  higher it is.
- It also shows too little of what lies above. Beyond the percentile the response times are carried
  on as an exponential tail through that percentile and the one with ten times the share above it,
  which is the tail of waits in queues (J. F. C. Kingman, "Inequalities in the theory of queues",
  Journal of the Royal Statistical Society B 32, 1970), if that leads further than what was seen.
- A run worth less than half of one independent request above the percentile cannot tell, and there
  is no interval: 50 for p99, 500 for p99.9.

Left out: detection of a transient at the beginning, which the warm-up is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from qs.engine.record.histogram import Histogram, highest_value_of, samples_needed
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.statistics.crowding import (
    FEWEST,
    crowding_of,
    effective,
    share_interval,
    spread_of,
    student,
)
from qs.engine.statistics.estimate import LEVEL, Confidence, Estimate

MOST = 64
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
# Those that a higher one is held against.
_BROADER = (90.0, 99.0)
# Independent requests beyond a percentile that a run must be worth.
_LEAST_BEYOND = 0.5
_TOO_SHORT = "the run was shorter than one interval"
_FEW = f"fewer than {FEWEST} intervals"
_CORRELATED = "neighbouring batches are correlated: the run is too short"
# A run whose longest batches still resemble each other does not show how long would do: try again.
LONGER = 4.0


class Evidence:
    """The intervals of a run so far, in bounded memory: neighbours merge as the run goes on."""

    LIMIT = 2 * MOST

    def __init__(
        self, interval_s: float, percentiles: Iterable[float] = PERCENTILES, of: str = "requests"
    ):
        """`of` is what is counted, for the reasons why there is no interval."""
        self._of = of
        self._log = IntervalLog(interval_s, limit=self.LIMIT)
        self.interval_s = interval_s
        self.percentiles = tuple(dict.fromkeys(percentiles))
        self._last: dict[int, int] = {}

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        intervals = list(intervals)
        self._log.add(intervals)
        for worker, interval in intervals:
            self._last[worker] = interval.number

    @property
    def length_s(self) -> float:
        """Of its intervals by now."""
        return self.interval_s * self._log.scale

    def found(self) -> list[Interval]:
        """Its intervals, but for the empty ones, numbered by `length_s`."""
        return self._log.found()

    def coarsen_to(self, length_s: float) -> None:
        """Merge neighbours until they are as long, at least."""
        self._log.coarsen_to(round(length_s / self.interval_s))

    def complete_s(self, workers: int) -> float:
        """The time up to which every worker has reported all it completed; 0.0 while one of them
        has reported nothing.
        """
        return (
            (min(self._last.values()) + 1) * self.interval_s if len(self._last) >= workers else 0.0
        )

    def rates(self, until_s: float) -> list[float]:
        """Completions per second, interval after interval, until a time."""
        cells, length_s = self._log.cells(until_s)
        return [int(cell.counts.sum()) / length_s for cell in cells]

    def confidence(self, until_s: float) -> Confidence:
        """The intervals from the start until a time."""
        cells, length_s = self._log.cells(until_s)
        counts = np.array([cell.counts.sum() for cell in cells], np.float64)
        seen = _Seen(cells, counts, self._of)
        return Confidence(
            _throughput(counts, length_s),
            {percentile: seen.percentile(percentile) for percentile in self.percentiles},
        )


def _throughput(counts: np.ndarray, length_s: float) -> Estimate:
    if not counts.size:
        return Estimate(None, None, why=_TOO_SHORT)
    fewest = FEWEST / counts.size
    seconds = counts.size * length_s
    value = float(counts.sum()) / seconds
    if counts.size < FEWEST:
        return Estimate(value, None, why=_FEW, longer=fewest)
    spread = spread_of([[(counts, np.ones(counts.size))]])
    if spread.correlated:
        return Estimate(value, None, spread.batches, _CORRELATED, LONGER)
    error = math.sqrt(spread.variance) / seconds
    return Estimate(value, student(LEVEL, spread.batches - 1) * error, spread.batches)


class _Seen:
    """The response times of all intervals together, in ascending order."""

    def __init__(self, cells: Sequence[Interval], counts: np.ndarray, noun: str):
        self._noun = noun
        # Requests in each interval.
        self._of = counts
        nothing = np.zeros(0, np.int64)
        index = np.concatenate([nothing, *(cell.index for cell in cells)])
        order = np.argsort(index, kind="stable")
        self._index = index[order].astype(np.int64)
        self._counts = np.concatenate([nothing, *(cell.counts for cell in cells)])[order]
        self._cell = np.repeat(np.arange(len(cells)), [cell.index.size for cell in cells])[order]
        self._below = np.cumsum(self._counts)
        self.requests = int(self._below[-1]) if self._below.size else 0
        self._worth: dict[float, tuple[float, int, bool]] = {}

    def percentile(self, percentile: float) -> Estimate:
        if not self.requests:
            return Estimate(None, None, why="nothing completed" if self._of.size else _TOO_SHORT)
        index = self._index_at(percentile / 100)
        value = highest_value_of(index)
        if self._of.size < FEWEST:
            return Estimate(value, None, why=_FEW, longer=FEWEST / max(self._of.size, 1))
        needed = samples_needed(percentile)
        if self.requests < needed:
            times = needed / self.requests
            return Estimate(value, None, why=f"fewer than {needed} {self._noun}", longer=times)
        worth, batches, correlated = self._worth_of(percentile)
        if correlated:
            return Estimate(value, None, batches, _CORRELATED, LONGER)
        for broader in _BROADER:
            if broader < percentile:
                worth = min(worth, self._worth_of(broader)[0])
        share = 1 - percentile / 100
        if worth * min(share, 1 - share) < _LEAST_BEYOND:
            least = math.ceil(_LEAST_BEYOND / min(share, 1 - share) - 1e-6)
            return Estimate(
                value,
                None,
                batches,
                f"the {self._noun} resemble their neighbours so much that they say no more than "
                f"{worth:.0f} independent ones, and {least} are needed: the run is too short",
                least / max(worth, 1.0),
            )
        low, high = share_interval(share, worth, (1 - LEVEL) / 2)
        below = value - highest_value_of(self._index_at(1 - high))
        above = max(
            highest_value_of(self._index_at(1 - low)) - value,
            self._tail_ns(share, value) * math.log(share / low) if low > 0 else 0.0,
        )
        # A histogram's bin is 0.1 % wide: what agrees to the bin is not known any better.
        least_ns = Histogram.width_ns_at(value) / 2
        return Estimate(value, max(float(below), float(above), least_ns), batches)

    def _index_at(self, part: float) -> int:
        """Where the histogram counts the value that this part of the requests does not exceed."""
        rank = max(int(part * self.requests + 0.5), 1)
        return int(self._index[np.searchsorted(self._below, min(rank, self.requests))])

    def _tail_ns(self, share: float, value: int) -> float:
        """By how much the response time grows while the share above it falls to 1 / e; 0.0 for the
        median and below, whose upper side is no tail.
        """
        broader = min(10 * share, 0.5)
        if broader <= share:
            return 0.0
        begun = highest_value_of(self._index_at(1 - broader))
        return (value - begun) / math.log(broader / share)

    def _worth_of(self, percentile: float) -> tuple[float, int, bool]:
        """How many independent requests the run is worth for the share above a percentile; the
        batches; whether they are still correlated.

        Where many requests took the same time, those that took longer and those that took at least
        as long may differ by much: what crowds more counts.
        """
        if percentile not in self._worth:
            index = self._index_at(percentile / 100)
            found = []
            for side in ("right", "left"):
                first = int(np.searchsorted(self._index, index, side=side))
                over = np.bincount(
                    self._cell[first:], weights=self._counts[first:], minlength=self._of.size
                )
                spread = spread_of([[(over, self._of)]])
                crowding = crowding_of(spread, self.requests, float(over.sum()) / self.requests)
                worth = effective(self.requests, crowding, spread.batches, LEVEL)
                found.append((worth, spread.batches, spread.correlated))
            self._worth[percentile] = min(found)
        return self._worth[percentile]

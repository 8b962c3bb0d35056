"""What is counted of a trial by goal, batch by batch: enough for qs.limit.judging, and small enough
to be kept in a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qs.base.payloads import counts_of
from qs.engine import RESPONSE, Histogram, IntervalRow, RunResult
from qs.engine.statistics import spread_of
from qs.limit.goals import GOODPUT, Goal, of_each_request, of_the_run

# Batches in a trial at most. Neighbours that turn out to be correlated are merged when judged.
BATCHES = 40
JITTER = 0.01


@dataclass(frozen=True)
class BatchCounts:
    """How one trial did by one goal, batch by batch in order of time."""

    # Requests that ended in the batch, or values of a measure that a request has many of; for a
    # mean, those that it is of.
    requests: np.ndarray
    # Those that missed the bound; for a mean, the sum of the values as recorded (ns).
    missed: np.ndarray

    def to_dict(self) -> dict[str, list[float]]:
        return {"requests": self.requests.tolist(), "missed": self.missed.tolist()}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> BatchCounts:
        return BatchCounts(*(np.array(plain[name], np.float64) for name in ("requests", "missed")))


@dataclass(frozen=True)
class Waits:
    """A trial's response times, or values of another measure: how many and their total by batch,
    and the sum of the squares of all of them.
    """

    answered: np.ndarray
    total_ns: np.ndarray
    squares_ns2: float

    @property
    def variance_ns2(self) -> float:
        """Of one response time."""
        count = float(self.answered.sum())
        if not count:
            return 0.0
        return max(self.squares_ns2 / count - (float(self.total_ns.sum()) / count) ** 2, 0.0)

    def of(self, times: float) -> Waits:
        """Of values that are so many times as large."""
        return Waits(self.answered, self.total_ns * times, self.squares_ns2 * times**2)

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


def crowding(waits: Sequence[Waits], bound: float | None) -> tuple[float, int]:
    """How much more the batches of response times vary than independent ones would, each trial
    around its own mean; and the number of batches. What varies by less than JITTER of the bound, or
    where there is none of the mean, is as good as constant: nothing crowds in it.
    """
    count = sum(float(each.answered.sum()) for each in waits)
    total = sum(float(each.total_ns.sum()) for each in waits)
    jitter = count * (JITTER * (bound or (total / count if count else 0.0))) ** 2
    alone = sum(each.variance_ns2 * float(each.answered.sum()) for each in waits) + jitter
    spread = spread_of([[(each.total_ns, each.answered)] for each in waits])
    return ((spread.variance + jitter) / alone if alone > 0 else 1.0), spread.batches


@dataclass(frozen=True)
class Values:
    """All values of a measure other than the response time."""

    waits: Waits
    histogram: Histogram = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        return {"waits": self.waits.to_dict(), "histogram": encoded(self.histogram)}

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Values:
        return Values(Waits.from_dict(plain["waits"]), decoded(plain["histogram"]))


@dataclass(frozen=True)
class Recorded:
    """What a run recorded by intervals, which are of one length, by the time of completion."""

    intervals: Sequence[IntervalRow]
    # the same of other measures, by name
    measures: Mapping[str, Sequence[IntervalRow]] = field(default_factory=dict)
    # requests that kept all bounds, in each of `intervals`; empty: it was not counted
    good: Sequence[int] = ()

    def since(self, warm_s: float) -> Recorded:
        """Without the intervals that began before."""
        if warm_s <= 0:
            return self

        def later(rows: Sequence[IntervalRow]) -> list[IntervalRow]:
            return [row for row in rows if row.start_s >= warm_s * (1 - 1e-9)]

        good = [
            count
            for count, row in zip(self.good, self.intervals)
            if row.start_s >= warm_s * (1 - 1e-9)
        ]
        measures = {name: later(rows) for name, rows in self.measures.items()}
        return Recorded(later(self.intervals), measures, good)

    def failed_before(self, warm_s: float) -> int:
        """Requests that failed in the intervals before."""
        return sum(row.errors for row in self.intervals if row.start_s < warm_s * (1 - 1e-9))

    @staticmethod
    def of(result: RunResult) -> Recorded:
        measures = {name: each.intervals for name, each in result.measures.items()}
        return Recorded(result.intervals, measures, result.good_by_interval)


def counted(
    goals: Sequence[Goal], recorded: Recorded, failed: int, duration_s: float, warm_s: float = 0.0
) -> tuple[dict[str, BatchCounts], Waits, dict[str, Waits]]:
    """The counts by the names of the goals that are judged by all requests, the waits, and those of
    the other measures that are bounded. `failed` are all failures, those of no interval included.
    What ended before `warm_s` does not count.
    """
    recorded, failed = recorded.since(warm_s), failed - recorded.failed_before(warm_s)
    rows = recorded.intervals
    inside = sum(row.start_s < duration_s * (1 - 1e-9) for row in rows)
    count = max(min(inside, BATCHES), 1)
    length_s = rows[0].length_s if rows else duration_s

    first_s = rows[0].start_s if rows else 0.0

    def batches(of: Sequence[IntervalRow]) -> np.ndarray:
        # What was answered after the last request had fallen due belongs to the last batch.
        at = [round((row.start_s - first_s) / length_s) if length_s > 0 else 0 for row in of]
        return np.array([min(each * count // max(inside, 1), count - 1) for each in at], np.int64)

    failures = np.bincount(
        batches(rows), weights=[float(row.errors) for row in rows], minlength=count
    )
    failures[-1] += max(failed - failures.sum(), 0.0)
    seen = {RESPONSE: _Seen(rows, batches(rows), count)}
    for name in {goal.measure for goal in goals} - {RESPONSE}:
        of = recorded.measures.get(name, ())
        seen[name] = _Seen(of, batches(of), count)
    tallies: dict[str, BatchCounts] = {}
    for goal in of_the_run(goals):
        values = seen[goal.measure]
        if goal.name == GOODPUT:
            tallies[goal.name] = _good(goals, recorded, seen[RESPONSE], failures, batches(rows))
        elif goal.allowed is None:
            tallies[goal.name] = BatchCounts(values.answered + failures, failures)
        elif goal.share is None:
            tallies[goal.name] = BatchCounts(values.answered, values.total)
        else:
            missed = values.missed(goal)
            others = np.zeros(count) if goal.many else failures
            tallies[goal.name] = BatchCounts(values.answered + others, missed + others)
    waits = {name: each.waits for name, each in seen.items()}
    return tallies, waits.pop(RESPONSE), waits


def _good(
    goals: Sequence[Goal],
    recorded: Recorded,
    response: _Seen,
    failures: np.ndarray,
    batch: np.ndarray,
) -> BatchCounts:
    """Requests, and those that were not good: as they were counted, or where the response time
    alone is bounded, from its histograms.
    """
    requests = response.answered + failures
    bounded = of_each_request(goals)
    if len(recorded.good) == len(recorded.intervals):
        good = np.bincount(
            batch, weights=np.array(recorded.good, np.float64), minlength=requests.size
        )
        return BatchCounts(requests, requests - good)
    if len(bounded) == 1 and bounded[0].measure == RESPONSE:
        return BatchCounts(requests, response.missed(bounded[0]) + failures)
    nothing = np.zeros(requests.size)
    return BatchCounts(nothing, nothing)


class _Seen:
    """The values of one measure by batch."""

    def __init__(self, rows: Sequence[IntervalRow], of_row: np.ndarray, count: int):
        nothing = np.zeros(0, np.int64)
        self._batch = np.repeat(of_row, [row.index.size for row in rows])
        self._index = np.concatenate([nothing, *(row.index for row in rows)]).astype(np.int64)
        self._counts = np.concatenate([nothing, *(row.counts for row in rows)]).astype(np.float64)
        self._count = count
        middles = Histogram.middles_ns(self._index)
        self.answered = self._sums(self._counts)
        self.total = self._sums(self._counts * middles)
        squares = float((self._counts * middles**2).sum())
        self.waits = Waits(self.answered, self.total, squares)

    def missed(self, goal: Goal) -> np.ndarray:
        """A histogram bin that straddles the bound (0.1 % wide) counts as missed."""
        allowed = goal.allowed or 0
        beyond = (
            Histogram.bottoms_ns(self._index) < allowed
            if goal.at_least
            else Histogram.tops_ns(self._index) > allowed
        )
        return self._sums(self._counts * beyond)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._batch, weights=values, minlength=self._count)


# What a histogram knows more exactly than its counts.
_EXACT = ("count", "min_ns", "max_ns", "sum_ns", "out_of_range")


def encoded(histogram: Histogram) -> dict[str, Any]:
    """A compressed HdrHistogram in base64, which any of its tools reads."""
    return {name: getattr(histogram, name) for name in _EXACT} | {
        "hdr": histogram.to_hdr().encode().decode("ascii")
    }


def decoded(plain: dict[str, Any]) -> Histogram:
    """The very histogram that was encoded, so that a search makes the same of it again. Raises
    ValueError, or what decoders raise, for what is none.
    """
    counts = counts_of(plain["hdr"])
    histogram = Histogram()
    histogram.counts[: counts.size] = counts
    for name in _EXACT:
        value = plain[name]
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {value!r}")
        setattr(histogram, name, value)
    if histogram.count != counts.sum():
        raise ValueError(f"count is {histogram.count}, of {counts.sum()} values")
    return histogram

"""Counts what a reader told of requests into histograms, whole and by interval, as response times
are counted: only of requests that were completed in time and without a failure. Outcomes, what
happened, and single requests are those of all.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.measures.checking import Checked, checked
from qs.engine.measures.found import STAMPS, Found
from qs.engine.measures.measure import (
    HAPPENED_NS,
    NOT_MEASURED,
    RESPONSE,
    Bound,
    Ended,
    Measure,
    Reading,
)
from qs.engine.measures.sampling import Columns, Sample
from qs.engine.outcome import ErrorKind
from qs.engine.record.histogram import COUNTS, TRACKABLE_LIMIT_NS, indices_of
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import HistogramCells, Outcome

# A run has no more windows of HAPPENED_NS (29 h); what is later counts into the last.
MOST_WINDOWS = 1 << 20
# The attributes of a call that its columns are filled from, beside the due time.
_STAMPS = ("issued_ns", "sent_ns", "first_ns", "last_ns")


class Plan(Protocol):
    """As much of a RunPlan as is asked for here."""

    @property
    def measures(self) -> Sequence[Measure]: ...

    @property
    def bounds(self) -> Sequence[Bound]: ...

    @property
    def sample_requests(self) -> int: ...

    @property
    def recorded_ns(self) -> int: ...

    @property
    def open_loop(self) -> bool: ...


@dataclass(frozen=True)
class Counted:
    """What is to be counted of a worker's requests."""

    plan: Plan
    worker: int
    start_ns: int
    keep_columns: bool


class Counter:
    """Counts the requests of one worker, batch after batch."""

    def __init__(self, asked: Counted):
        self._asked = asked
        self._plan = asked.plan
        self._sample = Sample(asked.plan.sample_requests, asked.start_ns)

    def count(self, ended: Sequence[Ended], reading: Reading) -> Found:
        """A batch of requests all of which were completed, or all of which failed. Raises TypeError
        if it is no reading.
        """
        asked, size, now_ns = self._asked, len(ended), MONOTONIC.now_ns()
        told = checked(reading, size, self._plan.measures, now_ns)
        stamps = stamps_of(ended)
        completed = all(each.failure is None for each in ended)
        found = Found(asked.worker, size, size if completed else 0, misread=told.misread)
        found.outcomes, found.counts = dict(told.outcomes), told.counts
        for name, (instants, amounts) in told.happened.items():
            windows = np.clip((instants - asked.start_ns) // HAPPENED_NS, 0, MOST_WINDOWS - 1)
            found.happened[name] = summed(windows, amounts)
        if completed:
            self._measure(found, told, stamps)
        rows = {**stamps, "outcome": outcomes_of(ended), "worker": _filled(size, asked.worker)}
        for measure in self._plan.measures:
            if not measure.many:
                rows[measure.name] = told.values.get(measure.name, _filled(size, NOT_MEASURED))
        found.sampled, found.sample_shift = self._sample.add(rows), self._sample.shift
        if asked.keep_columns and completed:
            found.columns = rows
        return found

    def _measure(self, found: Found, told: Checked, stamps: Columns) -> None:
        numbers = self._numbers_of(stamps["completed_ns"])
        for name, values in told.values.items():
            known = values >= 0
            found.measures[name] = counts_of(values[known], numbers[known])
        for name, (values, instants) in told.many.items():
            found.measures[name] = counts_of(values, self._numbers_of(instants))
        if self._plan.bounds:
            good = good_of(self._plan, told.values, stamps)
            found.good = summed(numbers[good], np.ones(int(good.sum()), np.int64))

    def _numbers_of(self, instants: np.ndarray) -> np.ndarray:
        """The intervals that instants lie in."""
        return np.maximum((instants - self._asked.start_ns) // self._plan.recorded_ns, 0)


def good_of(plan: Plan, values: dict[str, np.ndarray], stamps: Columns) -> np.ndarray:
    """Which requests kept all bounds."""
    began = stamps["due_ns"] if plan.open_loop else stamps["issued_ns"]
    values = {**values, RESPONSE: stamps["completed_ns"] - began}
    more = {measure.name for measure in plan.measures if measure.more_is_better}
    good = np.ones(began.size, bool)
    for bound in plan.bounds:
        column = values.get(bound.measure, _filled(began.size, NOT_MEASURED))
        kept = column >= bound.limit if bound.measure in more else column <= bound.limit
        good &= kept & (column >= 0)
    return good


def stamps_of(ended: Sequence[Ended]) -> Columns:
    """The stamps of these requests; of one that failed before its last, that is its latest."""
    stamps = {"due_ns": np.array([each.due_ns for each in ended], np.int64)}
    for name, attribute in zip(STAMPS[1:], _STAMPS):
        found = [_whole(getattr(each.call, attribute, 0)) for each in ended]
        stamps[name] = np.array(found, np.int64)
    last = stamps["completed_ns"]
    stamps["completed_ns"] = np.where(last > 0, last, np.max(list(stamps.values()), axis=0))
    return stamps


def _whole(stamp: Any) -> int:
    """A stamp, or 0 for what is none: it is the target's own."""
    try:
        whole = 0 if isinstance(stamp, bool) else operator.index(stamp)
    except Exception:
        return 0
    return whole if 0 <= whole < FOREVER_NS else 0


def outcomes_of(ended: Sequence[Ended]) -> np.ndarray:
    """What became of the requests, as in the column of that name."""
    timeout, failed = int(Outcome.TIMED_OUT), int(Outcome.FAILED)
    found = (
        0 if each.failure is None else timeout if each.failure == ErrorKind.TIMEOUT else failed
        for each in ended
    )
    return np.fromiter(found, np.int8, len(ended))


def counts_of(values: np.ndarray, numbers: np.ndarray) -> tuple[HistogramCells, list[Interval]]:
    """Values that lie in intervals of these numbers: exact cells, and counts by interval."""
    fits = values < TRACKABLE_LIMIT_NS
    beyond = int(values.size - np.count_nonzero(fits))
    if beyond:
        values, numbers = values[fits], numbers[fits]
    if not values.size:
        return HistogramCells(0, 0, 0, 0, beyond), []
    total = sum(values.tolist()) if int(values.max()) > 1 << 40 else int(values.sum())
    cells = HistogramCells(values.size, int(values.min()), int(values.max()), total, beyond)
    index, counts = np.unique(numbers * COUNTS + indices_of(values), return_counts=True)
    number = index // COUNTS
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), number.size]
    return cells, [
        Interval.compact(int(number[low]), index[low:high] % COUNTS, counts[low:high], 0)
        for low, high in zip(edges, edges[1:])
    ]


def summed(numbers: np.ndarray, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ascending numbers, each once, and the sum of each one's amounts."""
    single, inverse = np.unique(numbers, return_inverse=True)
    total = np.zeros(single.size, np.int64)
    np.add.at(total, inverse.ravel(), amounts)
    return single, total


def _filled(size: int, value: int) -> np.ndarray:
    return np.full(size, value, np.int64)

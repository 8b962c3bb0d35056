"""The plan's measures: what all workers found in their kept requests, put together as they come in,
and made into the parts of a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from qs.engine.measures.checking import (
    COUNTS,
    HAPPENED,
    MOST_CHARACTERS,
    MOST_NAMES,
    OTHER,
    OUTCOMES,
)
from qs.engine.measures.found import STAMPS, Found
from qs.engine.measures.sampling import Columns, Sample
from qs.engine.outcome import Unread
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalLog, IntervalRow
from qs.engine.record.memory import HistogramCells
from qs.engine.result import Measured, RunResult
from qs.engine.statistics.confidence import Evidence

# Those that have confidence intervals.
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
_NOTHING = np.zeros(0, np.int64)
_ONE = np.zeros(1, np.int64)


class Series:
    """One measure of all workers: whole, by interval, and how far to trust it."""

    def __init__(self, interval_s: float, per_interval: int = 1, many: bool = False):
        self.histogram = Histogram()
        self.log = IntervalLog(interval_s, per_interval)
        self.evidence = Evidence(interval_s, PERCENTILES, "values" if many else "requests")

    def add(self, cells: HistogramCells, intervals: Sequence[Interval]) -> None:
        whole = self.histogram
        for one in intervals:
            whole.counts[one.index] += one.counts
        if cells.counted:
            whole.min_ns = min(whole.min_ns, cells.min_ns) if whole.count else cells.min_ns
            whole.max_ns = max(whole.max_ns, cells.max_ns)
            whole.count += cells.counted
            whole.sum_ns += cells.sum_ns
        whole.out_of_range += cells.out_of_range
        self.add_intervals(intervals)

    def add_intervals(self, intervals: Iterable[Interval]) -> None:
        numbered = [(0, one) for one in intervals]
        self.log.add(numbered)
        self.evidence.add(numbered)

    def rows(self, wall_s: float, scale: int) -> list[IntervalRow]:
        """By interval: `scale` of those that came in, or more if there are too many to keep."""
        self.log.coarsen_to(scale)
        return self.log.rows(_NOTHING, wall_s, lost=True)


class Measuring:
    """The measures of one run."""

    def __init__(self, plan: RunPlan):
        self._plan = plan
        length_s, per_interval = plan.recorded_ns / 1e9, plan.recorded_per_interval
        self._series = {
            each.name: Series(length_s, per_interval, each.many) for each in plan.measures
        }
        self._good = Series(length_s, per_interval)
        self._goods = 0
        self._completed = 0  # of those that were read
        self._outcomes: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._happened: dict[str, np.ndarray] = {}
        self._misread: dict[str, str] = {}
        self._unread: dict[str, str] = {}
        self._written_bytes = self._longest_write_ns = 0
        self._sample: Sample | None = None
        self._columns: list[Columns] = []

    def add(self, batches: Iterable[Found], start_ns: int) -> None:
        """Add what workers found, in whatever order."""
        for found in batches:
            self._completed += found.completed
            for name, (cells, intervals) in found.measures.items():
                self._series[name].add(cells, intervals)
            numbers, goods = found.good
            self._goods += int(goods.sum())
            self._good.add_intervals(
                Interval.compact(number, _ONE, np.array([many]), 0)
                for number, many in zip(numbers.tolist(), goods.tolist())
            )
            _count(self._outcomes, found.outcomes)
            _count(self._counts, found.counts)
            for name, (windows, amounts) in found.happened.items():
                self._happen(name, windows, amounts)
            for what, why in found.misread.items():
                if len(self._misread) < 2 * MOST_NAMES:
                    self._misread.setdefault(what, why)
            if found.unread is not None:
                code = str(found.unread)
                self._unread[code] = self._unread.get(code) or found.fault
            self._written_bytes += found.written_bytes
            self._longest_write_ns = max(self._longest_write_ns, found.longest_write_ns)
            if self._sample is None:
                self._sample = Sample(self._plan.sample_requests, start_ns)
            self._sample.add(found.sampled, found.sample_shift)
            if found.columns:
                self._columns.append(found.columns)

    def _happen(self, name: str, windows: np.ndarray, amounts: np.ndarray) -> None:
        if name not in self._happened and len(self._happened) >= MOST_NAMES:
            name = OTHER
        so_far = self._happened.get(name, _NOTHING)
        if windows.size:
            more = max(int(windows[-1]) + 1 - so_far.size, 0)
            so_far = np.concatenate([so_far, np.zeros(more, np.int64)])
            so_far[windows] += amounts
        self._happened[name] = so_far

    def into(self, result: RunResult, scale: int, measured_s: float, lost: bool) -> None:
        """Fill in a result, whose intervals are of `scale` of the workers' each; `lost` is whether
        a process was, with what it kept.
        """
        plan, wrong = self._plan, self._misread
        if not plan.keeps:
            return
        for measure in plan.measures:
            series = self._series[measure.name]
            if measure.name not in wrong:
                result.measures[measure.name] = Measured(
                    measure,
                    series.histogram,
                    series.rows(result.wall_s, scale),
                    series.evidence.confidence(measured_s).response,
                    series.evidence,
                )
        if plan.bounds and not any(bound.measure in wrong for bound in plan.bounds):
            result.good = self._goods
            result.good_evidence = self._good.evidence
            result.good_per_s = self._good.evidence.confidence(measured_s).throughput
            rows = self._good.rows(result.wall_s, scale)
            rows += [_empty] * (len(result.intervals) - len(rows))
            result.good_by_interval = [row.completed for row in rows]
        result.outcomes = {} if OUTCOMES in wrong else dict(self._outcomes)
        result.read = {} if COUNTS in wrong else dict(self._counts)
        result.happened = {} if HAPPENED in wrong else self._happened
        result.unread = max(result.completed - self._completed, 0)
        result.unread_why = dict(self._unread)
        if result.unread and lost:
            result.unread_why.setdefault(str(Unread.LOST), "")
        result.misread = dict(wrong)
        result.written_bytes, result.longest_write_ns = self._written_bytes, self._longest_write_ns
        if self._sample is not None:
            result.sampled = {
                name: since(column, result.start_ns) if name in STAMPS else column
                for name, column in self._sample.rows().items()
                if name not in wrong
            }
        if result.columns is not None:
            self._add_columns(result.columns, result.start_ns)

    def _add_columns(self, columns: Columns, start_ns: int) -> None:
        names = [each.name for each in self._plan.measures if not each.many]
        names = [name for name in names if name not in self._misread]
        keys = ("completed_ns", "issued_ns", "due_ns", "worker")
        read = {
            name: np.concatenate([_NOTHING, *(piece[name] for piece in self._columns)])
            for name in (*keys, *names)
        }
        open_loop = self._plan.open_loop
        here = [columns[key] for key in keys if open_loop or key != "due_ns"]
        there = [
            since(read[key], start_ns) if key in STAMPS else read[key]
            for key in keys
            if open_loop or key != "due_ns"
        ]
        rows, found = matched(here, there)
        for name in names:
            column = np.full(columns["worker"].size, -1, np.int64)
            column[rows] = read[name][found]
            columns[name] = column


def since(stamps: np.ndarray, start_ns: int) -> np.ndarray:
    """Stamps from the start; -1 where there is none."""
    return np.where(stamps > 0, stamps - start_ns, -1)


def matched(
    here: Sequence[np.ndarray], there: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The places of those requests that both sides have, told apart by the same columns. Of several
    that are alike the first goes with the first.
    """
    both = [np.concatenate([one, other]).astype(np.int64) for one, other in zip(here, there)]
    size, first = both[0].size, here[0].size
    if not size:
        return _NOTHING, _NOTHING
    order = np.lexsort(both)
    other = np.zeros(size, bool)
    for column in both:
        ordered = column[order]
        other[1:] |= ordered[1:] != ordered[:-1]
    group = np.cumsum(other)
    ours = order < first  # the sort is stable: within a group ours come first
    begins = np.flatnonzero(np.r_[True, other[1:]])
    rank = np.arange(size) - begins[group]
    many = np.bincount(group, weights=ours).astype(np.int64)
    rank[~ours] -= many[group][~ours]
    key = group * size + rank
    _, mine, theirs = np.intersect1d(key[ours], key[~ours], assume_unique=True, return_indices=True)
    return order[ours][mine], order[~ours][theirs] - first


_empty = IntervalRow(0.0, 0.0, 0, 0, None, None, None)


def _count(total: Counter[str], more: dict[str, int]) -> None:
    for name, value in more.items():
        known = name in total or len(total) < MOST_NAMES
        total[name[:MOST_CHARACTERS] if known else OTHER] += value

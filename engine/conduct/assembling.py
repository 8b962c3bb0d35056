"""From the workers' memories and reports to one result: merging workers gives exactly what one
recorder would have held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from qs.engine.record.histogram import Histogram
from qs.engine.record.memory import Field, Phase, WorkerMemory
from qs.engine.record.recorder import Interval
from qs.engine.result import IntervalRow, WarmUpResult, from_counts
from qs.engine.workers.share import WorkerReport


def histogram_of(memory: WorkerMemory, at: Field, counts: np.ndarray) -> Histogram:
    """One histogram of a worker: exact where the worker published its sums, else as exact as its
    counts.
    """
    count, least, most, total, out_of_range = (int(cell) for cell in memory.header[at : at + 5])
    if count == int(counts.sum()):
        histogram = Histogram(counts.copy())
        histogram.count, histogram.min_ns, histogram.max_ns, histogram.sum_ns = (
            count,
            least,
            most,
            total,
        )
    else:
        filled = np.flatnonzero(counts)
        histogram = from_counts(filled, counts[filled])
    histogram.out_of_range = out_of_range
    return histogram


def rescue(memory: WorkerMemory, open_loop: bool, timeout_ns: int) -> None:
    """Count the requests that a lost worker had completed and not counted yet; its memory is then
    as if it had ended there.

    A row whose due time is negated holds a request that failed, which was counted at once.
    """
    header = memory.header
    in_slice = (
        header[Field.SLICE_NS]
        and not header[Field.FLUSHING]
        and header[Field.PHASE] == Phase.MEASURE
    )
    header[Field.PHASE] = Phase.DONE
    rows = int(np.count_nonzero(memory.completed)) if in_slice else 0
    due, issued, completed = memory.due[:rows], memory.issued[:rows], memory.completed[:rows]
    late = completed - issued > timeout_ns
    answered = due >= 0 if open_loop else np.ones(rows, bool)
    header[Field.FAILED] += np.count_nonzero(late & answered)
    header[Field.TIMED_OUT] += np.count_nonzero(late & answered)
    good = answered & ~late
    due, issued, completed = due[good], issued[good], completed[good]
    if not completed.size:
        return
    current = Histogram(memory.interval)
    if open_loop:
        current.record(completed - due)
        Histogram(memory.service).record(completed - issued)
        Histogram(memory.lateness).record(np.maximum(issued - due, 0))
    else:
        current.record(completed - issued)
    header[Field.COMPLETED] += completed.size
    header[Field.LAST_COMPLETED_NS] = completed[-1]


def merged(
    memories: Sequence[WorkerMemory], open_loop: bool
) -> tuple[Histogram, Histogram, Histogram]:
    """Response, service and lateness of all workers."""
    response, service, lateness = Histogram(), Histogram(), Histogram()
    for memory in memories:
        response.merge(histogram_of(memory, Field.RESPONSE, memory.response))
        unfinished = np.flatnonzero(memory.interval)
        if unfinished.size:
            response.merge(from_counts(unfinished, memory.interval[unfinished]))
        if open_loop:
            service.merge(histogram_of(memory, Field.SERVICE, memory.service))
            lateness.merge(histogram_of(memory, Field.LATENESS, memory.lateness))
    return response, (service if open_loop else response), lateness


class IntervalLog:
    """Merges the workers' intervals as they come in, and halves its own resolution when there are
    too many to keep.
    """

    LIMIT = 8_192
    # Filled counts kept in all, about 6 MB, as long as there are more than FEW intervals.
    CELLS = 1_000_000
    FEW = 256
    # Parts of one interval kept side by side before they are merged.
    PARTS = 32

    def __init__(self, interval_s: float, scale: int = 1, limit: int = LIMIT):
        """Intervals that come in are `interval_s` long, and `scale` of them are merged into one
        from the beginning.
        """
        self.interval_s = interval_s
        self._scale = scale
        self._limit = limit
        self._found: dict[int, list[Interval]] = {}
        self._cells = 0

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        for _, interval in intervals:
            number = interval.number // self._scale
            parts = self._found.setdefault(number, [])
            parts.append(interval)
            self._cells += interval.index.size
            if len(parts) > self.PARTS:
                self._cells -= sum(part.index.size for part in parts)
                parts[:] = [_one(number, parts)]
                self._cells += parts[0].index.size
        while len(self._found) > self._limit or (
            self._cells > self.CELLS and len(self._found) > self.FEW
        ):
            self._coarsen()

    def cells(self, until_s: float) -> tuple[list[Interval], float]:
        """The whole intervals until a time, empty ones included, and their length in seconds."""
        length_s = self.interval_s * self._scale
        # A hair is added because 0.3 / 0.1 is below 3.
        return [
            _one(number, self._found.get(number, []))
            for number in range(int(until_s / length_s + 1e-9))
        ], length_s

    def _coarsen(self) -> None:
        self._scale *= 2
        halved: dict[int, list[Interval]] = {}
        for number, parts in self._found.items():
            halved.setdefault(number // 2, []).append(_one(number, parts))
        self._found = {number: [_one(number, parts)] for number, parts in halved.items()}
        self._cells = sum(parts[0].index.size for parts in self._found.values())

    def rows(self, arrivals: np.ndarray, wall_s: float, lost: bool) -> list[IntervalRow]:
        """One row an interval up to the last, empty ones included. `arrivals` counts requests due
        per interval_s.
        """
        if not self._found:
            return []
        rows = []
        due = (
            np.add.reduceat(arrivals, np.arange(0, arrivals.size, self._scale))
            if arrivals.size
            else arrivals
        )
        arrived = done = 0
        length = self.interval_s * self._scale
        for number in range(max(self._found) + 1):
            whole = _one(number, self._found.get(number, []))
            histogram = from_counts(whole.index, whole.counts)
            arrived += int(due[number]) if number < due.size else 0
            done += histogram.count + whole.failed
            start_s = number * length
            rows.append(
                IntervalRow(
                    start_s,
                    min(length, max(wall_s - start_s, 0.0))
                    if number == max(self._found)
                    else length,
                    histogram.count,
                    whole.failed,
                    histogram.percentile_ns(50) if histogram.count else None,
                    histogram.percentile_ns(99) if histogram.count else None,
                    None if lost else max(arrived - done, 0),
                    whole.index,
                    whole.counts,
                )
            )
        return rows


def _one(number: int, parts: Sequence[Interval]) -> Interval:
    if not parts:
        return Interval(number, np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
    if len(parts) == 1:
        return parts[0]
    index, inverse = np.unique(np.concatenate([part.index for part in parts]), return_inverse=True)
    counts = np.zeros(index.size, np.int64)
    np.add.at(counts, inverse.ravel(), np.concatenate([part.counts for part in parts]))
    return Interval.compact(number, index, counts, sum(part.failed for part in parts))


def arrivals_of(reports: Sequence[WorkerReport]) -> np.ndarray:
    """Requests due per interval over all workers."""
    length = max((len(report.arrivals) for report in reports), default=0)
    total = np.zeros(length, np.int64)
    for report in reports:
        total[: len(report.arrivals)] += np.array(report.arrivals, np.int64)
    return np.trim_zeros(total, "b")


def errors_of(
    reports: Sequence[WorkerReport], memories: Sequence[WorkerMemory], lost: Counter[str]
) -> dict[str, int]:
    """Failed requests by kind. A lost worker's report names no kinds; its count is in its memory."""
    errors: Counter[str] = Counter(lost)
    for report, memory in zip(reports, memories):
        errors.update(report.errors)
        unnamed = int(memory.header[Field.FAILED]) - sum(report.errors.values())
        if unnamed > 0:
            errors["failed before its worker was lost"] += unnamed
        if memory.header[Field.DROPPED]:
            errors["dropped"] += int(memory.header[Field.DROPPED])
    return dict(errors)


def warm_up_of(reports: Sequence[WorkerReport]) -> WarmUpResult:
    warm = [report.warm for report in reports if report.warm is not None]
    completed = sum(one.completed for one in warm)
    if not warm:
        return WarmUpResult()
    mean = sum(one.mean_ns * one.completed for one in warm) / completed if completed else 0.0
    return WarmUpResult(
        completed, sum(one.failed for one in warm), max(one.wall_ns for one in warm) / 1e9, mean
    )

"""What happened when: intervals of one worker, merged over the workers into rows of the result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qs.engine.record.histogram import Histogram


@dataclass(frozen=True)
class Interval:
    """What one worker completed in one interval: counts of response times at histogram `index`, and
    failures.
    """

    number: int
    index: np.ndarray
    counts: np.ndarray
    failed: int

    @staticmethod
    def compact(number: int, index: np.ndarray, counts: np.ndarray, failed: int) -> Interval:
        """In six bytes per filled count if possible, since a long run keeps thousands of
        intervals.
        """
        small = not counts.size or int(counts.max()) < 1 << 32
        return Interval(
            number, index.astype(np.uint16), counts.astype(np.uint32 if small else np.int64), failed
        )


@dataclass(frozen=True)
class IntervalRow:
    """One interval of the measured phase."""

    start_s: float
    length_s: float
    completed: int
    errors: int
    p50_ns: int | None  # of the response time; None if nothing completed
    p99_ns: int | None
    # requests due (closed loop: issued) and not completed at the end; None if a worker was lost
    in_flight: int | None
    index: np.ndarray = field(repr=False, default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(repr=False, default_factory=lambda: np.zeros(0, np.int64))

    def histogram(self) -> Histogram:
        """The interval's response times."""
        return Histogram.from_counts(self.index, self.counts)


class IntervalLog:
    """Merges the workers' intervals as they come in, and halves its resolution when there are too
    many to keep.
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
                parts[:] = [merged(number, parts)]
                self._cells += parts[0].index.size
        while len(self._found) > self._limit or (
            self._cells > self.CELLS and len(self._found) > self.FEW
        ):
            self._coarsen()

    @property
    def scale(self) -> int:
        """How many of the intervals that come in are one by now."""
        return self._scale

    def found(self) -> list[Interval]:
        """The intervals that have something in them, numbered by `scale`."""
        return [
            replace(merged(number, parts), number=number)
            for number, parts in sorted(self._found.items())
        ]

    def coarsen_to(self, scale: int) -> None:
        """Merge neighbours until so many are one, at least."""
        while self._scale < scale:
            self._coarsen()

    def cells(self, until_s: float) -> tuple[list[Interval], float]:
        """The whole intervals until a time, empty ones included, and their length in seconds."""
        length_s = self.interval_s * self._scale
        # A hair is added because 0.3 / 0.1 is below 3.
        return [
            merged(number, self._found.get(number, []))
            for number in range(int(until_s / length_s + 1e-9))
        ], length_s

    def _coarsen(self) -> None:
        self._scale *= 2
        halved: dict[int, list[Interval]] = {}
        for number, parts in self._found.items():
            halved.setdefault(number // 2, []).append(merged(number, parts))
        self._found = {number: [merged(number, parts)] for number, parts in halved.items()}
        self._cells = sum(parts[0].index.size for parts in self._found.values())

    def rows(self, arrivals: np.ndarray, wall_s: float, lost: bool) -> list[IntervalRow]:
        """One row per interval up to the last, empty ones included. `arrivals` counts requests due
        in each `interval_s`.
        """
        if not self._found:
            return []
        # An interval at the end in which nothing came back is one all the same.
        while wall_s > self.interval_s * self._scale * self._limit:
            self._coarsen()
        rows = []
        length = self.interval_s * self._scale
        last = max(max(self._found), math.ceil(wall_s / length - 1e-9) - 1)
        due = (
            np.add.reduceat(arrivals, np.arange(0, arrivals.size, self._scale))
            if arrivals.size
            else arrivals
        )
        arrived = done = 0
        for number in range(last + 1):
            whole = merged(number, self._found.get(number, []))
            histogram = Histogram.from_counts(whole.index, whole.counts)
            arrived += int(due[number]) if number < due.size else 0
            done += histogram.count + whole.failed
            start_s = number * length
            rows.append(
                IntervalRow(
                    start_s,
                    min(length, max(wall_s - start_s, 0.0)) if number == last else length,
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


def merged(number: int, parts: Sequence[Interval]) -> Interval:
    """Parts of one interval as one."""
    if len(parts) == 1:
        return parts[0]
    failed = sum(part.failed for part in parts)
    filled = [part for part in parts if part.index.size]
    if not filled:
        return Interval(number, np.zeros(0, np.int64), np.zeros(0, np.int64), failed)
    low = min(int(part.index[0]) for part in filled)
    whole = np.zeros(max(int(part.index[-1]) for part in filled) + 1 - low, np.int64)
    for part in filled:
        whole[part.index - low] += part.counts
    index = np.flatnonzero(whole)
    return Interval.compact(number, index + low, whole[index], failed)

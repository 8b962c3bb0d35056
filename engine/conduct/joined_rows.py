"""The series of several runs as one: those of runs made one after the other follow each other,
those of runs that went on beside each other lie on one another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qs.engine.record.histogram import highest_value_of
from qs.engine.record.intervals import Interval, IntervalLog, IntervalRow, merged
from qs.engine.statistics.confidence import Evidence

_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Order:
    """When several runs went on, in seconds of the whole."""

    begins_s: tuple[float, ...]
    walls_s: tuple[float, ...]  # how long each took
    together: bool  # whether they went on at the same time, and are cut into the same intervals

    @property
    def wall_s(self) -> float:
        """A begin before 0 is one that is known too badly, and makes nothing shorter."""
        return max(self.ends_s(self.walls_s), default=0.0)

    def ends_s(self, lasted_s: Sequence[float]) -> list[float]:
        """When something ended that lasted so long in each."""
        return [max(begin, 0.0) + lasts for begin, lasts in zip(self.begins_s, lasted_s)]


def in_turn(walls_s: Sequence[float]) -> Order:
    """One after the other, without the pauses between them."""
    *begins, _ = itertools.accumulate(walls_s, initial=0.0)
    return Order(tuple(begins), tuple(walls_s), together=False)


def rows_of(
    found: Sequence[Sequence[IntervalRow]], order: Order, counted: IntervalLog | None = None
) -> list[IntervalRow]:
    """The intervals of the whole. `counted` is what runs that went on together counted, from which
    the rows then are made; it may lose resolution.
    """
    if order.together:
        return _on_one_another(found, order.wall_s, counted)
    rows: list[IntervalRow] = []
    for begun_s, each in zip(order.begins_s, found):
        rows += [replace(row, start_s=begun_s + row.start_s) for row in each]
    return rows


def length_of(found: Sequence[Sequence[IntervalRow]]) -> float:
    """The longest interval; the last of each run may be shorter."""
    return max((row.length_s for rows in found for row in rows), default=0.0)


def counted_of(found: Sequence[Sequence[IntervalRow]], length_s: float) -> IntervalLog:
    """What their rows counted, in intervals of that length or longer ones."""
    counted = IntervalLog(length_s)
    for rows in found:
        counted.add((0, one) for one in _Series(rows, length_s).intervals())
    return counted


def _on_one_another(
    found: Sequence[Sequence[IntervalRow]], wall_s: float, counted: IntervalLog | None
) -> list[IntervalRow]:
    length_s = length_of(found)
    if not length_s:
        return []
    if counted is None:
        counted = counted_of(found, length_s)
    while wall_s > counted.interval_s * counted.scale * counted.LIMIT:
        counted.coarsen_to(2 * counted.scale)
    length_s = counted.interval_s * counted.scale
    cells = {one.number: one for one in counted.found()}
    series = [_Series(rows, length_s) for rows in found]
    last = max(cells, default=0)
    size = max(math.ceil(wall_s / length_s - 1e-9), last + 1, *(each.size for each in series))
    in_flight, known = np.zeros(size, np.int64), np.ones(size, bool)
    for each in series:
        each.add_to(in_flight, known)
    nothing = Interval(0, _NONE, _NONE, 0)
    return [
        _row(
            start_s := number * length_s,
            length_s if number < size - 1 else min(length_s, max(wall_s - start_s, 0.0)),
            cells.get(number, nothing),
            waiting if is_known else None,
        )
        for number, (waiting, is_known) in enumerate(zip(in_flight.tolist(), known.tolist()))
    ]


def _row(start_s: float, length_s: float, cell: Interval, in_flight: int | None) -> IntervalRow:
    below = np.cumsum(cell.counts, dtype=np.int64)
    completed = int(below[-1]) if below.size else 0
    p50_ns, p99_ns = (
        highest_value_of(int(cell.index[np.searchsorted(below, rank_of(each, completed))]))
        if completed
        else None
        for each in (50, 99)
    )
    return IntervalRow(
        start_s,
        length_s,
        completed,
        cell.failed,
        p50_ns,
        p99_ns,
        in_flight,
        cell.index,
        cell.counts,
    )


def rank_of(percentile: float, count: int) -> int:
    """Which of so many values in ascending order a percentile is: HdrHistogram's definition."""
    return max(int(percentile * count / 100 + 0.5), 1)


class _Series:
    """The rows of one run, by the numbers of the whole's intervals."""

    def __init__(self, rows: Sequence[IntervalRow], length_s: float):
        self._rows = rows
        starts_s = np.array([row.start_s for row in rows])
        lengths_s = np.array([row.length_s for row in rows])
        self._numbers = (starts_s / length_s + 1e-9).astype(np.int64)
        ends = np.ceil((starts_s + lengths_s) / length_s - 1e-9).astype(np.int64) - 1
        self._ends = np.maximum(ends, self._numbers)
        self.size = int(self._ends[-1]) + 1 if rows else 0

    def add_to(self, in_flight: np.ndarray, known: np.ndarray) -> None:
        """Add what is in flight at the ends of its rows, which is what it was at their last end
        where they are longer. When it has ended nothing of it is in flight.
        """
        if not self._rows:
            return
        at_end = np.full(self.size, -2, np.int64)
        # the last row of each number is written last
        at_end[self._ends] = [-1 if row.in_flight is None else row.in_flight for row in self._rows]
        told = np.where(at_end == -2, -1, np.arange(self.size))
        last = np.maximum.accumulate(told)
        waiting = np.where(last < 0, 0, at_end[np.maximum(last, 0)])
        known[: self.size] &= waiting >= 0
        in_flight[: self.size] += np.maximum(waiting, 0)

    def intervals(self) -> Iterable[Interval]:
        for number, row in zip(self._numbers.tolist(), self._rows):
            if row.index.size or row.errors:
                yield Interval(number, row.index, row.counts, row.errors)


def folded(
    amounts: Sequence[Sequence[int]],
    found: Sequence[Sequence[IntervalRow]],
    order: Order,
    rows: Sequence[IntervalRow],
) -> list[int]:
    """An amount for each interval of the whole, from those for the intervals of each run."""
    if not order.together:
        return [many for each in amounts for many in each]
    length_s, size = length_of([rows]) or 1.0, len(rows)
    whole = np.zeros(size, np.int64)
    for each, of in zip(amounts, found):
        numbers = (np.array([row.start_s for row in of]) / length_s + 1e-9).astype(np.int64)
        np.add.at(whole, np.minimum(numbers[: len(each)], size - 1), each[: len(of)])
    return whole.tolist()


def evidence_of(
    found: Sequence[Evidence | None],
    stretches: Sequence[Sequence[IntervalRow]],
    order: Order,
    percentiles: Iterable[float],
    of: str = "requests",
) -> tuple[Evidence, float] | None:
    """How far to trust all of them, from their whole intervals (of runs one after the other, the
    rest of each that is shorter than one is left out), and how long those took; None if there are
    none. Where the evidence of a run is not known any more its rows must do.
    """
    known = [each for each in found if each is not None]
    if len(known) == len(found) and len({each.interval_s for each in known}) == 1:
        pieces = [(each.interval_s, each.length_s, each.found()) for each in known]
    else:
        length_s = length_of(stretches)
        pieces = [
            (length_s, length_s, list(_Series(rows, length_s).intervals()))
            for rows in stretches
            if length_s
        ]
    length_s = max((each for _, each, _ in pieces), default=0.0)
    if not length_s:
        return None
    whole = Evidence(pieces[0][0], percentiles, of)
    whole.coarsen_to(length_s)
    passed = 0
    times = round(length_s / whole.interval_s)
    for (_, own_s, intervals), wall_s in zip(pieces, order.walls_s):
        most = int(wall_s / length_s + 1e-9)
        fits, behind = round(own_s / length_s * times), passed * times
        for one in intervals:
            number = one.number * fits
            if order.together or number // times < most:
                whole.add([(0, replace(one, number=behind + number))])
        passed += 0 if order.together else most
    return whole, order.wall_s if order.together else passed * length_s


def merged_by_number(intervals: Iterable[Interval]) -> list[Interval]:
    """Each number once, in ascending order."""
    parts: dict[int, list[Interval]] = {}
    for one in intervals:
        parts.setdefault(one.number, []).append(one)
    return [merged(number, parts[number]) for number in sorted(parts)]

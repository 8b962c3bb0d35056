"""Histograms, intervals and rows as plain data, and back: sparse counts, compressed, for a node
sends them once a second, and a driver hears a thousand nodes.

Whole numbers go in as few bytes as the largest needs, the first bytes of all of them, then the
second bytes and so on, so that what is alike lies together. A node is not trusted: what comes in is
no larger than it may be, and is what it is said to be, or ValueError is raised.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qs.engine.hosts.messages import whole
from qs.engine.record.histogram import COUNTS, Histogram, index_of
from qs.engine.record.intervals import Interval, IntervalLog, IntervalRow

# How many numbers may be packed together: the counts of a long run's intervals.
MOST_PACKED = 8_000_000
# Rows of a result.
MOST_ROWS = 2 * IntervalLog.LIMIT
MOST_COUNT = 1 << 62
_LEVEL = 1
_HEAD = struct.Struct("<BQ")
_WIDTHS = (1, 2, 4, 8)


def packed(*arrays: np.ndarray) -> bytes:
    """Arrays of whole numbers from 0 up."""
    parts = []
    for array in arrays:
        most = int(array.max()) if array.size else 0
        width = next(width for width in _WIDTHS if most < 1 << 8 * width)
        cells = np.ascontiguousarray(array, f"<u{width}").view(np.uint8).reshape(-1, width)
        parts += [_HEAD.pack(width, array.size), cells.T.tobytes()]
    return zlib.compress(b"".join(parts), _LEVEL)


def unpacked(data: Any, many: int, most: int = MOST_PACKED) -> list[np.ndarray]:
    """So many arrays, as int64, of at most so many numbers in all."""
    if not isinstance(data, bytes):
        raise ValueError(f"{type(data).__name__} for packed numbers")
    opened = zlib.decompressobj()
    try:
        raw = opened.decompress(data, 8 * most + many * _HEAD.size + 1)
    except zlib.error as fault:
        raise ValueError(f"packed numbers that are none ({fault})") from None
    if not opened.eof or opened.unused_data:
        raise ValueError("packed numbers that are cut off, or too many")
    found, at = [], 0
    for _ in range(many):
        if len(raw) - at < _HEAD.size:
            raise ValueError("packed numbers that are missing")
        width, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        if width not in _WIDTHS or size > (len(raw) - at) // width:
            raise ValueError("packed numbers of no size")
        most -= size
        if most < 0:
            raise ValueError("too many packed numbers")
        cells = np.frombuffer(raw, np.uint8, size * width, at).reshape(width, size)
        values = np.ascontiguousarray(cells.T).view(f"<u{width}").reshape(-1)
        if width == 8 and size and int(values.max()) >= MOST_COUNT:
            raise ValueError("a number that is too large")
        found.append(values.astype(np.int64))
        at += size * width
    if at != len(raw):
        raise ValueError("more than was to be packed")
    return found


class KeptHistogram(Histogram):
    """A histogram that is only read: in ten bytes a filled count, and not in 270 kB, of which a
    thousand nodes would have several each.
    """

    __slots__ = ("_index", "_filled")

    def __init__(self, index: np.ndarray, counts: np.ndarray):
        self._index = index.astype(np.uint16)
        small = not counts.size or int(counts.max()) < 1 << 32
        self._filled = counts.astype(np.uint32 if small else np.int64)
        self.count = self.min_ns = self.max_ns = self.sum_ns = self.out_of_range = 0

    @property
    def counts(self) -> np.ndarray:  # type: ignore[override]
        """As any other's, but made anew each time, and not to be written to."""
        whole = np.zeros(COUNTS, np.int64)
        whole[self._index] = self._filled
        whole.flags.writeable = False
        return whole

    def filled(self) -> tuple[np.ndarray, np.ndarray]:
        return self._index, self._filled


def filled_of(one: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Ascending indices of the counts above 0, and these."""
    if isinstance(one, KeptHistogram):
        return one.filled()
    index = np.flatnonzero(one.counts[one.span]) + one.span.start
    return index, one.counts[index]


def plain_histogram(one: Histogram) -> tuple:
    """One that its worker writes to meanwhile is told by its counts alone."""
    index, counts = filled_of(one)
    if one.count != _sum(counts) or not fits(one, index, counts):
        one, beyond = Histogram.from_counts(index, counts), one.out_of_range
        one.out_of_range = beyond
    data = packed(np.diff(index.astype(np.int64), prepend=0), counts)
    return data, one.count, one.min_ns, one.max_ns, one.sum_ns, one.out_of_range


def histogram_of(plain: Any) -> Histogram:
    """Raises ValueError for one that no values make."""
    data, count, least, most, total, beyond = _tuple(plain, 6)
    steps, counts = unpacked(data, 2, 2 * COUNTS)
    index = ascending(steps)
    if index.size != counts.size or (counts.size and int(counts.min()) < 1):
        raise ValueError("counts that belong to no values")
    one = KeptHistogram(index, counts)
    one.count, one.out_of_range = whole(count, MOST_COUNT), whole(beyond, MOST_COUNT)
    if one.count != _sum(counts):
        raise ValueError("a histogram whose count is not that of its values")
    one.min_ns, one.max_ns = whole(least), whole(most)
    one.sum_ns = whole(total, most=MOST_COUNT << 62)
    if not fits(one, index, counts):
        raise ValueError("a histogram whose least or greatest value or sum is not of its values")
    return one


def fits(one: Histogram, index: np.ndarray, counts: np.ndarray) -> bool:
    """Whether values that are counted so can have its minimum, maximum and sum."""
    if not index.size:
        return (one.min_ns, one.max_ns, one.sum_ns) == (0, 0, 0)
    if (index_of(one.min_ns), index_of(one.max_ns)) != (int(index[0]), int(index[-1])):
        return False
    many = counts.astype(np.float64)
    least, most = (
        float(np.dot(edges, many)) for edges in (one.bottoms_ns(index), one.tops_ns(index))
    )
    return least * (1 - 1e-9) <= one.sum_ns <= most * (1 + 1e-9)


def ascending(steps: np.ndarray) -> np.ndarray:
    """Indices of counts from their differences."""
    if not steps.size:
        return steps
    if int(steps.max()) >= COUNTS or (steps.size > 1 and int(steps[1:].min()) < 1):
        raise ValueError("counts that are in no order")
    index = np.cumsum(steps)
    if int(index[-1]) >= COUNTS:
        raise ValueError("a value that no histogram holds")
    return index


def plain_intervals(intervals: Sequence[Interval]) -> bytes:
    """Of ascending numbers."""
    numbers = np.array([one.number for one in intervals], np.int64)
    failed = np.array([one.failed for one in intervals], np.int64)
    return packed(numbers, failed, *_cells(intervals))


def intervals_of(data: Any, most: int) -> list[Interval]:
    """None is numbered above `most`."""
    numbers, failed, sizes, steps, counts = unpacked(data, 5)
    if numbers.size != failed.size or np.any(np.diff(numbers) < 1):
        raise ValueError("intervals in no order")
    if numbers.size and int(numbers[-1]) > most:
        raise ValueError(f"interval {int(numbers[-1])}, where {most} is the last there can be")
    pieces = _pieces(numbers.size, sizes, steps, counts)
    return [
        Interval(number, *piece, lost)
        for number, piece, lost in zip(numbers.tolist(), pieces, failed.tolist())
    ]


def plain_rows(rows: Sequence[IntervalRow], counts: bool = True) -> tuple:
    """Rows of a result, without their counts where those would be too many."""
    whole_numbers = [
        np.array([_plus_1(getattr(row, name)) for row in rows], np.int64) for name in _ROW
    ]
    times = np.array([(row.start_s, row.length_s) for row in rows], "<f8").tobytes()
    cells = _cells(rows) if counts else _cells([])
    return times, packed(*whole_numbers, *cells)


def rows_of(plain: Any) -> list[IntervalRow]:
    begins, data = _tuple(plain, 2)
    *columns, sizes, steps, counts = unpacked(data, len(_ROW) + 3)
    size = columns[0].size
    if not isinstance(begins, bytes) or len(begins) != 16 * size:
        raise ValueError("rows without their times")
    if any(column.size != size for column in columns) or size and int(columns[0].min()) < 1:
        raise ValueError("rows that are not whole")
    if size and int(columns[1].min()) < 1:
        raise ValueError("rows without errors")
    starts = np.frombuffer(begins, "<f8").reshape(-1, 2)
    if not np.all(np.isfinite(starts)) or size and float(starts.min()) < 0:
        raise ValueError("rows at no time")
    if size > MOST_ROWS:
        raise ValueError(f"more than {MOST_ROWS:,} rows")
    # One follows the other; the last may be shorter.
    if np.any(np.abs(starts[:, 0] - np.arange(size) * starts[:1, 1]) > 1e-6 * (1 + starts[:, 0])):
        raise ValueError("rows in no order")
    pieces = _pieces(size, sizes, steps, counts) if sizes.size or not size else [_NONE] * size
    completed, errors, *known = columns
    if sizes.size and np.any(_sums(sizes, counts) != completed - 1):
        raise ValueError("rows whose counts are not those of their requests")
    optional = (map(_minus_1, column.tolist()) for column in known)
    return [
        IntervalRow(start_s, length_s, done - 1, failed - 1, p50_ns, p99_ns, waiting, index, counts)
        for (start_s, length_s), done, failed, p50_ns, p99_ns, waiting, (index, counts) in zip(
            starts.tolist(), completed.tolist(), errors.tolist(), *optional, pieces
        )
    ]


# None is 0, and any number one more than it is.
_ROW = ("completed", "errors", "p50_ns", "p99_ns", "in_flight")
_NONE = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def _plus_1(value: int | None) -> int:
    return 0 if value is None else value + 1


def _minus_1(value: int) -> int | None:
    return value - 1 if value else None


def _cells(found: Sequence[Interval] | Sequence[IntervalRow]) -> tuple[np.ndarray, ...]:
    """How many counts each has, where they are, by their differences, and the counts."""
    sizes = np.array([one.index.size for one in found], np.int64)
    index = np.concatenate([_NONE[0], *(one.index.astype(np.int64) for one in found)])
    counts = np.concatenate([_NONE[0], *(one.counts for one in found)])
    steps = np.diff(index, prepend=0)
    begins = (np.cumsum(sizes) - sizes)[sizes > 0]
    steps[begins] = index[begins]
    return sizes, steps, counts


def _pieces(
    many: int, sizes: np.ndarray, steps: np.ndarray, counts: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    if sizes.size != many or steps.size != counts.size or _sum(sizes) != steps.size:
        raise ValueError("counts that belong to nothing")
    if counts.size and int(counts.min()) < 1:
        raise ValueError("counts of nothing")
    ends = np.cumsum(sizes)
    if steps.size:
        if int(steps.max()) >= COUNTS:
            raise ValueError("a value that no histogram holds")
        begins = (ends - sizes)[sizes > 0]
        inner = np.ones(steps.size, bool)
        inner[begins] = False
        if np.any(steps[inner] < 1):
            raise ValueError("counts that are in no order")
        index = np.cumsum(steps)
        before = np.concatenate([_NONE[0], [0], index])[begins]
        index -= np.repeat(before, sizes[sizes > 0])
        if int(index.max()) >= COUNTS:
            raise ValueError("a value that no histogram holds")
    else:
        index = steps
    index = index.astype(np.uint16)
    if not counts.size or int(counts.max()) < 1 << 32:
        counts = counts.astype(np.uint32)
    edges = [0, *ends.tolist()]
    return [(index[low:high], counts[low:high]) for low, high in zip(edges, edges[1:])]


def _sums(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of each piece."""
    below = np.concatenate([_NONE[0], [0], np.cumsum(counts)])
    ends = np.cumsum(sizes)
    return below[ends] - below[ends - sizes]


def _sum(counts: np.ndarray) -> int:
    """Exactly: a node may tell numbers whose sum is none of int64."""
    if counts.size and int(counts.max()) * counts.size >= MOST_COUNT:
        return sum(counts.tolist())
    return int(counts.sum())


def _tuple(plain: Any, size: int) -> Sequence[Any]:
    if not isinstance(plain, list | tuple) or len(plain) != size:
        raise ValueError(f"{type(plain).__name__} for {size} parts")
    return plain


def finite(value: Any, least: float = 0.0, most: float = math.inf) -> float:
    """The value, if it is a number from `least` to `most`, but not infinite."""
    if type(value) not in (int, float) or not math.isfinite(value) or not least <= value <= most:
        raise ValueError(f"{value!r:.40} for a number from {least:g} to {most:g}")
    return value

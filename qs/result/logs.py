"""Response times of a run, interval by interval, from its HdrHistogram log.

The payloads are decoded by the hdrhistogram package; the lines around them are split here, because
a log may come from a database as well as from a file, and because intervals without an answer,
which the log leaves out, are intervals all the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qs.base.errors import UserError
from qs.engine import Histogram
from qs.engine.statistics import LOWEST_NS, SIGNIFICANT_DIGITS

# As many intervals as tell how noise is correlated; neighbours of longer logs are merged.
MOST_CELLS = 96
_GAP = 1e-3  # of an interval: times in the log are rounded to a microsecond


@dataclass(frozen=True, eq=False)
class Series:
    """Counts by interval ("cell") and histogram bin, of one run or of several in sequence."""

    # (cells,)
    lengths_s: np.ndarray
    # (cells, bins), float64 for the sums that are taken of them
    counts: np.ndarray
    # (bins,)
    middles_ns: np.ndarray
    # (bins,), what a percentile reports
    tops_ns: np.ndarray
    # The first cell of each run.
    starts: tuple[int, ...] = (0,)

    @property
    def cells(self) -> int:
        return int(self.lengths_s.size)

    @property
    def completed(self) -> int:
        return int(self.counts.sum())

    @property
    def seconds(self) -> float:
        return float(self.lengths_s.sum())

    def run(self, number: int) -> Series:
        """One of the runs."""
        ends = (*self.starts[1:], self.cells)
        part = slice(self.starts[number], ends[number])
        return Series(self.lengths_s[part], self.counts[part], self.middles_ns, self.tops_ns)


def read_log(text: str, wall_s: float | None = None, where: str = "log") -> Series:
    """The intervals of a log. `wall_s` is how long the run lasted, as the log leaves out intervals
    at its end that have no answer.

    Raises UserError if the log is damaged, or its values are not in ns with three digits.
    """
    rows = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("Tag="):
            line = line.partition(",")[2]
        if not line or line[0] in '#"':
            continue
        try:
            start, length, _, payload = line.split(",", 3)
            rows.append((float(start), float(length), *_decoded(payload)))
        except (
            Exception
        ) as error:  # the package raises whatever base64, zlib and its own checks raise
            raise UserError(
                f"{where}: is not an HdrHistogram log of qs: {type(error).__name__}: {error}"
            ) from None
    rows.sort(key=lambda row: row[0])
    return _merged(_series(rows, wall_s))


def _decoded(payload: str) -> tuple[np.ndarray, np.ndarray]:
    """Filled bins and their counts."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram.decode(payload)
    if (histogram.lowest_trackable_value, histogram.significant_figures) != (
        LOWEST_NS,
        SIGNIFICANT_DIGITS,
    ):
        raise ValueError("its values are not in ns with three digits")
    counts = np.frombuffer(histogram.counts, np.uint64)
    index = np.flatnonzero(counts)
    return index, counts[index].astype(np.float64)


def _series(
    rows: Sequence[tuple[float, float, np.ndarray, np.ndarray]], wall_s: float | None
) -> Series:
    usual = max((length for _, length, _, _ in rows), default=0.0)
    nothing = np.zeros(0, np.int64), np.zeros(0)
    cells: list[tuple[float, np.ndarray, np.ndarray]] = []
    end = 0.0

    def pass_until(until: float) -> None:
        gap = until - end
        if usual and gap > _GAP * usual:
            pieces = max(round(gap / usual), 1)
            cells.extend([(gap / pieces, *nothing)] * pieces)

    for start, length, index, counts in rows:
        pass_until(start)
        cells.append((length, index, counts))
        end = start + length
    if wall_s is not None:
        pass_until(wall_s)
    bins = np.unique(np.concatenate([index for _, index, _ in cells])) if cells else nothing[0]
    table = np.zeros((len(cells), bins.size))
    for number, (_, index, counts) in enumerate(cells):
        table[number, np.searchsorted(bins, index)] = counts
    return Series(
        np.array([length for length, _, _ in cells]),
        table,
        Histogram.middles_ns(bins),
        Histogram.tops_ns(bins).astype(np.float64),
    )


def _merged(series: Series) -> Series:
    """Neighbouring cells put together until there are at most MOST_CELLS."""
    size = math.ceil(series.cells / MOST_CELLS)
    if size <= 1:
        return series
    firsts = np.arange(0, series.cells, size)
    return Series(
        np.add.reduceat(series.lengths_s, firsts),
        np.add.reduceat(series.counts, firsts, axis=0),
        series.middles_ns,
        series.tops_ns,
    )


def joined(runs: Sequence[Series]) -> Series:
    """Several runs as one, over the bins of all of them."""
    if len(runs) == 1:
        return runs[0]
    tops, places = np.unique(np.concatenate([run.tops_ns for run in runs]), return_inverse=True)
    middles = np.zeros(tops.size)
    middles[places] = np.concatenate([run.middles_ns for run in runs])
    table = np.zeros((sum(run.cells for run in runs), tops.size))
    starts, first, seen = [], 0, 0
    for run in runs:
        table[first : first + run.cells, places[seen : seen + run.tops_ns.size]] = run.counts
        starts.append(first)
        first += run.cells
        seen += run.tops_ns.size
    return Series(
        np.concatenate([run.lengths_s for run in runs]), table, middles, tops, tuple(starts)
    )

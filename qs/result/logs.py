"""Response times of a run, interval by interval, from its HdrHistogram log.

The lines around the payloads are split here, because a log may come from a database as well as from
a file, and because intervals without an answer, which the log leaves out, are intervals all the
same.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qs.base.errors import UserError
from qs.base.payloads import counts_of
from qs.engine import Histogram
from qs.engine.statistics import COUNTS

# As many intervals as tell how noise is correlated; neighbours of longer logs are merged.
MOST_CELLS = 96
MOST_S = 1e8  # three years: a log that says more is damaged
MOST_LINES = 700_000  # eight days of intervals of a second
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


class _Line(NamedTuple):
    """One interval of a log, its histogram still packed."""

    start_s: float
    length_s: float
    payload: str


def read_log(text: str, wall_s: float | None = None, where: str = "log") -> Series:
    """The intervals of a log. `wall_s` is how long the run lasted, as the log leaves out intervals
    at its end that have no answer.

    Memory is bounded by MOST_CELLS, whatever the log says. Raises UserError if the log is damaged,
    if its values are not in ns with three digits, or if it goes on after the run's end.
    """
    try:
        lines = sorted(_lines(text), key=lambda line: line.start_s)
        return _series(lines, wall_s)
    except Exception as error:  # the package raises whatever base64, zlib and its own checks raise
        raise UserError(
            f"{where}: is not an HdrHistogram log of qs: {type(error).__name__}: {error}"
        ) from None


def _lines(text: str) -> Iterator[_Line]:
    count = 0
    for line in io.StringIO(text):
        line = line.strip()
        if line.startswith("Tag="):
            line = line.partition(",")[2]
        if not line or line[0] in '#"':
            continue
        count += 1
        if count > MOST_LINES:
            raise ValueError(f"it has more than {MOST_LINES:,} intervals")
        start, length, _, payload = line.split(",", 3)
        found = _Line(float(start), float(length), payload)
        if not (0.0 <= found.start_s < MOST_S and 0.0 < found.length_s < MOST_S):
            raise ValueError(f"an interval begins at {start} s and lasts {length} s")
        yield found


def _series(lines: Sequence[_Line], wall_s: float | None) -> Series:
    """Cells for the lines and for the silence between them; neighbours are put together until there
    are at most MOST_CELLS.
    """
    usual = max((line.length_s for line in lines), default=0.0)
    spans: list[tuple[int, float, str | None]] = []  # (how many alike, length of each, payload)
    end = 0.0

    def pass_until(until: float) -> None:
        gap = until - end
        if usual and gap > _GAP * usual:
            pieces = max(round(gap / usual), 1)
            spans.append((pieces, gap / pieces, None))

    for line in lines:
        pass_until(line.start_s)
        spans.append((1, line.length_s, line.payload))
        end = line.start_s + line.length_s
    if wall_s is not None:
        if end > 2.0 * wall_s + usual:
            raise ValueError(f"it goes on until {end:g} s, of a run of {wall_s:g} s")
        pass_until(min(wall_s, MOST_S))
    cells = sum(pieces for pieces, _, _ in spans)
    size = math.ceil(cells / MOST_CELLS) or 1
    lengths = np.zeros(math.ceil(cells / size))
    table = np.zeros((lengths.size, COUNTS))
    at = 0
    for pieces, length, payload in spans:
        if payload is not None:
            counts = counts_of(payload)
            table[at // size, : counts.size] += counts
        for group in range(at // size, (at + pieces - 1) // size + 1):
            inside = min(at + pieces, (group + 1) * size) - max(at, group * size)
            lengths[group] += inside * length
        at += pieces
    bins = np.flatnonzero(table.any(axis=0))
    return Series(
        lengths,
        table[:, bins],
        Histogram.middles_ns(bins),
        Histogram.tops_ns(bins).astype(np.float64),
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

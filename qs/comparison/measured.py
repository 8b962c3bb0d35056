"""What one side measured of one case, and the figures that are compared.

Several rows with one key are repeats of each other, and so are several logs of one row. Where the
logs exist, every figure is a function of the intervals of the runs and of how often each interval
counts, so that it can be resampled; `weights` has one row for each replicate and one column for
each cell, and a row of ones gives the figure itself. Figures are in items/s and ns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qs.base.errors import UserError
from qs.base.scenarios import OFFLINE, SESSIONS
from qs.engine import Histogram
from qs.engine.statistics import samples_needed
from qs.gates.grammar import COMPARED_MEASURES
from qs.result.columns import BY_SHORT, Column
from qs.result.logs import Series, joined, read_log
from qs.result.row import Mode, Row
from qs.result.verdict import Verdict

NS_PER_MS = 1e6
OVERLOAD = "overload"
# With fewer queries than this beyond a percentile, its resampled values are a handful of the
# largest and say nothing about its spread.
BEYOND = 10
FEWEST_QUERIES = 20


@dataclass(frozen=True)
class ComparedMetric:
    """One figure of a case."""

    name: str
    # Where the report has it, in items/s or ms.
    column: Column
    # None for throughput and mean.
    percentile: float | None = None

    @property
    def measure(self) -> str:
        """The measure of a language model whose log tells it; "" for response times."""
        return OUTPUT_TOKENS if self.name == TOKENS_PER_S else self.column.measure

    @property
    def rate(self) -> bool:
        """Whether more is better."""
        return self.column.unit.endswith("/s")

    @property
    def heading(self) -> str:
        if self.name == "throughput":
            return "items/s"
        return self.name if self.rate else f"{self.name} ms"

    @property
    def tail(self) -> str:
        """The figure without its measure: p99."""
        return self.name.removeprefix(f"{self.column.measure}.")

    @property
    def unit(self) -> str:
        return self.column.unit

    @property
    def counted(self) -> str:
        """What its log counts."""
        return "values" if self.measure else "queries"

    @property
    def queries_needed(self) -> int:
        if self.percentile is None:
            return FEWEST_QUERIES
        share = min(self.percentile, 100.0 - self.percentile) / 100.0
        return max(math.ceil(round(BEYOND / share, 6)), FEWEST_QUERIES)

    def of(self, series: Series, weights: np.ndarray) -> np.ndarray:
        """The figure in each replicate, throughput in queries/s. NaN for a replicate without an
        answer.
        """
        if self.rate:
            return _ratio(weights @ self._amounts(series), weights @ series.lengths_s)
        if self.percentile is None:
            sums = series.counts @ series.middles_ns
            return _ratio(weights @ sums, weights @ series.counts.sum(axis=1))
        return _percentile(series, weights, self.percentile)

    def influence(self, series: Series, value: float) -> np.ndarray:
        """What each cell adds to the figure's error, up to a factor: its correlation from cell to
        cell is that of the figure.

        For a percentile, this is the surplus of queries above it (Bahadur's representation of a
        quantile).
        """
        counts = series.counts.sum(axis=1)
        if self.rate:
            return self._amounts(series) - value * series.lengths_s
        if self.percentile is None:
            return series.counts @ series.middles_ns - value * counts
        above = series.counts[:, series.tops_ns > value].sum(axis=1)
        return above - (1.0 - self.percentile / 100.0) * counts

    def _amounts(self, series: Series) -> np.ndarray:
        """What a rate counts, by cell: queries, or the tokens of their answers."""
        return series.counts @ series.middles_ns if self.measure else series.counts.sum(axis=1)

    def resolution(self, value: float) -> float:
        """Standard error, as a share, of where in its histogram bin a figure lies: percentiles
        report the top of the bin.
        """
        if self.percentile is None or value <= 0:
            return 0.0
        return Histogram.width_ns_at(value) / value / math.sqrt(12.0)


NAMES = ("throughput", "mean", "p50", "p90", "p99", "p99.9")
METRICS = tuple(ComparedMetric(name, BY_SHORT[name], BY_SHORT[name].percentile) for name in NAMES)
TOKENS_PER_S, OUTPUT_TOKENS = "output_tokens/s", "output_tokens"
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
# Of a language model.
MEASURED_METRICS = tuple(
    ComparedMetric(name, BY_SHORT[name], PERCENTILES.get(BY_SHORT[name].figure))
    for name in COMPARED_MEASURES
)


def ones(series: Series) -> np.ndarray:
    return np.ones((1, series.cells))


@dataclass(frozen=True, eq=False)
class CaseRuns:
    """What one side measured of one case."""

    rows: tuple[Row, ...]
    # All runs together; None if a log is missing, and `missing` then says which one and why.
    series: Series | None
    items_per_query: int
    missing: str = ""
    # The same by measure of a language model, each with the log of that measure.
    measures: Mapping[str, CaseRuns] = field(default_factory=dict)

    def of(self, metric: ComparedMetric) -> CaseRuns:
        """With the log that tells this figure."""
        if not metric.column.figure:
            return self
        found = self.measures.get(metric.measure)
        return found or replace(self, series=None, missing="it has no log of that figure")

    @property
    def row(self) -> Row:
        return self.rows[0]

    @property
    def runs(self) -> int:
        return len(self.series.starts) if self.series is not None else len(self.rows)

    @property
    def scenario(self) -> str | None:
        return self.row.scenario

    @property
    def open_loop(self) -> bool:
        return self.row.open_loop

    @property
    def overloaded(self) -> bool:
        return any(
            OVERLOAD in row.warning_codes or row.verdict is Verdict.OVERLOADED for row in self.rows
        )

    @property
    def invalid(self) -> list[str]:
        return [
            text
            for row in self.rows
            if row.verdict is Verdict.INVALID
            for text in row.reasons or ("no reason",)
        ]

    @property
    def length_s(self) -> float:
        """How long one of its runs lasted, in seconds."""
        if self.series is not None:
            return self.series.seconds / self.runs
        return float(self.row.wall_s or 0.0)

    def short_of(self, metric: ComparedMetric) -> str:
        """Why it reports no such percentile, in words; empty if it does, as far as that goes.

        What a row leaves out for too few queries is not made up from its log.
        """
        if metric.percentile is None or self.series is None:
            return ""
        completed = self.series.completed
        if completed >= samples_needed(metric.percentile) or not completed:
            return ""
        return f"has {completed:,} {metric.counted}"

    def needs_s(self, metric: ComparedMetric) -> float | None:
        """How long one of its runs must last for that many queries, if they come as they came."""
        if self.series is None or not self.series.completed:
            return None
        each = metric.queries_needed / self.runs
        return each / self.series.completed * self.series.seconds

    def value(self, metric: ComparedMetric) -> float | None:
        """In items/s and ms: from the log, or else what the row says."""
        if self.series is None or not self.series.completed:
            return metric.column.of(self.row) if len(self.rows) == 1 else None
        raw = float(metric.of(self.series, ones(self.series))[0])
        if metric.rate:
            return raw if metric.measure else raw * self.items_per_query
        return raw / NS_PER_MS


def runs_of(histogram: Callable[[str], str | None], rows: Sequence[Row]) -> CaseRuns:
    """Reads the logs of one case's rows; `histogram` gives the text of the log of that name."""
    row = rows[0]
    items = (row.batch_size or 1) * (row.samples_per_query or 1)
    if row.mode is Mode.VENDOR:
        return CaseRuns(tuple(rows), None, items, "the backend timed itself and left no histogram")
    runs = []
    for each in rows:
        found = _runs(histogram, each)
        if isinstance(found, str):
            return CaseRuns(tuple(rows), None, items, found)
        runs += found
    measures = {
        name: _measure_runs(histogram, name, tuple(rows), items)
        for name in dict.fromkeys(metric.measure for metric in MEASURED_METRICS if metric.measure)
        if all(name in (each.measures or {}) for each in rows)
    }
    return CaseRuns(tuple(rows), joined(runs), items, measures=measures)


def _measure_runs(
    histogram: Callable[[str], str | None], name: str, rows: tuple[Row, ...], items: int
) -> CaseRuns:
    """The logs of one measure."""
    runs = []
    for each in rows:
        entry = (each.measures or {})[name]
        text = histogram(entry.histogram) if entry.histogram else None
        if text is None:
            return CaseRuns(rows, None, items, f"the log of {name} is not there")
        try:
            series = read_log(text, each.wall_s, entry.histogram or "")
        except UserError as error:
            return CaseRuns(rows, None, items, str(error))
        if series.completed != entry.count:
            return CaseRuns(rows, None, items, f"{entry.histogram} is of another run")
        runs.append(series)
    return CaseRuns(rows, joined(runs), items)


def _runs(histogram: Callable[[str], str | None], row: Row) -> list[Series] | str:
    """The runs of one row, or why they are missing."""
    names = row.logs
    if not names:
        return "nothing was answered, so there is no histogram"
    runs = []
    for name in names:
        text = histogram(name)
        if text is None:
            return f"its histogram {name} is not there any more"
        try:
            runs.append(read_log(text, row.wall_s if len(names) == 1 else None, name))
        except UserError as error:
            return str(error)
    counted, stated = sum(run.completed for run in runs), row.completed
    if len(names) == 1 and stated is not None and counted != stated:
        return (
            f"its histogram {names[0]} is of another run: it holds {counted} queries, "
            f"and {stated} were measured"
        )
    return runs


def comparable_metrics(a: CaseRuns, b: CaseRuns) -> tuple[ComparedMetric, ...]:
    """The figures that mean something. Offline's queries are all due at the start, so their
    response times only repeat the throughput.
    """
    measured = [
        metric
        for metric in MEASURED_METRICS
        if all(metric.column.of(row) is not None for row in (a.row, b.row))
    ]
    return tuple(
        metric
        for metric in (*METRICS, *measured)
        if metric.rate or OFFLINE not in (a.scenario, b.scenario)
    )


def same_arrivals(a: CaseRuns, b: CaseRuns) -> bool:
    """Whether requests were due at the same times in both, with one run each."""
    if (
        not (a.open_loop and b.open_loop)
        or SESSIONS in (a.scenario, b.scenario)  # due when answers came
        or a.series is None
        or b.series is None
        or a.runs > 1
        or b.runs > 1
    ):
        return False
    seeds = a.row.seed, b.row.seed
    if seeds[0] != seeds[1] or (seeds[0] is None and a.scenario in ("Poisson", "Gamma", "Server")):
        return False
    cells = min(a.series.cells, b.series.cells)
    if cells < 0.9 * max(a.series.cells, b.series.cells):
        return False
    lengths = a.series.lengths_s[: cells - 1], b.series.lengths_s[: cells - 1]
    return bool((abs(lengths[0] - lengths[1]) < 0.01 * lengths[0]).all())


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _percentile(series: Series, weights: np.ndarray, percentile: float) -> np.ndarray:
    """By HdrHistogram's definition, found by bisection over the bins: a step reads one column of
    the table instead of all of it.
    """
    below = np.cumsum(series.counts, axis=1)
    if not below.size:
        return np.full(weights.shape[0], np.nan)
    total = weights @ below[:, -1]
    rank = np.maximum(np.floor(percentile * total / 100.0 + 0.5), 1.0)
    low = np.zeros(weights.shape[0], np.int64)
    high = np.full(weights.shape[0], below.shape[1] - 1)
    for _ in range(below.shape[1].bit_length()):
        middle = (low + high) // 2
        reached = np.einsum("rc,cr->r", weights, below[:, middle]) >= rank
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return np.where(total > 0, series.tops_ns[high], np.nan)

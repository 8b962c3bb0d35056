"""What one side measured of one case: its rows, and the intervals of its runs where their logs are
there.

Several rows with one key are repeats of each other, and so are several logs of one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qs.base.errors import UserError
from qs.compare.metrics import METRICS, Metric, ones
from qs.compare.sides import Side
from qs.result.keys import VENDOR
from qs.result.logs import Series, joined, read_log

NS_PER_MS = 1e6
OFFLINE = "Offline"
OPEN_LOOP = ("Poisson", "ConstantRate", "Stages", "Replay", "Server", OFFLINE)
OVERLOAD = "overload"


@dataclass(frozen=True, eq=False)
class Measured:
    """series: of all runs together; None where a log is missing, and `lacks` then says which and
    why.
    """

    rows: tuple[Mapping[str, Any], ...]
    series: Series | None
    items_per_query: int
    lacks: str = ""

    @property
    def row(self) -> Mapping[str, Any]:
        return self.rows[0]

    @property
    def runs(self) -> int:
        return len(self.series.starts) if self.series is not None else len(self.rows)

    @property
    def scenario(self) -> str | None:
        return self.row.get("Scenario")

    @property
    def open_loop(self) -> bool:
        return self.scenario in OPEN_LOOP

    @property
    def overloaded(self) -> bool:
        return any(OVERLOAD in (row.get("Warning Codes") or ()) for row in self.rows)

    @property
    def invalid(self) -> list[str]:
        return [
            text
            for row in self.rows
            if row.get("Verdict") == "INVALID"
            for text in row.get("Reasons") or ("no reason",)
        ]

    def value(self, metric: Metric) -> float | None:
        """In items/s and ms: from the log, else what the row says."""
        if self.series is None or not self.series.completed:
            return self.row.get(metric.key) if len(self.rows) == 1 else None
        raw = float(metric.of(self.series, ones(self.series))[0])
        return raw * self.items_per_query if metric.rate else raw / NS_PER_MS


def measured(side: Side, rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Read the logs of one case's rows."""
    row = rows[0]
    items = int(row.get("BS") or 1) * int(row.get("Samples Per Query") or 1)
    if row.get("Mode") == VENDOR:
        return Measured(tuple(rows), None, items, "the backend timed itself and left no histogram")
    runs = []
    for each in rows:
        found = _runs(side, each)
        if isinstance(found, str):
            return Measured(tuple(rows), None, items, found)
        runs += found
    return Measured(tuple(rows), joined(runs), items)


def _runs(side: Side, row: Mapping[str, Any]) -> list[Series] | str:
    """The runs of one row, or why they are not there."""
    names = row.get("Histograms") or ([row["Histogram"]] if row.get("Histogram") else [])
    if not names:
        return "nothing was answered, so there is no histogram"
    runs = []
    for name in names:
        text = side.histogram(name)
        if text is None:
            return f"its histogram {name} is not there any more"
        try:
            runs.append(read_log(text, row.get("Wall Time") if len(names) == 1 else None, name))
        except UserError as error:
            return str(error)
    counted, stated = sum(run.completed for run in runs), row.get("Completed")
    if len(names) == 1 and stated is not None and counted != stated:
        return f"its histogram {names[0]} is of another run: it holds {counted} queries, and {stated} were measured"
    return runs


def compared(a: Measured, b: Measured) -> tuple[Metric, ...]:
    """The figures that mean something. Offline's queries are all due at the start: their response
    times say the throughput again.
    """
    return tuple(
        metric for metric in METRICS if metric.rate or OFFLINE not in (a.scenario, b.scenario)
    )


def same_arrivals(a: Measured, b: Measured) -> bool:
    """Whether requests were due at the same times in both, interval by interval, in one run each."""
    if (
        not (a.open_loop and b.open_loop)
        or a.series is None
        or b.series is None
        or a.runs > 1
        or b.runs > 1
    ):
        return False
    seeds = a.row.get("Seed"), b.row.get("Seed")
    if seeds[0] != seeds[1] or (seeds[0] is None and a.scenario in ("Poisson", "Server")):
        return False
    cells = min(a.series.cells, b.series.cells)
    if cells < 0.9 * max(a.series.cells, b.series.cells):
        return False
    lengths = a.series.lengths_s[: cells - 1], b.series.lengths_s[: cells - 1]
    return bool((abs(lengths[0] - lengths[1]) < 0.01 * lengths[0]).all())

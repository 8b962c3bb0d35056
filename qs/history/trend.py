"""How a figure of each case of a task went from run to run, oldest to newest."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.history.entries import Entry, Wanted, entries, result_of
from qs.result.keys import Key, key_of, title_of

SHORT = {
    "throughput": "QPS",
    "mean": "AVG Latency",
    "p50": "P50 Latency",
    "p90": "P90 Latency",
    "p95": "P95 Latency",
}
SHORT |= {
    "p99": "P99 Latency",
    "p99.9": "P99.9 Latency",
    "max": "Max Latency",
    "min": "Min Latency",
}
DEFAULT = "QPS"


@dataclass(frozen=True)
class Point:
    """A figure in one run."""

    entry: Entry
    value: float


@dataclass(frozen=True)
class Line:
    """One case through the runs, oldest first."""

    title: str
    points: tuple[Point, ...]

    @property
    def latest(self) -> float:
        return self.points[-1].value

    @property
    def usual(self) -> float | None:
        """The median of all runs but the latest."""
        earlier = [point.value for point in self.points[:-1]]
        return statistics.median(earlier) if earlier else None

    @property
    def change(self) -> float | None:
        """The latest against the usual, as a share of that."""
        return self.latest / self.usual - 1.0 if self.usual else None


def trend(wanted: Wanted, metric: str = DEFAULT) -> tuple[str, list[Line]]:
    """The figure's name in the report, and a line for each case. INVALID measurements are no
    points.

    metric   a key of the report's rows (QPS, P99 Latency), or a short name (throughput, p99).
             Raises Faults where no row has it.
    """
    found = sorted(entries(wanted), key=lambda each: (each.started, each.id))
    rows = [
        (each, row)
        for each in found
        for row in result_of(each.id).get("Performance") or ()
        if row.get("Verdict") != "INVALID"
    ]
    name = named(metric, [row for _, row in rows])
    titles: dict[Key, str] = {}
    points: dict[Key, list[Point]] = {}
    for each, row in rows:
        value = row.get(name)
        if is_number(value):
            titles[key_of(row)] = title_of(row)
            points.setdefault(key_of(row), []).append(Point(each, float(value)))
    return name, [Line(titles[key], tuple(of)) for key, of in points.items()]


def named(metric: str, rows: Sequence[dict[str, Any]]) -> str:
    """The key of the rows that is meant."""
    known = sorted({key for row in rows for key, value in row.items() if is_number(value)})
    by_folded = {key.casefold(): key for key in known} | {
        short: key for short, key in SHORT.items() if key in known
    }
    meant = by_folded.get(metric.casefold())
    if meant is not None or not known:
        return meant or SHORT.get(metric.casefold(), metric)
    near = nearest(metric, [*known, *SHORT])
    raise Faults(
        [
            Fault(
                "--metric",
                "",
                metric,
                f"a figure of the report's rows: {', '.join(known)}",
                nearest=near,
            )
        ]
    )


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

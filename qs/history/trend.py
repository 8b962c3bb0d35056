"""How a figure of each case of a task changed from run to run, oldest to newest."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qs.base.errors import Fault, Faults, UserError
from qs.base.names import nearest
from qs.history.entries import Entry, Wanted, entries, local, result_of
from qs.result.columns import BY_SHORT, numbers_of
from qs.result.keys import Key, key_of, title_of

DEFAULT = "QPS"
DRAWN = 30  # runs on the live page


@dataclass(frozen=True)
class TrendPoint:
    """A figure in one run."""

    entry: Entry
    value: float


@dataclass(frozen=True)
class CaseTrend:
    """One case through the runs, oldest first."""

    title: str
    points: tuple[TrendPoint, ...]

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
        """The latest compared with the usual, as a share of it."""
        return self.latest / self.usual - 1.0 if self.usual else None


def trends(wanted: Wanted, metric: str = DEFAULT) -> tuple[str, list[CaseTrend]]:
    """The figure's name in the report, and a trend for each case, without INVALID measurements.

    `metric` is a key of the report's rows (QPS, P99 Latency) or a short name (throughput, p99);
    raises Faults if no row has it.
    """
    found = sorted(entries(wanted), key=lambda each: (each.started, each.id))
    rows = [(each, row) for each in found for row in result_of(each.id).performance if row.valid]
    numbers = [numbers_of(row) for _, row in rows]
    name = key_named(metric, numbers)
    titles: dict[Key, str] = {}
    points: dict[Key, list[TrendPoint]] = {}
    for (each, row), figures in zip(rows, numbers):
        if name in figures:
            titles[key_of(row)] = title_of(row)
            points.setdefault(key_of(row), []).append(TrendPoint(each, float(figures[name])))
    return name, [CaseTrend(titles[key], tuple(of)) for key, of in points.items()]


def drawn_trend(task: str, hardware: str, kind: str) -> list[dict[str, Any]]:
    """The throughput of each case in the last runs, for the live page, oldest first: [{"run",
    "when", "case", "items_per_s"}]. Nothing where the history cannot be read: the run goes on.
    """
    try:
        _, found = trends(Wanted(task=task, hardware=hardware, kind=kind, limit=DRAWN))
    except UserError:
        return []
    points = [
        (
            point.entry.id,
            {
                "run": f"#{point.entry.id}",
                "when": local(point.entry.started),
                "case": each.title,
                "items_per_s": point.value,
            },
        )
        for each in found
        for point in each.points
    ]
    return [point for _, point in sorted(points, key=lambda each: each[0])]


def key_named(metric: str, numbers: Sequence[Mapping[str, float]]) -> str:
    """The published key that a name means, of the numbers of all rows."""
    known = sorted({key for figures in numbers for key in figures})
    by_folded = {key.casefold(): key for key in known}
    by_folded |= {short: column.key for short, column in BY_SHORT.items() if column.key in known}
    meant = by_folded.get(metric.casefold())
    if meant is not None:
        return meant
    if not known:
        column = BY_SHORT.get(metric.casefold())
        return metric if column is None else column.key
    allowed = f"a figure of the report's rows: {', '.join(known)}"
    near = nearest(metric, [*known, *BY_SHORT])
    raise Faults([Fault("--metric", "", metric, allowed, nearest=near)])

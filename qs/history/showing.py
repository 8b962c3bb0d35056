"""Entries and trends on the terminal; tables fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from qs.base.console import console, open_table
from qs.base.words import number, signed_percent, sparkline
from qs.history.entries import Entry, local
from qs.history.trend import CaseTrend


def print_entries(found: Sequence[Entry], stream: TextIO) -> None:
    """One line for each entry, newest first."""
    table = _table("", "started", "kind", "task", "on", "cases", "verdict", "tags")
    for each in found:
        ended = "" if each.status == "complete" else f" ({each.status})"
        tags = " ".join(each.tags)
        table.add_row(
            f"#{each.id}",
            local(each.started),
            each.kind,
            each.task,
            each.hardware,
            str(each.cases),
            each.verdict + ended,
            tags,
        )
    console(stream).print(table, markup=False)


def print_trend(metric: str, trends: Sequence[CaseTrend], stream: TextIO) -> None:
    """One line for each case: its runs from the oldest to the newest as bars, the latest, and its
    change against the median of the earlier ones.
    """
    table = _table("case", "runs", "oldest to newest", metric, "change")
    for trend in trends:
        moved = "" if trend.change is None else signed_percent(trend.change)
        bars = sparkline([point.value for point in trend.points])
        table.add_row(trend.title, str(len(trend.points)), bars, number(trend.latest), moved)
    console(stream).print(table, markup=False)


def _table(*headings: str) -> Any:
    made = open_table()
    for heading in headings:
        right = heading in ("cases", "runs", "change") or heading[:1].isupper()
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    return made

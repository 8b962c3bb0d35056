"""Entries and trends on the terminal; tables fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from qs.base.words import number, signed_percent, sparkline
from qs.history.entries import Entry, local
from qs.history.trend import Line


def print_entries(found: Sequence[Entry], stream: TextIO) -> None:
    """One line an entry, newest first."""
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
    _print(table, stream)


def print_trend(metric: str, lines: Sequence[Line], stream: TextIO) -> None:
    """One line a case: its runs from the oldest to the newest as bars, the latest, and its change
    against the median of those before.
    """
    table = _table("case", "runs", "oldest to newest", metric, "change")
    for line in lines:
        moved = "" if line.change is None else signed_percent(line.change)
        bars = sparkline([point.value for point in line.points])
        table.add_row(line.title, str(len(line.points)), bars, number(line.latest), moved)
    _print(table, stream)


def _table(*headings: str) -> Any:
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in headings:
        right = heading in ("cases", "runs", "change") or heading[:1].isupper()
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    return made


def _print(table: Any, stream: TextIO) -> None:
    from rich.console import Console

    Console(
        file=stream, highlight=False, markup=False, width=None if stream.isatty() else 120
    ).print(table)

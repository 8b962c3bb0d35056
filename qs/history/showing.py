"""Entries and trends on the terminal; tables fit 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from qs.base.console import console, open_table
from qs.base.errors import UserError
from qs.base.words import counted, number, signed_percent, sparkline
from qs.history.entries import Entry, local, result_of
from qs.history.trend import CaseTrend
from qs.result.story import story_of

LISTED = 50  # entries; the results of more are not read for a list


def print_entries(found: Sequence[Entry], stream: TextIO) -> None:
    """One line for each entry, newest first: its case with the most items/s, with the p99 of that
    case, and how far the run is to be trusted. Of more entries than `LISTED` the newest.
    """
    tagged = ["tags"] if any(each.tags for each in found[:LISTED]) else []
    zones = " or ".join(dict.fromkeys(local(each.started)[17:] for each in found[:LISTED]))
    table = _table(
        "", f"started {zones}".rstrip(), "task", "on", "items/s", "p99 ms", "standing", *tagged
    )
    for each in found[:LISTED]:
        ended = "" if each.status == "complete" else f" ({each.status})"
        items, p99, standing, nodes = _figures(each)
        table.add_row(
            f"#{each.id} {each.kind}",
            local(each.started)[:16],
            each.task,
            each.hardware + nodes,
            items,
            p99,
            standing + ended,
            *([" ".join(each.tags)] if tagged else []),
        )
    out = console(stream)
    out.print(table, markup=False)
    if len(found) > LISTED:
        out.print(
            f"and {number(len(found) - LISTED)} earlier ones: qs history --limit, or --json",
            markup=False,
        )


def _figures(found: Entry) -> tuple[str, str, str, str]:
    """The fastest case's items/s and p99, the standing of the whole, and how many machines shared
    the load where there were several.
    """
    try:
        result = result_of(found.id)
    except UserError:
        return "", "", f"{found.verdict} (damaged)", ""
    standing = story_of(result).standing
    measured = [row for row in result.performance if row.items_per_s]
    if not measured:
        return "", "", standing, ""
    best = max(measured, key=lambda row: row.items_per_s or 0.0)
    many = f" at BS {best.batch_size}" if len(result.performance) > 1 else ""
    several = (best.node_count or 1) > 1
    nodes = f", {counted(best.node_count or 0, 'node')}" if several else ""
    return number(best.items_per_s) + many, number(best.p99_ms), standing, nodes


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
        right = heading in ("items/s", "p99 ms", "runs", "change") or heading[:1].isupper()
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    return made

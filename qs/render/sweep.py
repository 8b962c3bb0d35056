"""A sweep on the terminal: its settings, what is recommended, and the limit that was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qs.base.console import open_table
from qs.base.scenarios import CONCURRENCY
from qs.base.words import half_width, number
from qs.limit import Goal, parse_goals
from qs.limit.judging import FAILS, HOLDS, UNCLEAR
from qs.result.columns import columns
from qs.result.sweep import CurvePoint, LimitEntry, SweepEntry

if TYPE_CHECKING:
    from rich.table import Table

SETTINGS = columns("batch_size", "clients", "instances", "intra_op_threads", "pool")
THROUGHPUT = columns("items_per_s")
TIMES = columns("mean_ms", "p50_ms", "p90_ms", "p99_ms")
# What a terminal narrower than this does without.
WIDE = 110
DISPENSABLE = {"mean_ms", "p90_ms"}
NS_PER_MS = 1e6
BAR, SHORT_BAR = 20, 10
# Of a language model: tokens/s of all users and of the median one, and requests/s that were good.
TOKENS = (("tokens/s", "output_per_s"), ("per user", "user_per_s"), ("good/s", "good_per_s"))
COLOURS = {HOLDS: "green", UNCLEAR: "yellow", FAILS: "red"}


def sweep_table(sweep: SweepEntry, wide: bool = True) -> Table:
    """A line for each setting; * marks the frontier. Unless it is `wide`, it fits 80 columns: the
    axes of a setting are one column, its name.
    """
    from rich.text import Text

    axes = [
        column
        for column in SETTINGS
        if wide and any(column.of(line.setting) is not None for line in sweep.table)
    ]
    times = [column for column in TIMES if wide or column.name not in DISPENSABLE]
    failed = any(line.errors for line in sweep.table)
    headings = [column.heading for column in axes] or ["setting"]
    headings += [*(column.heading for column in THROUGHPUT), "+-"]
    headings += [*(column.heading for column in times), *(["trials"] if wide else [])]
    made = open_table()
    for heading in ("", *headings, *(["errors"] if wide or failed else []), "verdict"):
        left = heading == "setting"
        made.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for line in sweep.table:
        cells = [column.text(line.setting) for column in axes] or [line.name]
        cells += [column.text(line) for column in THROUGHPUT]
        cells.append(half_width(line.uncertain))
        cells += [column.text(line) for column in times]
        cells += [number(line.trials)] if wide else []
        cells += [number(line.errors)] if wide or failed else []
        mark = "*" if line.name in sweep.pareto else ""
        made.add_row(mark, *map(Text, [*cells, line.verdict]))
    return made


def sweep_lines(sweep: SweepEntry) -> list[str]:
    """How it was measured, what failed, what to take, and the commands."""
    said = [f"* no other setting has both higher throughput and lower {sweep.ranked_by}"]
    if any(line.items_per_s_half_width is not None for line in sweep.table):
        said.append("+-: half of the 95 % interval of items/s, by the spread of all trials")
    said.append(sweep.method)
    said += [f"{line.name}: {'; '.join(line.reasons)}" for line in sweep.table if line.reasons]
    for each in sweep.recommendations:
        said.append(f"for {each.purpose}: {', '.join(filter(None, (each.name, each.why)))}")
        if each.tie:
            said.append(f"  {each.tie}")
        if each.command and f"  {each.command}" not in said:
            said.append(f"  {each.command}")
    commands = dict.fromkeys(each.tell_apart for each in sweep.recommendations if each.tell_apart)
    said += [*(["to tell apart what was not:"] if commands else []), *(f"  {c}" for c in commands)]
    return said


def limit_table(limit: LimitEntry, wide: bool = True) -> Table:
    """One row for each rate, in 80 columns unless it is `wide`, with a bar for the response time
    that the bound is on. The bar is logarithmic, from a tenth of the bound to ten times it, so that
    it is half full at the bound.
    """
    from rich.bar import Bar
    from rich.text import Text

    goals = parse_goals(limit.goals)
    bounded = next((goal for goal in goals if goal.time_ns and not goal.of_each), None)
    times = _times(limit.curve, goals)
    room = BAR if wide else SHORT_BAR
    made = open_table(limit.sentence)
    users = limit.over == CONCURRENCY
    loads = ["users", "requests/s"] if users else ["rate/s", "answered/s"]
    tokens = [
        (heading, name)
        for heading, name in TOKENS
        if any(getattr(point, name) is not None for point in limit.curve)
    ][: None if wide else 2]
    headings = [*loads, *(f"{name} ms" for name in times), *(heading for heading, _ in tokens)]
    for heading in (*headings, "verdict"):
        made.add_column(heading, justify="right", no_wrap=True)
    if bounded is not None:
        half = f"{bounded.name} (half: {bounded})" if wide else "half: bound"
        made.add_column(half, no_wrap=True)
    for point in limit.curve:
        most = point.users == limit.users if users else point.rate_per_s == limit.rate_per_s
        mark = " <" if most else ""
        found = [point.times_ns.get(name) for name in times]
        cells = [number(None if ns is None else ns / NS_PER_MS) for ns in found]
        verdict = Text(point.verdict + mark, style=COLOURS.get(point.verdict, ""))
        bar = [Bar(1.0, 0.0, _filled(point, bounded), width=room)] if bounded else []
        cells += [number(getattr(point, name)) for _, name in tokens]
        load = number(point.users) if users else number(point.rate_per_s)
        made.add_row(load, number(point.answered_per_s), *cells, verdict, *bar)
    return made


def _times(curve: Sequence[CurvePoint], goals: Sequence[Goal]) -> list[str]:
    """The times that are shown: median and p99 of the response time, and what is bounded."""
    wanted = {"p50", "p99", *(goal.name for goal in goals if goal.time_ns)}
    return [name for name in (curve[0].times_ns if curve else ()) if name in wanted]


def _filled(point: CurvePoint, goal: Goal) -> float:
    time_ns = point.times_ns.get(goal.name)
    if not time_ns or time_ns < 0 or not goal.time_ns:
        return 0.0
    return min(max((math.log10(time_ns / goal.time_ns) + 1) / 2, 0.0), 1.0)

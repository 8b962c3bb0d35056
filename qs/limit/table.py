"""The curve on a terminal: one row a rate, with a bar of the response time that the bound is on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qs.limit.goals import Goal, parse_goals

NS_PER_MS = 1e6
BAR = 20
COLOURS = {"holds": "green", "unclear": "yellow", "fails": "red"}


def table_of(limit: Mapping[str, Any]):
    """What `Limit.to_dict` says as a rich table, at most about 100 columns wide. The bar is
    logarithmic: from a tenth of the bound to ten times it, so that it is half full at the bound.
    """
    from rich import box
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    goals = parse_goals(limit["goals"])
    shown = next((goal for goal in goals if goal.bound_ns is not None), None)
    columns = _columns(limit["curve"], goals)
    made = Table(
        title=Text(limit["sentence"]),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in (
        "rate/s",
        "answered/s",
        *(f"{name.removesuffix('_ns')} ms" for name in columns),
        "verdict",
    ):
        made.add_column(heading, justify="right", no_wrap=True)
    if shown is not None:
        made.add_column(f"{shown.name} (half: {shown})", no_wrap=True)
    for point in limit["curve"]:
        mark = " <" if point["rate_per_s"] == limit["rate_per_s"] else ""
        verdict = Text(point["verdict"] + mark, style=COLOURS[point["verdict"]])
        row = [_number(point["rate_per_s"]), _number(point["answered_per_s"])]
        row += [
            _number(None if point[name] is None else point[name] / NS_PER_MS) for name in columns
        ]
        bar = (
            []
            if shown is None
            else [Bar(1.0, 0.0, _filled(point.get(f"{shown.name}_ns"), shown), width=BAR)]
        )
        made.add_row(*row, verdict, *bar)
    return made


def _columns(curve: Sequence[Mapping[str, Any]], goals: Sequence[Goal]) -> list[str]:
    """The figures of response time that are shown: median, p99, and what is bounded."""
    wanted = {
        "p50_ns",
        "p99_ns",
        *(f"{goal.name}_ns" for goal in goals if goal.bound_ns is not None),
    }
    return [name for name in (curve[0] if curve else {}) if name in wanted]


def _filled(time_ns: float | None, goal: Goal) -> float:
    if not time_ns or not goal.bound_ns:
        return 0.0
    return min(max((math.log10(time_ns / goal.bound_ns) + 1) / 2, 0.0), 1.0)


def _number(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}" if value >= 100 else f"{value:.3g}"

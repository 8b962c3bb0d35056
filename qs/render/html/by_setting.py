"""How throughput and response time go with the batch size and with other settings: figures with
their 95 % intervals, and from some settings on each against the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.pareto import frontier
from qs.base.words import NOTHING, half_width, number
from qs.render.html.charts import MOST_IN_LEGEND, SCHEMA, Points, Spec, chart, ms, tip
from qs.result.confidence_entry import EstimateEntry
from qs.result.story import NamedCase

FEWEST_TO_SCATTER = 6
MOST_NAMED = 10  # more figures beside points would lie over one another
THROUGHPUT, TAIL = "items/s", "p99 (ms)"


def setting_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "bs", "figure", "value", "low", "high", "words", "sure"}]: two for each case. A
    case without an interval has its value at both ends. An interval that reaches below zero ends at
    what is possible: no throughput, or the least response time that was measured, as an axis of
    times is logarithmic.
    """
    found = []
    for case in cases:
        row = case.row
        sure = row.confidence
        per_query = (row.items_per_s or 0.0) / row.queries_per_s if row.queries_per_s else None
        rates = sure.queries_per_s if sure and per_query else None
        for figure, value, estimate, scale, least in (
            (THROUGHPUT, row.items_per_s, rates, per_query or 1.0, 0.0),
            (TAIL, row.p99_ms, sure.p99_ms if sure else None, 1.0, row.min_ms or row.p99_ms),
        ):
            if value:
                found.append(_point(case, figure, float(value), estimate, scale, least or 0.0))
    return found


def _point(
    case: NamedCase,
    figure: str,
    value: float,
    estimate: EstimateEntry | None,
    scale: float,
    least: float,
) -> dict[str, Any]:
    half = estimate.half_width if estimate else None
    away = (half or 0.0) * scale
    return {
        "case": case.name,
        "bs": case.row.batch_size,
        "figure": figure,
        "value": value,
        "low": value - away if value > away else min(least, value),
        "high": value + away,
        "words": number(value, 3),
        "sure": NOTHING if half is None else f"± {half_width(away / value)}",
    }


def by_batch_size(points: Points) -> Spec:
    """Items/s above and p99 below, by batch size, with intervals and figures beside the points."""
    several = len({point["bs"] for point in points}) < len({point["case"] for point in points})
    names = list(dict.fromkeys(point["case"] for point in points))
    panels = [
        _panel([each for each in points if each["figure"] == figure], several, figure)
        for figure in (THROUGHPUT, TAIL)
    ]
    return {
        "$schema": SCHEMA,
        "description": "Throughput in items per second and p99 of the response time by batch size, "
        "with 95 % intervals",
        "vconcat": [each for each in panels if each["data"]["values"]],
        **({"resolve": {"scale": {"color": "shared"}}} if len(names) <= MOST_IN_LEGEND else {}),
    }


def _panel(points: Points, several: bool, figure: str) -> Spec:
    x = {
        "field": "bs",
        "type": "ordinal",
        "title": "batch size",
        "axis": {"labelAngle": 0, "grid": False},
    }
    y = ms("value", figure) if figure == TAIL else {"type": "quantitative", "title": figure}
    apart: dict[str, Any] = {}
    if several:
        few = len({point["case"] for point in points}) <= MOST_IN_LEGEND
        legend = {} if few else {"legend": None}
        apart = {
            "xOffset": {"field": "case", "type": "nominal", "sort": None},
            "color": {"field": "case", "type": "nominal", "sort": None, "title": None} | legend,
        }
    tips = [tip("case"), tip("value", figure), tip("sure", "95 % interval")]
    interval = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, **apart},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
        "encoding": {"x": x, "y": y | {"field": "value"}, "tooltip": tips, **apart},
    }
    name = {
        "mark": {"type": "text", "align": "left", "dx": 8},
        "encoding": {"x": x, "y": y | {"field": "value"}, "text": {"field": "words"}},
    }
    return {
        "width": "container",
        "height": 180,
        "data": {"values": list(points)},
        "layer": [interval, point, *([name] if not several and len(points) <= MOST_NAMED else [])],
    }


def scatter_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "qps", "ms", "best"}], or nothing while there are too few to show more than their
    table does.
    """
    figures = {
        case.name: (case.row.items_per_s, case.row.p99_ms)
        for case in cases
        if case.row.items_per_s and case.row.p99_ms
    }
    if len(figures) < FEWEST_TO_SCATTER:
        return []
    best = set(frontier(figures))
    return [
        {"case": name, "qps": rate, "ms": tail, "best": name in best}
        for name, (rate, tail) in figures.items()
    ]


def throughput(points: Points) -> Spec:
    """Items per second against p99: up and to the left is better. A line joins the settings that
    no other beats, and these are named.
    """
    x = {"field": "ms", "type": "quantitative", "title": TAIL, "scale": {"type": "log"}}
    y = {"field": "qps", "type": "quantitative", "title": THROUGHPUT}
    only_best = [{"filter": "datum.best"}]
    return chart(
        points,
        "Throughput in items per second against p99 of the response time, a point for each case; "
        "the line joins those that no other beats in both",
        height=340,
        layer=[
            {
                "transform": only_best,
                "mark": {"type": "line", "style": "guide", "interpolate": "step-after"},
                "encoding": {"x": x, "y": y, "order": {"field": "ms"}},
            },
            {
                "params": [{"name": "zoom", "select": "interval", "bind": "scales"}],
                "mark": {"type": "point", "size": 90, "strokeWidth": 2, "filled": True},
                "encoding": {
                    "x": x,
                    "y": y,
                    "opacity": {"condition": {"test": "datum.best", "value": 1}, "value": 0.4},
                    "tooltip": [tip("case"), tip("qps", THROUGHPUT), tip("ms", "p99 ms")],
                },
            },
            {
                "transform": only_best,
                "mark": {"type": "text", "align": "left", "dx": 8, "dy": 10, "limit": 220},
                "encoding": {"x": x, "y": y, "text": {"field": "case"}},
            },
        ],
    )


def trend(points: Points) -> Spec:
    """The throughput of each case from run to run, the oldest on the left."""
    several = len({point["case"] for point in points}) > 1
    colour: dict[str, Any] = {"field": "case", "type": "nominal", "sort": None, "title": None}
    return chart(
        points,
        "Throughput of each case of this task in the runs of the history, oldest first",
        mark={"type": "line", "point": {"size": 50}},
        height=220,
        encoding={
            "x": {
                "field": "run",
                "type": "ordinal",
                "sort": None,
                "title": "run",
                "axis": {"labelOverlap": True, "labelAngle": 0},
            },
            "y": {"field": "items_per_s", "type": "quantitative", "title": THROUGHPUT},
            "color": colour if several else colour | {"legend": None},
            "tooltip": [tip("run"), tip("when"), tip("case"), tip("items_per_s", THROUGHPUT)],
        },
    )

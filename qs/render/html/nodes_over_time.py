"""The nodes of a case over the measured phase, on one timeline: a line for each of few, of many a
map of shades, with a row for each of those that stand out most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qs.base.visible import one_line
from qs.render.html.charts import SCHEMA, Points, Spec, tip
from qs.render.html.nodes_chart import IN_CASE, MOST_NAME, chosen, known, rounded
from qs.render.nodes import Node, beside, standing_out
from qs.result.cases import NamedCase
from qs.result.nodes_entry import NodeSeriesEntry

LINES = 12  # as many nodes have a line each
ROWS = 50  # of a map
POINTS, FEWEST = 4_000, 12  # of a page; of a node
LEAST_HEIGHT, ROW = 140, 14  # px
_X = {
    "field": "s",
    "type": "quantitative",
    "title": "seconds from the common start, on the driver's clock",
    "scale": {"nice": False},
}


def series_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "node", "s", "to", "per_s", "p99", "errors"}], on the driver's clock: of the nodes
    that stand out most where there are many.
    """
    spread = [case for case in cases if any(node.series for node in case.row.nodes)]
    room = POINTS // max(len(spread), 1)
    found: list[dict[str, Any]] = []
    for case in spread:
        nodes = beside(case.row.nodes)
        if len(nodes) > LINES:
            nodes = standing_out(nodes)[: min(max(room // FEWEST, LINES + 1), ROWS)]
        each = max(room // max(len(nodes), 1), FEWEST)
        if found and len(found) + len(nodes) * FEWEST > POINTS:
            break
        for node in nodes:
            if node.entry.series is not None:
                found += _steps(case.name, node, node.entry.series, each)
    return found


def _steps(case: str, node: Node, series: NodeSeriesEntry, most: int) -> list[dict[str, Any]]:
    """Its intervals, of which neighbours are put together where there are more than `most`."""
    whole = list(zip(series.at_s, series.per_s, series.p99_ms, series.errors))
    size = -(-len(whole) // most) or 1
    groups = [whole[at : at + size] for at in range(0, len(whole), size)]
    starts = [group[0][0] for group in groups]
    ends = [*starts[1:], known(series.end_s) or (starts[-1] if starts else 0.0)]
    found = []
    for group, start, end in zip(groups, starts, ends):
        rates = _finite(each[1] for each in group)
        tails = _finite(each[2] for each in group)
        found.append(
            {
                "case": case,
                "node": one_line(node.entry.name, MOST_NAME),
                "s": round(start, 4),
                "to": round(end, 4),
                "per_s": rounded(sum(rates) / len(rates)) if rates else None,
                "p99": rounded(max(tails, default=None)),
                "errors": sum(each[3] or 0 for each in group),
            }
        )
    return found


def losses(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "node", "s", "why"}] of the nodes that were lost."""
    return [
        {
            "case": case.name,
            "node": one_line(node.name, MOST_NAME),
            "s": at_s,
            "why": f"{one_line(node.name, MOST_NAME)} lost",
        }
        for case in cases
        for node in case.row.nodes
        if node.lost and (at_s := known(node.lost_at_s)) is not None
    ][:ROWS]


def series_chart(points: Points, lost: Points) -> Spec:
    """A line for each node, or, of many, a row of shades for each."""
    by_case: dict[str, set[str]] = {}
    for point in points:
        by_case.setdefault(point["case"], set()).add(point["node"])
    most = max(len(nodes) for nodes in by_case.values())
    made = _lines(points, lost) if most <= LINES else _map(points, lost, most)
    return {
        "$schema": SCHEMA,
        "description": "The rate and the 99th percentile of each node over the run, on one "
        "timeline; an upright line marks when a node was lost",
        "data": {"values": list(points)},
        **made,
        "params": [chosen("chosen", list(by_case), "case "), *made.get("params", ())],
    }


def _lines(points: Points, lost: Points) -> Spec:
    def panel(field: str, title: str, height: int, first: bool) -> Spec:
        line: Spec = {
            "transform": [IN_CASE, {"filter": f"isValid(datum.{field})"}],
            "mark": {"type": "line", "interpolate": "step-after"},
            "encoding": {
                "x": _X,
                "y": {"field": field, "type": "quantitative", "title": title},
                "color": {"field": "node", "type": "nominal", "title": None, "sort": None},
                "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.12},
                "tooltip": [tip("node"), tip(field, title), tip("s", "from s"), tip("to", "to s")],
            },
        }
        if first:
            select = {"type": "point", "fields": ["node"]}
            line["params"] = [{"name": "shown", "select": select, "bind": "legend"}]
        return {"width": "container", "height": height, "layer": [line, *_upright(lost)]}

    return {
        "data": {"values": _closed(points)},
        "vconcat": [panel("per_s", "queries/s", 130, True), panel("p99", "p99 (ms)", 170, False)],
    }


def _closed(points: Points) -> list[dict[str, Any]]:
    """With a last point for each node, where its last interval ends: a step goes as far."""
    made: list[dict[str, Any]] = []
    for at, point in enumerate(points):
        made.append(point)
        after = points[at + 1] if at + 1 < len(points) else None
        if after is None or (after["case"], after["node"]) != (point["case"], point["node"]):
            made.append(point | {"s": point["to"]})
    return made


def _map(points: Points, lost: Points, nodes: int) -> Spec:
    figures = ["p99 (ms)", "queries/s"]
    y = {
        "field": "node",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labelLimit": 140, "labelOverlap": True},
    }
    shades: Spec = {
        "transform": [
            IN_CASE,
            {"calculate": f"figure === '{figures[0]}' ? datum.p99 : datum.per_s", "as": "v"},
            {"filter": "isValid(datum.v)"},
        ],
        "mark": {"type": "rect"},
        "encoding": {
            "x": _X,
            "x2": {"field": "to"},
            "y": y,
            "color": {
                "field": "v",
                "type": "quantitative",
                "title": None,
                "scale": {"scheme": "viridis"},
            },
            "tooltip": [
                tip("node"),
                tip("per_s", "queries/s"),
                tip("p99", "p99 ms"),
                tip("errors"),
                tip("s", "from s"),
                tip("to", "to s"),
            ],
        },
    }
    gone: Spec = {
        "data": {"values": list(lost)},
        "transform": [IN_CASE],
        "mark": {"type": "point", "shape": "cross", "filled": True, "size": 70, "style": "bad"},
        "encoding": {"x": _X, "y": y, "tooltip": [tip("why"), tip("s")]},
    }
    return {
        "params": [chosen("figure", figures, "shade ")],
        "width": "container",
        "height": max(LEAST_HEIGHT, ROW * min(nodes, ROWS)),
        "layer": [shades, gone],
    }


def _upright(lost: Points) -> list[Spec]:
    if not lost:
        return []
    data = {"values": list(lost)}
    return [
        {
            "data": data,
            "transform": [IN_CASE],
            "mark": {"type": "rule", "style": "bound"},
            "encoding": {"x": _X, "tooltip": [tip("why"), tip("s")]},
        },
        {
            "data": data,
            "transform": [IN_CASE],
            "mark": {
                "type": "text",
                "style": "bound-name",
                "align": "left",
                "baseline": "top",
                "dx": 4,
            },
            "encoding": {"x": _X, "y": {"value": 2}, "text": {"field": "why"}},
        },
    ]


def _finite(values: Iterable[float | None]) -> list[float]:
    return [each for value in values if (each := known(value)) is not None]

"""The nodes of a case side by side, and how far apart they began. Few nodes are bars with their
names, many are points by rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from qs.base.visible import one_line
from qs.render.html.charts import SCHEMA, Points, Spec, tip
from qs.render.nodes import Health, Node, beside, standing_out
from qs.result.cases import NamedCase

NAMED = 40  # as many have their names below them
MOST_NODES = 1_000  # of all cases together; of more, those that stand out most
MOST_NAME = 60  # characters
HEIGHT = 140  # px
_STATES = [str(Health.FINE), str(Health.SLOW), str(Health.LOST)]
_COLOUR = {
    "field": "state",
    "type": "nominal",
    "title": None,
    "scale": {"domain": _STATES, "range": "verdicts"},
}


def node_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "node", "rank", "per_s", "p99", "state", ...}]; many nodes by their p99, the
    highest first.
    """
    found: list[dict[str, Any]] = []
    room = max(MOST_NODES // max(len(cases), 1), NAMED)
    for case in cases:
        nodes = beside(case.row.nodes)
        if len(nodes) > NAMED:
            nodes = standing_out(nodes)[:room]
            nodes = sorted(nodes, key=lambda node: -(known(node.entry.p99_ms) or 0.0))
        if found and len(found) + len(nodes) > MOST_NODES:
            break
        found += [_point(case.name, rank, node) for rank, node in enumerate(nodes, start=1)]
    return found


def _point(case: str, rank: int, node: Node) -> dict[str, Any]:
    entry = node.entry
    skew, clock = known(entry.start_skew_ms), entry.clock
    around = known(clock.uncertainty_ms) if clock is not None else None
    point = {
        "case": case,
        "node": one_line(entry.name, MOST_NAME),
        "rank": rank,
        "per_s": rounded(entry.queries_per_s),
        "p99": rounded(entry.p99_ms),
        "state": str(node.health),
        "why": one_line(node.state, MOST_NAME),
        "share": one_line(entry.share or "", MOST_NAME),
        "skew": rounded(skew),
        "from": None if skew is None or around is None else rounded(skew - around),
        "to": None if skew is None or around is None else rounded(skew + around),
        "offset": None if clock is None else rounded(clock.offset_ms),
        "drift": None if clock is None else rounded(clock.drift_ppm),
    }
    return {name: value for name, value in point.items() if value is not None}


def nodes_chart(points: Points) -> Spec:
    """Rate above, p99 below, each node in one column of both; the median is drawn across."""
    names = list(dict.fromkeys(point["case"] for point in points))
    few = _few(points)
    panels = [
        _bars(points, few, "per_s", "queries/s", labels=False),
        _bars(points, few, "p99", "p99 (ms)", labels=True),
    ]
    return {
        "$schema": SCHEMA,
        "description": "The rate and the 99th percentile of the response time of each node; the "
        "median of all is drawn across, lost nodes and slow ones have colours of their own",
        "data": {"values": list(points)},
        "params": [chosen("chosen", names, "case ")],
        "vconcat": panels,
    }


def _few(points: Points) -> bool:
    """Whether each case has so few nodes that they are named."""
    return max((point["rank"] for point in points), default=0) <= NAMED


def _bars(points: Points, few: bool, field: str, title: str, labels: bool) -> Spec:
    x = _place(few, labels)
    y = {"field": field, "type": "quantitative", "title": title, "scale": {"zero": True}}
    tips = [
        tip("node"),
        tip("per_s", "queries/s"),
        tip("p99", "p99 ms"),
        tip("why", "state"),
        tip("share"),
    ]
    larger = {"condition": {"test": f"datum.state === '{_STATES[0]}'", "value": 20}, "value": 130}
    every: Spec = {
        "transform": [IN_CASE],
        "mark": {"type": "bar", "size": 22}
        if few
        else {"type": "point", "filled": True, "opacity": 0.9},
        "encoding": {
            "x": x,
            "y": y,
            "color": _COLOUR,
            "tooltip": tips,
            **({} if few else {"size": larger}),
        },
    }
    lost: Spec = {
        "transform": [IN_CASE, {"filter": f"datum.state === '{Health.LOST}'"}],
        "mark": {"type": "text", "baseline": "bottom", "dy": -4, "style": "bad"},
        "encoding": {
            "x": x,
            "y": {"datum": 0, "type": "quantitative"},
            "text": {"value": "lost"},
            "tooltip": tips,
        },
    }
    across = {"values": _medians(points, field)}
    half: Spec = {
        "data": across,
        "transform": [IN_CASE],
        "mark": {"type": "rule", "style": "guide"},
        "encoding": {
            "y": {"field": "at", "type": "quantitative"},
            "tooltip": [tip("at", "median")],
        },
    }
    named: Spec = {
        "data": across,
        "transform": [IN_CASE],
        "mark": {"type": "text", "align": "right", "baseline": "bottom", "dy": -3},
        "encoding": {
            "x": {"value": "width"},
            "y": {"field": "at", "type": "quantitative"},
            "text": {"value": "median"},
        },
    }
    return {
        "width": "container",
        "height": HEIGHT,
        "layer": [every, *([lost] if few else []), half, named],
    }


def _place(few: bool, labels: bool) -> dict[str, Any]:
    if not few:
        title = "nodes, those with the highest p99 first" if labels else None
        return {"field": "rank", "type": "quantitative", "title": title, "scale": {"nice": False}}
    axis = {"labelAngle": -30, "labelLimit": 160, "labelOverlap": False} if labels else None
    return {"field": "node", "type": "nominal", "title": None, "sort": None, "axis": axis}


def _medians(points: Points, field: str) -> list[dict[str, Any]]:
    by_case: dict[str, list[float]] = {}
    for point in points:
        if point.get(field) is not None:
            by_case.setdefault(point["case"], []).append(point[field])
    return [
        {"case": case, "at": known(median(values))}
        for case, values in by_case.items()
        if len(values) > 1
    ]


def clock_chart(points: Points) -> Spec | None:
    """How long after the common start each node began, as far as its clock tells; None where nobody
    knows it.
    """
    read = [point for point in points if "skew" in point]
    if not read:
        return None
    names = list(dict.fromkeys(point["case"] for point in read))
    x = _place(_few(points), labels=True)
    y = {"field": "skew", "type": "quantitative", "title": "after the start (ms)"}
    tips = [
        tip("node"),
        tip("skew", "ms after the start"),
        tip("from", "at least"),
        tip("to", "at most"),
        tip("offset", "clock's offset ms"),
        tip("drift", "clock's drift ppm"),
    ]
    return {
        "$schema": SCHEMA,
        "description": "How long after the common start each node began; the line is what its "
        "clock leaves open",
        "data": {"values": read},
        "width": "container",
        "height": HEIGHT,
        "params": [chosen("chosen", names, "case ")],
        "layer": [
            {
                "mark": {"type": "rule", "style": "guide", "aria": False},
                "encoding": {"y": {"datum": 0}},
            },
            {
                "transform": [IN_CASE],
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    "x": x,
                    "y": y | {"field": "from"},
                    "y2": {"field": "to"},
                    "tooltip": tips,
                },
            },
            {
                "transform": [IN_CASE],
                "mark": {"type": "point", "filled": True, "size": 50},
                "encoding": {"x": x, "y": y, "tooltip": tips},
            },
        ],
    }


IN_CASE = {"filter": "datum.case === chosen"}


def chosen(name: str, options: Sequence[str], label: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "value": options[0]}
    if len(options) > 1:
        made["bind"] = {"input": "select", "options": list(options), "name": label}
    return made


def known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def rounded(value: float | None) -> float | None:
    figure = known(value)
    return None if figure is None else float(f"{figure:.4g}")

"""The charts, as specifications of Vega-Lite: plain dicts. Drag and wheel zoom; a click on
the legend shows one case alone, a double click all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Points = Sequence[dict[str, Any]]
Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # names the language; nothing is fetched
MOST_IN_LEGEND = 24
MS = "response time (ms)"
# 1 / (1 - p): 1, 10, 100 ... are 0 %, 90 %, 99 % ...
_NINES = "datum.value === 1 ? '0 %' : (100 - 100 / datum.value) + ' %'"
_LEGEND = {"name": "shown", "select": {"type": "point", "fields": ["case"]}, "bind": "legend"}
# A click on a line, for a chart without a legend.
_ALL = {"name": "shown", "select": {"type": "point", "fields": ["case"]}}
_ZOOM = {"name": "zoom", "select": "interval", "bind": "scales"}


def latency_by_percentile(points: Points) -> Spec:
    """The HDR plot."""
    return _chart(
        points,
        "Response time by percentile, a line for each case; both axes are logarithmic",
        mark={"type": "line", "interpolate": "monotone"},
        params=[_LEGEND, _ZOOM]
        if len({point["case"] for point in points}) <= MOST_IN_LEGEND
        else [_ZOOM, _ALL],
        encoding={
            "x": {
                "field": "x",
                "type": "quantitative",
                "scale": {"type": "log", "domain": [1, 10000]},
                "title": "percentile",
                "axis": {"values": [1, 10, 100, 1000, 10000], "labelExpr": _NINES},
            },
            "y": _ms("ms"),
            **_by_case(points),
            "tooltip": [_tip("case"), _tip("p", "percentile"), _tip("ms", "ms")],
        },
    )


def throughput(points: Points) -> Spec:
    """Items per second against p99: up and to the left is better."""
    return _chart(
        points,
        "Throughput in items per second against p99 of the response time, a point for each case; "
        "up and to the left is better",
        mark={"type": "point", "filled": True, "size": 90},
        params=[_ZOOM],
        encoding={
            "x": {
                "field": "ms",
                "type": "quantitative",
                "title": "p99 (ms)",
                "scale": {"zero": False},
            },
            "y": {"field": "qps", "type": "quantitative", "title": "items/s"},
            "color": {
                "field": "frontier",
                "type": "nominal",
                "title": "on the frontier",
                "sort": ["yes", "no"],
            },
            "shape": {
                "field": "frontier",
                "type": "nominal",
                "title": "on the frontier",
                "sort": ["yes", "no"],
            },
            "tooltip": [_tip("case"), _tip("qps", "items/s"), _tip("ms", "p99 ms")],
        },
    )


def by_batch_size(points: Points) -> Spec:
    return _chart(
        points,
        "Throughput in items per second by batch size",
        mark={"type": "bar"},
        encoding={
            "x": {
                "field": "bs",
                "type": "ordinal",
                "title": "batch size",
                "axis": {"labelAngle": 0},
            },
            "y": {"field": "qps", "type": "quantitative", "title": "items/s"},
            **(
                {"xOffset": {"field": "case", "type": "nominal"}}
                if len({point["bs"] for point in points}) < len(points)
                else {}
            ),
            "tooltip": [_tip("case"), _tip("qps", "items/s")],
        },
    )


def time_series(points: Points, names: Sequence[str], warm_ups: Points) -> Spec:
    """Throughput above, p50 and p99 below, of one case at a time; the warm-up is the shaded time
    before 0.
    """
    chosen = {
        "name": "chosen",
        "value": names[0],
        "bind": {"input": "select", "options": list(names), "name": "case "},
    }
    filtered = [{"filter": "datum.case === chosen"}]
    x = {
        "field": "s",
        "type": "quantitative",
        "title": "seconds of the measured phase; shaded: the warm-up before it",
    }
    shade = {
        "data": {"values": list(warm_ups)},
        "transform": filtered,
        "mark": {"type": "rect", "opacity": 0.15},
        "encoding": {
            "x": {"field": "from", "type": "quantitative"},
            "x2": {"field": "to"},
            "tooltip": [_tip("completed", "warm-up queries"), _tip("ms", "average ms")],
        },
    }

    def panel(field: str, title: str, height: int) -> Spec:
        return {
            "width": "container",
            "height": height,
            "layer": [
                shade,
                {
                    "transform": filtered,
                    "mark": {"type": "line", "point": {"size": 12}},
                    "encoding": {
                        "x": x,
                        "y": {"field": field, "type": "quantitative", "title": title},
                        "tooltip": [_tip("s"), _tip(field, title)],
                    },
                },
            ],
        }

    times = panel("p99", "p99 (ms)", 140)
    times["layer"].append(
        {
            "transform": filtered,
            "mark": {"type": "line", "strokeDash": [4, 3]},
            "encoding": {
                "x": x,
                "y": {"field": "p50", "type": "quantitative", "title": "p99, dashed p50 (ms)"},
            },
        }
    )
    times["layer"][1]["encoding"]["y"]["title"] = "p99, dashed p50 (ms)"
    return {
        "$schema": SCHEMA,
        "description": "Queries per second, and the median and the 99th percentile of the "
        "response time, over the run",
        "data": {"values": list(points)},
        "params": [chosen],
        "vconcat": [panel("per_s", "queries/s", 120), times],
    }


def parts_of_response(points: Points) -> Spec:
    """Open loop: a response time is made up of lateness, waiting and service time."""
    return _chart(
        points,
        "Percentiles of response time, service time and lateness of open-loop cases",
        mark={"type": "line", "point": True},
        params=[_LEGEND_OF_PARTS],
        encoding={
            "x": {
                "field": "at",
                "type": "ordinal",
                "title": "percentile",
                "sort": None,
                "axis": {"labelAngle": 0},
            },
            "y": _ms("ms", "time (ms)"),
            "color": {"field": "part", "type": "nominal", "title": None},
            "strokeDash": {"field": "case", "type": "nominal", "title": None},
            "opacity": {"condition": {"param": "parts", "value": 1}, "value": 0.1},
            "tooltip": [_tip("case"), _tip("part"), _tip("at", "percentile"), _tip("ms", "ms")],
        },
    )


_LEGEND_OF_PARTS = {
    "name": "parts",
    "select": {"type": "point", "fields": ["part"]},
    "bind": "legend",
}


def latency_by_rate(points: Points, limit: float | None = None) -> Spec:
    """p50, p99 and any other percentile, by the rate that was offered."""
    lines = _chart(
        points,
        "Response time against the rate of arrivals",
        mark={"type": "line", "point": True},
        params=[
            {"name": "shown", "select": {"type": "point", "fields": ["figure"]}, "bind": "legend"}
        ],
        encoding={
            "x": {"field": "rate", "type": "quantitative", "title": "queries/s that arrive"},
            "y": _ms("ms"),
            "color": {"field": "figure", "type": "nominal", "title": None},
            "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.1},
            "tooltip": [
                _tip("figure"),
                _tip("rate", "queries/s"),
                _tip("ms", "ms"),
                _tip("verdict"),
            ],
        },
    )
    if limit is None:
        return lines
    keep = {key: lines.pop(key) for key in ("mark", "params", "encoding")}
    rule = {
        "data": {"values": [{"rate": limit}]},
        "mark": {"type": "rule", "strokeDash": [6, 4]},
        "encoding": {"x": {"field": "rate", "type": "quantitative"}},
    }
    return {**lines, "layer": [keep, rule]}


def differences(points: Points, margin: float) -> Spec:
    """A comparison: each figure's change with its interval. A change within the band, the margin,
    does not matter.
    """
    y = {"field": "figure", "type": "nominal", "title": None, "sort": None}
    x = {"field": "low", "type": "quantitative", "title": "change of B against A (%)"}
    colour = {"field": "verdict", "type": "nominal", "title": None}
    tips = [
        _tip("figure"),
        _tip("change", "%"),
        _tip("low", "from %"),
        _tip("high", "to %"),
        _tip("verdict"),
    ]
    band = {
        "data": {"values": [{"low": -margin * 100, "high": margin * 100}]},
        "mark": {"type": "rect", "opacity": 0.15},
        "encoding": {"x": x, "x2": {"field": "high"}},
    }
    interval = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"y": y, "x": x, "x2": {"field": "high"}, "color": colour},
    }
    point = {
        "mark": {"type": "point", "filled": True, "size": 70},
        "encoding": {
            "y": y,
            "x": {"field": "change", "type": "quantitative"},
            "color": colour,
            "tooltip": tips,
        },
    }
    return {
        "$schema": SCHEMA,
        "description": "Change of each figure in percent with its 95 % interval; the shaded band "
        "is the margin",
        "data": {"values": list(points)},
        "width": "container",
        "height": 28 * len(points) + 20,
        "layer": [band, interval, point],
    }


def _chart(points: Points, description: str, **parts: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "description": description,
        "data": {"values": list(points)},
        "width": "container",
        "height": 300,
        **parts,
    }


def _by_case(points: Points) -> dict[str, Any]:
    """A colour for each case. More than a legend has room for are told apart by their tooltips."""
    few = len({point["case"] for point in points}) <= MOST_IN_LEGEND
    return {
        "color": {
            "field": "case",
            "type": "nominal",
            "title": None,
            "sort": None,
            **({} if few else {"legend": None}),
        },
        "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.08},
    }


def _ms(field: str, title: str = MS) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": True},
    }


def _tip(field: str, title: str | None = None) -> dict[str, str]:
    return {"field": field, "title": title or field}

"""The charts, as specifications of Vega-Lite: plain dicts. Drag and wheel zoom; a click on
the legend shows one case alone, a double click all. Colours are names of `look`'s styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.words import number

Points = Sequence[dict[str, Any]]
Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # names the language; nothing is fetched
MOST_IN_LEGEND = 24
MS = "response time (ms)"
MOST_NINES = 6  # decades of the axis of percentiles: to 99.9999 %
GUIDES: tuple[dict[str, Any], ...] = ({"x": 2, "name": "p50"}, {"x": 100, "name": "p99"})
# 1 / (1 - p): 1, 10, 100 ... are 0 %, 90 %, 99 % ...
_NINES = "datum.value === 1 ? '0 %' : format(100 - 100 / datum.value, '.6~r') + ' %'"
# Of a logarithmic axis, the lines between two powers of ten are faint.
_DECADES = {
    "condition": {"test": "abs(log(datum.value) / LN10 % 1) < 1e-6", "value": 1},
    "value": 0.25,
}
_LEGEND = {"name": "shown", "select": {"type": "point", "fields": ["case"]}, "bind": "legend"}
# A click on a line, for a chart without a legend.
_ALL = {"name": "shown", "select": {"type": "point", "fields": ["case"]}}
_ZOOM = {"name": "zoom", "select": "interval", "bind": "scales"}


def latency_by_percentile(points: Points) -> Spec:
    """The HDR plot: steps from sample to sample, as far as there are samples. `points`: as
    `curves.percentile_points` gives them; what has "few" is beyond what the samples can tell.
    """
    last = max((point["x"] for point in points), default=1.0)
    sure = max((point["x"] for point in points if not point.get("few")), default=last)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [1, max(last, 2.0)], "nice": False},
        "title": "percentile",
        "axis": {"values": [10**nines for nines in range(MOST_NINES + 1)], "labelExpr": _NINES},
    }
    guides = [each for each in GUIDES if each["x"] <= last]
    few_cases = len({point["case"] for point in points}) <= MOST_IN_LEGEND
    lines = {
        "mark": {"type": "line", "interpolate": "step-after", "clip": True},
        "params": [_LEGEND, _ZOOM] if few_cases else [_ZOOM, _ALL],
        "encoding": {
            "x": x,
            "y": ms("ms"),
            **by_case(points),
            "strokeDash": {
                "field": "few",
                "type": "nominal",
                "scale": {"domain": [False, True], "range": [[1, 0], [2, 4]]},
                "legend": None,
            },
        },
    }
    touched = {
        "mark": {"type": "point", "opacity": 0, "size": 120, "clip": True},
        "encoding": {
            "x": x,
            "y": ms("ms"),
            "tooltip": [tip("case"), tip("p", "percentile"), tip("ms", "ms")],
        },
    }
    beyond = {
        "data": {"values": [{"from": sure, "to": last}] if sure < last else []},
        "mark": {"type": "rect", "opacity": 0.1, "clip": True},
        "encoding": {"x": x | {"field": "from"}, "x2": {"field": "to"}},
    }
    return chart(
        points,
        "Response time by percentile, a line for each case; both axes are logarithmic. Dashed, and "
        "shaded where it holds for all cases: too few samples to tell",
        layer=[beyond, *_upright(guides, x), lines, touched],
    )


def _upright(guides: Points, x: dict[str, Any]) -> list[Spec]:
    """Upright lines with their names at the top."""
    data = {"values": list(guides)}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "style": "guide", "clip": True},
            "encoding": {"x": x},
        },
        {
            "data": data,
            "mark": {"type": "text", "align": "left", "baseline": "top", "dx": 4, "clip": True},
            "encoding": {"x": x, "y": {"value": 2}, "text": {"field": "name"}},
        },
    ]


def parts_of_response(points: Points) -> Spec:
    """Open loop: a response time is made up of lateness, waiting and service time."""
    return chart(
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
            "y": ms("ms", "time (ms)"),
            "color": {"field": "part", "type": "nominal", "title": None, "sort": None},
            **(
                {"strokeDash": {"field": "case", "type": "nominal", "title": None, "sort": None}}
                if len({point["case"] for point in points}) > 1
                else {}
            ),
            "opacity": {"condition": {"param": "parts", "value": 1}, "value": 0.1},
            "tooltip": [tip("case"), tip("part"), tip("at", "percentile"), tip("ms", "ms")],
        },
    )


_LEGEND_OF_PARTS = {
    "name": "parts",
    "select": {"type": "point", "fields": ["part"]},
    "bind": "legend",
}


def latency_by_rate(
    points: Points,
    limit: float | None = None,
    bounds: Points = (),
    fails: float | None = None,
    load: str = "queries/s that arrive",
    unit: str = "/s",
) -> Spec:
    """Response times by the load that was offered. `bounds`: [{"ms", "name"}], drawn across;
    `limit`: the most load that holds, `fails`: the least that does not, drawn upright.
    """
    x = {"field": "rate", "type": "quantitative", "title": load}
    y = ms("ms")
    lines = {
        "params": [
            {"name": "shown", "select": {"type": "point", "fields": ["figure"]}, "bind": "legend"}
        ],
        "mark": {"type": "line", "point": {"size": 50}},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "figure", "type": "nominal", "title": None, "sort": None},
            "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.1},
            "tooltip": [
                tip("figure"),
                tip("rate", "queries/s" if unit == "/s" else load),
                tip("ms", "ms"),
                tip("verdict"),
            ],
        },
    }
    across = {"values": list(bounds)}
    held = [
        {
            "data": across,
            "mark": {"type": "rule", "style": "bound"},
            "encoding": {"y": y},
        },
        {
            "data": across,
            "mark": {
                "type": "text",
                "style": "bound-name",
                "align": "left",
                "baseline": "bottom",
                "dx": 4,
                "dy": -3,
            },
            "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "name"}},
        },
    ]
    ends = [
        {"x": rate, "name": f"{name} {number(rate)}{unit}"}
        for name, rate in (("holds", limit), ("fails", fails))
        if rate is not None
    ]
    upright = _upright(ends, x | {"field": "x"}) if ends else []
    return chart(
        points,
        f"Response time against {'the rate of arrivals' if unit == '/s' else load}",
        layer=[*upright, *(held if bounds else []), lines],
    )


def chart(points: Points, description: str, **parts: Any) -> Spec:
    """A chart as wide as its place."""
    return {
        "$schema": SCHEMA,
        "description": description,
        "data": {"values": list(points)},
        "width": "container",
        "height": 300,
        **parts,
    }


def by_case(points: Points) -> dict[str, Any]:
    """A colour for each case. One case needs no legend; more than a legend has room for are told
    apart by their tooltips."""
    cases = len({point["case"] for point in points})
    return {
        "color": {
            "field": "case",
            "type": "nominal",
            "title": None,
            "sort": None,
            **({} if 1 < cases <= MOST_IN_LEGEND else {"legend": None}),
        },
        "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.08},
    }


def ms(field: str, title: str = MS) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": True},
        "axis": {"gridOpacity": _DECADES},
    }


def tip(field: str, title: str | None = None) -> dict[str, str]:
    return {"field": field, "title": title or field}

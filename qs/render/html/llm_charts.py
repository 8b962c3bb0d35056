"""The charts of a language model: times of a token by percentile, tokens and requests in flight
over time, single requests, lengths, goodput. One case is drawn at a time, which a menu chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.render.html.charts import (
    _DECADES,
    _NINES,
    GUIDES,
    MOST_NINES,
    SCHEMA,
    Points,
    Spec,
    chart,
    tip,
)
from qs.render.html.llm_points import (
    DECODE,
    DRAWN_LENGTHS,
    FAILED,
    PHASES,
    PREFILL,
    SERVED_LENGTHS,
    WAITING,
    WITHIN,
)

ROW = 5  # px of a request
LEAST_HEIGHT = 120


def by_measure(points: Points) -> Spec:
    """Every measure by percentile, dashed where too few values tell."""
    last = max((point["x"] for point in points), default=1.0)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [1, max(last, 2.0)], "nice": False},
        "title": "percentile",
        "axis": {"values": [10**nines for nines in range(MOST_NINES + 1)], "labelExpr": _NINES},
    }
    y = {
        "field": "ms",
        "type": "quantitative",
        "title": "ms",
        "scale": {"type": "log", "nice": True},
        "axis": {"gridOpacity": _DECADES},
    }
    lines = {
        "transform": [_CHOSEN],
        "mark": {"type": "line", "interpolate": "step-after", "clip": True},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"field": "measure", "type": "nominal", "title": None, "sort": None},
            "strokeDash": {
                "field": "few",
                "type": "nominal",
                "scale": {"domain": [False, True], "range": [[1, 0], [2, 4]]},
                "legend": None,
            },
            "opacity": {"condition": {"param": "shown", "value": 1}, "value": 0.1},
        },
        "params": [
            {"name": "shown", "select": {"type": "point", "fields": ["measure"]}, "bind": "legend"}
        ],
    }
    touched = {
        "transform": [_CHOSEN],
        "mark": {"type": "point", "opacity": 0, "size": 120, "clip": True},
        "encoding": {
            "x": x,
            "y": y,
            "tooltip": [tip("measure"), tip("p", "percentile"), tip("ms", "ms")],
        },
    }
    guides = [
        {
            "data": {"values": [each for each in GUIDES if each["x"] <= last]},
            "mark": {"type": "rule", "style": "guide", "clip": True},
            "encoding": {"x": x},
        }
    ]
    return chart(
        points,
        "Time to first token, times between tokens and per token, and the whole request, by "
        "percentile; both axes are logarithmic",
        params=[_case(points)],
        layer=[*guides, lines, touched],
    )


def over_time(points: Points) -> Spec:
    """Tokens a second, requests in flight and the median TTFT, one below the other."""
    panels = [
        _panel("per_s", "output tokens/s", 120),
        _panel("in_flight", "requests in flight", 90),
    ]
    if any(point["ttft"] is not None for point in points):
        panels.append(_panel("ttft", "TTFT p50 (ms)", 90))
    return {
        "$schema": SCHEMA,
        "description": "Output tokens per second, requests in flight, and the median time to first "
        "token, over the run",
        "data": {"values": list(points)},
        "params": [_case(points)],
        "vconcat": panels,
    }


def _panel(field: str, title: str, height: int) -> Spec:
    return {
        "width": "container",
        "height": height,
        "transform": [_CHOSEN, {"filter": f"isValid(datum.{field})"}],
        "layer": [
            {
                "mark": {"type": "line", "interpolate": "step-after"},
                "encoding": {
                    "x": _seconds("s"),
                    "y": {"field": field, "type": "quantitative", "title": title},
                },
            },
            {
                "mark": {"type": "rect", "opacity": 0},
                "encoding": {
                    "x": _seconds("s"),
                    "x2": {"field": "to"},
                    "tooltip": [
                        tip("per_s", "output tokens/s"),
                        tip("in_flight", "in flight"),
                        tip("ttft", "TTFT p50 ms"),
                        tip("s", "from s"),
                        tip("to", "to s"),
                    ],
                },
            },
        ],
    }


def timeline(points: Points) -> Spec:
    """A line for each request of a sample, from when it was due to its last byte."""
    most = max((point["n"] for point in points), default=1)
    shown = {point["phase"] for point in points}
    domain = [phase for phase in PHASES if phase in shown]
    return {
        "$schema": SCHEMA,
        "description": "A sample of single requests over time, a line for each: waiting to be "
        "sent, prefill until the first token, decode until the last byte",
        "data": {"values": list(points)},
        "params": [_case(points)],
        "width": "container",
        "height": max(ROW * most, LEAST_HEIGHT),
        "transform": [_CHOSEN],
        "mark": {"type": "bar", "height": ROW - 1, "clip": True},
        "encoding": {
            "x": _seconds("from"),
            "x2": {"field": "to"},
            "y": {
                "field": "n",
                "type": "quantitative",
                "title": "request, by due time",
                "scale": {"reverse": True, "domain": [0, most + 1], "nice": False, "zero": False},
                "axis": {"grid": False, "tickMinStep": 1},
            },
            "color": {
                "field": "phase",
                "type": "nominal",
                "title": None,
                "scale": {"domain": domain, "range": [COLOURS[phase] for phase in domain]},
            },
            "tooltip": [
                tip("phase"),
                tip("ms", "ms"),
                tip("from", "from s"),
                tip("in", "input tokens"),
                tip("out", "output tokens"),
                tip("outcome"),
            ],
        },
    }


# By meaning, on light and on dark paper: of Okabe and Ito's, which the colour blind tell apart.
COLOURS = {
    WAITING: "#8a8f99",
    PREFILL: "#E69F00",
    DECODE: "#3a94cf",
    FAILED: "#d55e00",
    PHASES[3]: "#3a94cf",
}


def lengths(points: Points) -> Spec:
    """How many requests were how long: as drawn an outline, as served filled."""
    shown = {point["how"] for point in points}
    how = {
        "field": "how",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": [each for each in (DRAWN_LENGTHS, SERVED_LENGTHS) if each in shown],
            "range": [
                colour
                for each, colour in ((DRAWN_LENGTHS, "#E69F00"), (SERVED_LENGTHS, "#3a94cf"))
                if each in shown
            ],
        },
    }
    panels = [
        {
            "width": "container",
            "height": 110,
            "transform": [_CHOSEN, {"filter": f"datum.of === '{of}'"}],
            "mark": {"type": "bar", "fillOpacity": 0.35, "strokeWidth": 1.5},
            "encoding": {
                "x": {
                    "field": "from",
                    "type": "quantitative",
                    "title": f"{of} tokens of a request",
                    "scale": {"zero": False, "nice": False},
                    "axis": {"tickMinStep": 1},
                },
                "x2": {"field": "to"},
                "y": {
                    "field": "requests",
                    "type": "quantitative",
                    "title": "requests",
                    "stack": None,
                },
                "y2": {"datum": 0},
                "color": how,
                "stroke": how,
                "tooltip": [
                    tip("how"),
                    tip("from", f"{of} tokens from"),
                    tip("to", "below"),
                    tip("requests"),
                ],
            },
        }
        for of in ("input", "output")
        if any(point["of"] == of for point in points)
    ]
    return {
        "$schema": SCHEMA,
        "description": "How many requests had how many input and output tokens, as they were drawn "
        "and as the server counted them",
        "data": {"values": list(points)},
        "params": [_case(points)],
        "vconcat": panels,
    }


def goodput(points: Points) -> Spec:
    """Good and answered requests against the rate that was offered."""
    return chart(
        points,
        "Requests per second that kept every bound, and all that were answered, against the rate "
        "of arrivals",
        mark={"type": "line", "point": {"size": 50}},
        encoding={
            "x": {"field": "rate", "type": "quantitative", "title": "requests/s that arrive"},
            "y": {"field": "per_s", "type": "quantitative", "title": "requests/s"},
            "color": {"field": "what", "type": "nominal", "title": None, "sort": None},
            "strokeDash": {"field": "what", "type": "nominal", "title": None, "sort": None},
            "tooltip": [tip("what"), tip("rate", "arrive/s"), tip("per_s", "requests/s")],
        },
    )


def interactivity(points: Points) -> Spec:
    """What all users get against what each gets, a point for each load: up and to the right is
    better. A line joins the loads that no other beats, and these are named.
    """
    x = {
        "field": "user",
        "type": "quantitative",
        "title": "tokens/s of a user (median)",
        "scale": {"zero": False, "padding": 60},  # room for the names
    }
    y = {"field": "all", "type": "quantitative", "title": "output tokens/s of all users"}
    only_best = [{"filter": "datum.best"}]
    shown = {point["within"] for point in points}
    domain = [each for each in WITHIN.values() if each in shown]
    return chart(
        points,
        "Output tokens per second of all users against those of the median user, a point for each "
        "load; the line joins those that no other beats in both",
        height=320,
        layer=[
            {
                "transform": only_best,
                "mark": {"type": "line", "style": "guide"},
                "encoding": {"x": x, "y": y, "order": {"field": "user"}},
            },
            {
                "params": [{"name": "zoom", "select": "interval", "bind": "scales"}],
                "mark": {"type": "point", "size": 90, "filled": True},
                "encoding": {
                    "x": x,
                    "y": y,
                    "opacity": {"condition": {"test": "datum.best", "value": 1}, "value": 0.45},
                    "color": {
                        "field": "within",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": domain, "range": [JUDGED[each] for each in domain]},
                        **({} if len(domain) > 1 else {"legend": None}),
                    },
                    "shape": {
                        "field": "within",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": domain, "range": [SHAPES[each] for each in domain]},
                        **({} if len(domain) > 1 else {"legend": None}),
                    },
                    "tooltip": [
                        tip("load"),
                        tip("user", "tokens/s of a user"),
                        tip("all", "tokens/s of all"),
                        tip("within"),
                    ],
                },
            },
            {
                "transform": only_best,
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 7, "dy": -3},
                "encoding": {"x": x, "y": y, "text": {"field": "load"}},
            },
        ],
    )


JUDGED = dict(zip(WITHIN.values(), ("#3a94cf", "#d55e00", "#8a8f99")))
SHAPES = dict(zip(WITHIN.values(), ("circle", "cross", "square")))
_CHOSEN: dict[str, Any] = {"filter": "datum.case === chosen"}


def _case(points: Points) -> dict[str, Any]:
    names: Sequence[str] = list(dict.fromkeys(point["case"] for point in points))
    made: dict[str, Any] = {"name": "chosen", "value": names[0]}
    if len(names) > 1:
        made["bind"] = {"input": "select", "options": names, "name": "case "}
    return made


def _seconds(field: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": "seconds of the measured phase",
        "scale": {"nice": False},
    }

"""The charts of a comparison: the change of each figure, coloured by what it means, and the
percentile curves of A and B over each other.

Worse is reddish, better blue and what cannot be told grey (Okabe and Ito's colours, which the
colour blind tell apart); shape and words say the same, and each figure says which direction is
better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.render.html.charts import _DECADES, _NINES, MOST_NINES, chart, tip

Points = Sequence[dict[str, Any]]
# By meaning, whatever the order of the figures.
MEANINGS = ("slower", "faster", "same", "cannot tell")
COLOURS = ("#d55e00", "#0072b2", "#5a6b7a", "#767676")
SHAPES = ("triangle-left", "triangle-right", "square", "circle")
SIDES = ("#7a7a7a", "#0072b2")


def changes(points: Points, margin: float) -> dict[str, Any]:
    """Each figure's change in percent with its interval; the band is the margin."""
    y = {
        "field": "figure",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labelLimit": 260},
    }
    x = {"field": "low", "type": "quantitative", "title": "change from A to B (%)"}
    colour = {
        "field": "verdict",
        "type": "nominal",
        "title": None,
        "scale": {"domain": MEANINGS, "range": COLOURS},
        "legend": {"orient": "top"},
    }
    shape = {
        "field": "verdict",
        "type": "nominal",
        "title": None,
        "scale": {"domain": MEANINGS, "range": SHAPES},
        "legend": {"orient": "top"},
    }
    at = {"field": "change", "type": "quantitative"}
    tips = [
        tip("figure"),
        tip("change", "%"),
        tip("low", "from %"),
        tip("high", "to %"),
        tip("verdict"),
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
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {"y": y, "x": at, "color": colour, "shape": shape, "tooltip": tips},
    }
    words = {
        "mark": {"type": "text", "dy": -11, "fontSize": 11},
        "encoding": {"y": y, "x": at, "text": {"field": "verdict"}, "color": colour},
    }
    return chart(
        points,
        "Change of each figure in percent with its 95 % interval. Slower is orange, pointing left, "
        "faster is blue, pointing right, grey cannot be told; the shaded band is the margin",
        layer=[band, interval, point, words],
    ) | {"height": 34 * len(points) + 20}


def overlaid(points: Points, sides: Sequence[str], what: str = "response time") -> dict[str, Any]:
    """Response time, or another measure, by percentile of both sides, with 95 % intervals.
    `points`: {"side", "x": 1 / (1 - share), "p": percent, "ms", "low", "high"}.
    """
    last = max((point["x"] for point in points), default=2.0)
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [1, max(last, 2.0)], "nice": False},
        "title": "percentile",
        "axis": {"values": [10**nines for nines in range(MOST_NINES + 1)], "labelExpr": _NINES},
    }
    colour = {
        "field": "side",
        "type": "nominal",
        "title": None,
        "legend": {"orient": "top"},
        "scale": {"domain": list(sides), "range": list(SIDES)},
    }

    def ms(field: str) -> dict[str, Any]:
        return {
            "field": field,
            "type": "quantitative",
            "title": f"{what} (ms)",
            "scale": {"type": "log", "nice": True},
            "axis": {"gridOpacity": _DECADES},
        }

    area = {
        "mark": {"type": "area", "opacity": 0.25, "clip": True},
        "encoding": {"x": x, "y": ms("low"), "y2": {"field": "high"}, "color": colour},
    }
    dashes = {
        "field": "side",
        "type": "nominal",
        "title": None,
        "legend": {"orient": "top"},
        "scale": {"domain": list(sides), "range": [[6, 3], [1, 0]]},
    }
    tips = [
        tip("side"),
        tip("p", "percentile"),
        tip("ms", "ms"),
        tip("low", "from ms"),
        tip("high", "to ms"),
    ]
    line = {
        "mark": {"type": "line", "clip": True, "strokeWidth": 2},
        "encoding": {"x": x, "y": ms("ms"), "color": colour, "strokeDash": dashes, "tooltip": tips},
    }
    return chart(
        points,
        f"{what[0].upper()}{what[1:]} by percentile, A dashed and B drawn through, each within its "
        "95 % interval; both axes are logarithmic",
        layer=[area, line],
    )

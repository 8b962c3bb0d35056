"""The chart of a comparison of backends: one figure by batch size, a point with its interval for
each backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.render.html.charts import _DECADES, Points, Spec, chart, tip

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "stroke", "wedge")
ROOM = 1.25  # beyond the outermost points


def by_backend(points: Points, backends: Sequence[str], figure: str, title: str) -> Spec:
    """`points`: {"case", "backend", "value", "low", "high"}; `figure` names them, `title` is that
    of the axis. Logarithmic, so that equal ratios look equal.
    """
    x = {
        "field": "case",
        "type": "nominal",
        "title": "batch size",
        "sort": None,
        "axis": {"labelAngle": 0},
    }
    offset = {"field": "backend", "type": "nominal", "sort": list(backends)}
    y: dict[str, Any] = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "nice": False, "domain": _domain(points)},
        "axis": {"gridOpacity": _DECADES},
    }
    colour = {
        "field": "backend",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": list(backends)},
        "legend": {"orient": "top"},
    }
    shape = colour | {"scale": {"domain": list(backends), "range": list(SHAPES[: len(backends)])}}
    whisker = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {
            "x": x,
            "xOffset": offset,
            "y": y | {"field": "low"},
            "y2": {"field": "high"},
            "color": colour,
        },
    }
    ends = [
        {
            "mark": {"type": "tick", "orient": "horizontal", "size": 10, "thickness": 2},
            "encoding": {"x": x, "xOffset": offset, "y": y | {"field": end}, "color": colour},
        }
        for end in ("low", "high")
    ]
    tips = [tip("backend"), tip("case", "batch size"), tip("value", figure)]
    tips += [tip("low", "from"), tip("high", "to")]
    point = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": {
            "x": x,
            "xOffset": offset,
            "y": y,
            "color": colour,
            "shape": shape,
            "tooltip": tips,
        },
    }
    known = [each for each in points if each.get("low") is not None]
    return chart(
        points,
        f"{figure} by batch size, a point for each backend with its 95 % interval; the axis is "
        "logarithmic",
        layer=[
            *({"data": {"values": known}, **each} for each in ([whisker, *ends] if known else [])),
            point,
        ],
    )


def _domain(points: Points) -> list[float]:
    """From the lowest to the highest end of an interval, with some room."""
    values = [
        float(value)
        for each in points
        for name in ("low", "value", "high")
        if (value := each.get(name)) is not None and value > 0
    ]
    return [min(values) / ROOM, max(values) * ROOM] if values else [1.0, 10.0]

"""A sweep as charts: two of its axes as a map of throughput and one of response time, or one axis
as bars with intervals. A figure is that of all trials of a setting together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.words import number
from qs.render.html.charts import SCHEMA, Points, Spec, tip
from qs.result.sweep import SweepEntry, SweepLine

# The axes, in the order in which the first two that vary are drawn.
AXES = (
    ("batch_size", "batch size"),
    ("clients", "clients"),
    ("instances", "instances"),
    ("intra_op_threads", "threads"),
    ("pool", "pool"),
)
MOST_BARS = 40  # more of them have no room for their names
_FIGURES = (("qps", "items/s", "descending"), ("ms", "p99 (ms)", "ascending"))


def sweep_charts(sweep: SweepEntry) -> dict[str, Spec]:
    """The charts that there is something for, by the id of their figure."""
    lines = [line for line in sweep.table if line.items_per_s]
    varied = [each for each in AXES if len(_values(lines, each[0])) > 1]
    if len(lines) < 2 or not varied:
        return {}
    if len(varied) == 1:
        points = [_point(line, varied, "") for line in lines]
        return {"settings": _bars(points, varied[0][1])} if len(points) <= MOST_BARS else {}
    points = [_point(line, varied[:2], _rest(line, varied[2:])) for line in lines]
    return {"settings": _map(points, [title for _, title in varied[:2]])}


def _values(lines: Sequence[SweepLine], axis: str) -> list[Any]:
    found = {getattr(line.setting, axis) for line in lines}
    return sorted(value for value in found if value is not None)


def _rest(line: SweepLine, axes: Sequence[tuple[str, str]]) -> str:
    """The other axes' values, which each have a map of their own."""
    return ", ".join(f"{title} {getattr(line.setting, axis)}" for axis, title in axes)


def _point(line: SweepLine, axes: Sequence[tuple[str, str]], rest: str) -> dict[str, Any]:
    half = line.items_per_s_half_width or 0.0
    rate = float(line.items_per_s or 0.0)
    return {
        "setting": line.name,
        "x": getattr(line.setting, axes[0][0]),
        "y": getattr(line.setting, axes[1][0]) if len(axes) > 1 else None,
        "rest": rest,
        "qps": rate,
        "low": max(rate - half, 0.0),
        "high": rate + half,
        "qps_words": number(rate, 3),
        "ms": line.p99_ms,
        "ms_words": number(line.p99_ms, 3) if line.p99_ms else "",
        "verdict": str(line.verdict),
    }


def _map(points: Points, titles: Sequence[str]) -> Spec:
    """Two maps, one above the other: darker is better in both. What differs in further axes has a
    map each.
    """
    return {
        "$schema": SCHEMA,
        "description": "Throughput, and p99 of the response time, by the first two axes of the "
        "sweep; the figure stands in each field",
        "data": {"values": list(points)},
        "vconcat": [
            each
            for rest in dict.fromkeys(point["rest"] for point in points)
            for each in (_fields(points, titles, rest, *figure) for figure in _FIGURES)
            if each is not None
        ],
        "resolve": {"scale": {"color": "independent"}},
    }


def _fields(
    points: Points, titles: Sequence[str], rest: str, field: str, name: str, better: str
) -> Spec | None:
    shown = [point for point in points if point["rest"] == rest and point[field] is not None]
    if not shown:
        return None
    values = sorted(point[field] for point in shown)
    x = {"field": "x", "type": "ordinal", "title": titles[0], "axis": {"labelAngle": 0}}
    y = {"field": "y", "type": "ordinal", "title": titles[1], "sort": "descending"}
    scale = {
        "type": "log" if values[0] > 0 and values[-1] > 20 * values[0] else "linear",
        "range": ["#dce9f5", "#08519c"] if better == "descending" else ["#08519c", "#dce9f5"],
        "domain": [values[0], values[-1]] if values[0] < values[-1] else [values[0] / 2, values[0]],
    }
    colour = {"field": field, "type": "quantitative", "scale": scale, "legend": None}
    middle = (
        (values[0] * values[-1]) ** 0.5
        if scale["type"] == "log"
        else sum((values[0], values[-1])) / 2
    )
    dark = f"datum.{field} {'>' if better == 'descending' else '<'} {middle}"
    # One value: the scale's end is its colour.
    if values[0] == values[-1]:
        dark = "true" if better == "descending" else "false"
    tips = [tip("setting"), tip("qps_words", "items/s"), tip("ms_words", "p99 ms"), tip("verdict")]
    return {
        "title": f"{name}{f', {rest}' if rest else ''}: darker is better",
        "width": "container",
        "height": {"step": 38},
        "transform": [{"filter": {"field": "rest", "equal": rest}}],
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {"color": colour, "tooltip": tips}},
            {
                "mark": {"type": "text"},
                "encoding": {
                    "text": {"field": f"{field}_words"},
                    "fill": {"condition": {"test": dark, "value": "#ffffff"}, "value": "#10151f"},
                },
            },
        ],
    }


def _bars(points: Points, title: str) -> Spec:
    """A bar a setting with its interval and its figure: throughput above, p99 below."""
    x = {"field": "x", "type": "ordinal", "title": title, "axis": {"labelAngle": 0}, "sort": None}
    tips = [tip("setting"), tip("qps_words", "items/s"), tip("ms_words", "p99 ms"), tip("verdict")]

    def panel(field: str, name: str) -> Spec:
        y = {"field": field, "type": "quantitative", "title": name}
        layer: list[Spec] = [
            {"mark": {"type": "bar", "opacity": 0.75}, "encoding": {"y": y, "tooltip": tips}},
            {
                "mark": {"type": "text", "baseline": "bottom", "dy": -4, "dx": 14, "align": "left"},
                "encoding": {"y": y, "text": {"field": f"{field}_words"}},
            },
        ]
        if field == "qps":
            ends = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
            layer.append({"mark": {"type": "rule", "strokeWidth": 2}, "encoding": ends})
        return {"width": "container", "height": 170, "encoding": {"x": x}, "layer": layer}

    timed = any(point["ms"] is not None for point in points)
    return {
        "$schema": SCHEMA,
        "description": f"Throughput with 95 % intervals, and p99 of the response time, by {title}",
        "data": {"values": list(points)},
        "vconcat": [panel("qps", "items/s"), *([panel("ms", "p99 (ms)")] if timed else [])],
    }

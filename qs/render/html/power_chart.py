"""Power and utilisation over the measured phase, of one case at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.render.html.charts import SCHEMA, Points, Spec, tip
from qs.result.story import NamedCase

FEWEST = 3  # points of a case that is drawn
POINTS = 3_000  # of all cases together
USES = {"cpu": "CPUs", "device": "accelerators"}


def power_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "s", "w", "cpu", "device"}] of the cases whose power was read; those without are no
    charts, since how busy the CPUs were is a number.
    """
    found: list[dict[str, Any]] = []
    for case in cases:
        series = case.row.telemetry and case.row.telemetry.series
        if not series or not series.power_w or len(series.at_s) < FEWEST:
            continue
        columns = [series.power_w, series.cpu_percent or [], series.device_percent or []]
        made = [
            {
                "case": case.name,
                "s": at_s,
                **{
                    name: column[at] if at < len(column) else None
                    for name, column in zip(("w", *USES), columns)
                },
            }
            for at, at_s in enumerate(series.at_s)
        ]
        end_s = case.row.telemetry.length_s if case.row.telemetry else None
        if end_s:  # a step goes as far
            made.append(made[-1] | {"s": round(float(end_s), 3)})
        if len(found) + len(made) > POINTS:
            break
        found += made
    return found


def power_chart(points: Points) -> Spec:
    """Watts above, percent below where something of it is known."""
    names = list(dict.fromkeys(point["case"] for point in points))
    chosen: dict[str, Any] = {"name": "chosen", "value": names[0]}
    if len(names) > 1:
        chosen["bind"] = {"input": "select", "options": names, "name": "case "}
    shown = {"filter": "datum.case === chosen"}
    x = {
        "field": "s",
        "type": "quantitative",
        "title": "seconds of the measured phase",
        "scale": {"nice": False},
    }
    watts = {
        "width": "container",
        "height": 130,
        "transform": [shown],
        "mark": {"type": "line", "interpolate": "step-after", "tooltip": True},
        "encoding": {
            "x": x,
            "y": {"field": "w", "type": "quantitative", "title": "W"},
            "tooltip": [tip("w", "W"), tip("s", "from s")],
        },
    }
    known = [name for name in USES if any(point.get(name) is not None for point in points)]
    busy = {
        "width": "container",
        "height": 90,
        "transform": [
            shown,
            {"fold": known, "as": ["part", "percent"]},
            {"filter": "isValid(datum.percent)"},
            {"calculate": " : ".join(_named(name) for name in known) + " : ''", "as": "of"},
        ],
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {
            "x": x,
            "y": {
                "field": "percent",
                "type": "quantitative",
                "title": "% busy",
                "scale": {"domain": [0, 100]},
            },
            "color": {"field": "of", "type": "nominal", "title": None},
            "tooltip": [tip("of"), tip("percent", "%"), tip("s", "from s")],
        },
    }
    return {
        "$schema": SCHEMA,
        "description": "Power over the run, and how busy CPUs and accelerators were",
        "data": {"values": list(points)},
        "params": [chosen],
        "vconcat": [watts, *([busy] if known else [])],
    }


def _named(name: str) -> str:
    return f"datum.part === '{name}' ? '{USES[name]}'"

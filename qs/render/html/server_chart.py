"""A server's own times over the measured phase beside the response times, and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.render.html.charts import SCHEMA, Points, Spec, tip
from qs.result.server_words import metric_name
from qs.result.story import NamedCase

POINTS = 3_000  # of all cases together
MOST_CHARTED = 40  # metrics to choose from
TIMES = {"p50": "response p50", "request": "server, whole", "queue": "queue", "compute": "compute"}
_KEYS = {"request": "request_ms", "queue": "queue_ms", "compute": "compute_ms"}


def server_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "s", "of", "ms"}]: the server's means, and the client's median of each interval;
    and {"case", "s", "per_s", "batch"} of what the server answered.
    """
    found: list[dict[str, Any]] = []
    for case in cases:
        series = case.row.server and case.row.server.series
        if not series or len(series.at_s) < 2:
            continue
        made = [
            {"case": case.name, "s": at_s, "of": TIMES[name], "ms": value}
            for name, key in _KEYS.items()
            for at_s, value in _stepped(series.at_s, getattr(series, key), series.end_s)
        ]
        made += [
            {"case": case.name, "s": each.start_s, "of": TIMES["p50"], "ms": each.p50_ms}
            for each in _few(case.row.intervals)
            if each.p50_ms is not None
        ]
        batches = dict(_stepped(series.at_s, series.batch_size, series.end_s))
        made += [
            {"case": case.name, "s": at_s, "per_s": value, "batch": batches.get(at_s)}
            for at_s, value in _stepped(series.at_s, series.requests_per_s, series.end_s)
        ]
        if len(found) + len(made) > POINTS and found:
            break
        found += made
    return found


def _few(intervals: Sequence[Any]) -> Sequence[Any]:
    return intervals[:: -(-len(intervals) // 300) or 1]


def _stepped(at_s: Sequence[float], values: Sequence[Any], end_s: Any) -> list[tuple[float, Any]]:
    """With a last point where the last interval ends: a step goes as far."""
    made = list(zip(at_s, values))
    return [*made, (float(end_s), values[-1])] if end_s is not None and values else made


def server_chart(points: Points) -> Spec:
    """Times above; below what the server answered."""
    names = list(dict.fromkeys(point["case"] for point in points))
    x = {
        "field": "s",
        "type": "quantitative",
        "title": "seconds of the measured phase",
        "scale": {"nice": False},
    }
    times = {
        "width": "container",
        "height": 170,
        "transform": [
            {"filter": "datum.case === chosen && isValid(datum.of) && isValid(datum.ms)"}
        ],
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {
            "x": x,
            "y": {"field": "ms", "type": "quantitative", "title": "ms"},
            "color": {
                "field": "of",
                "type": "nominal",
                "title": None,
                "sort": list(TIMES.values()),
            },
            "tooltip": [tip("of"), tip("ms", "ms"), tip("s", "from s")],
        },
    }
    answered = {
        "width": "container",
        "height": 90,
        "transform": [{"filter": "datum.case === chosen && isValid(datum.per_s)"}],
        "mark": {"type": "line", "interpolate": "step-after", "tooltip": True},
        "encoding": {
            "x": x,
            "y": {"field": "per_s", "type": "quantitative", "title": "requests/s"},
            "tooltip": [
                tip("per_s", "requests/s"),
                tip("batch", "mean batch size"),
                tip("s", "from s"),
            ],
        },
    }
    return {
        "$schema": SCHEMA,
        "description": "The server's queue and compute times beside the response time, and the "
        "requests that it answered, over the run",
        "data": {"values": list(points)},
        "params": [_chosen("chosen", names, "case ")],
        "vconcat": [times, answered],
    }


def metric_points(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """[{"case", "metric", "s", "v"}] of the metrics that changed."""
    found: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for case in cases:
        for each in case.row.server.metrics if case.row.server else ():
            name = metric_name(each)
            if len(each.at_s) < 3 or len(set(each.values)) < 2:
                continue
            if name not in names and len(names) >= MOST_CHARTED:
                continue
            if len(found) + len(each.at_s) > POINTS:
                return found
            names[name] = None
            found += [
                {"case": case.name, "metric": name, "s": at_s, "v": value}
                for at_s, value in zip(each.at_s, each.values)
            ]
    return found


def metric_chart(points: Points) -> Spec:
    """One metric of one case at a time."""
    cases = list(dict.fromkeys(point["case"] for point in points))
    names = list(dict.fromkeys(point["metric"] for point in points))
    return {
        "$schema": SCHEMA,
        "description": "One of the server's metrics over the run",
        "data": {"values": list(points)},
        "width": "container",
        "height": 150,
        "params": [_chosen("chosen", cases, "case "), _chosen("metric", names, "metric ")],
        "transform": [{"filter": "datum.case === chosen && datum.metric === metric"}],
        "mark": {"type": "line", "interpolate": "step-after", "tooltip": True},
        "encoding": {
            "x": {
                "field": "s",
                "type": "quantitative",
                "title": "seconds of the measured phase",
                "scale": {"nice": False},
            },
            "y": {
                "field": "v",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False},
            },
            "tooltip": [tip("metric"), tip("v", "value"), tip("s", "from s")],
        },
    }


def _chosen(name: str, options: Sequence[str], label: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "value": options[0]}
    if len(options) > 1:
        made["bind"] = {"input": "select", "options": list(options), "name": label}
    return made

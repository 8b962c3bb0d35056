"""The measured phase over time: what was answered, and how long it took, in intervals that hold
enough answers to be drawn.

An interval that is cut short by the end of the run, or that saw few answers, says little of a rate:
such intervals are put together with their neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qs.render.html.charts import SCHEMA, Points, Spec, ms, tip
from qs.result.row import Row
from qs.result.story import NamedCase

FEWEST_ANSWERS = 5  # in an interval that is drawn
FEWEST_INTERVALS = 3  # in a chart
POINTS, FEWEST_POINTS, MOST_POINTS = 5_000, 24, 600  # of a page, and of each case in it
WARM_UP_SHARE = 0.08  # of the measured time: more of a warm-up is not drawn


# Before a case in flight has a point, its chart has an axis at least.
NOTHING_YET = [
    {"case": "now", "s": 0, "to": 1, "per_s": None, "p50": None, "p99": None, "errors": 0}
]


@dataclass
class _Bucket:
    """Neighbouring intervals together."""

    start_s: float
    end_s: float
    completed: int = 0
    errors: int = 0
    medians: tuple[tuple[float, int], ...] = ()  # (p50, answers)
    p99_ms: float | None = None

    def __add__(self, later: _Bucket) -> _Bucket:
        """p99 is the higher one, so that no peak is lost."""
        tails = [each.p99_ms for each in (self, later) if each.p99_ms is not None]
        return _Bucket(
            self.start_s,
            later.end_s,
            self.completed + later.completed,
            self.errors + later.errors,
            self.medians + later.medians,
            max(tails, default=None),
        )

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s

    @property
    def p50_ms(self) -> float | None:
        """The median of the intervals' medians, each weighing as much as it has answers."""
        half, seen = sum(count for _, count in self.medians) / 2, 0
        for median, count in sorted(self.medians):
            seen += count
            if seen >= half:
                return median
        return None


def series_points(cases: Sequence[NamedCase]) -> tuple[list[dict[str, Any]], bool]:
    """[{"case", "s", "to", "per_s", "p50", "p99", "errors"}], and whether a longer run's intervals
    were put together to keep the page small. A case of fewer than three intervals is left out.
    """
    most = max(min(POINTS // max(len(cases), 1), MOST_POINTS), FEWEST_POINTS)
    found: list[dict[str, Any]] = []
    thinned = False
    for case in cases:
        whole = _enough(list(_intervals(case.row)))
        group = math.ceil(len(whole) / most) or 1
        thinned |= group > 1
        drawn = [_together(whole[at : at + group]) for at in range(0, len(whole), group)]
        if len(drawn) >= FEWEST_INTERVALS:
            found += [_point(case.name, each) for each in drawn]
    return found, thinned


def _intervals(row: Row) -> Iterator[_Bucket]:
    starts = [each.start_s or 0.0 for each in row.intervals]
    ends = [*starts[1:], max(row.wall_s or 0.0, starts[-1])] if starts else []
    for each, start_s, end_s in zip(row.intervals, starts, ends):
        count = each.completed or 0
        medians = () if each.p50_ms is None else ((each.p50_ms, count),)
        yield _Bucket(start_s, end_s, count, each.errors or 0, medians, each.p99_ms)


def _enough(intervals: Sequence[_Bucket]) -> list[_Bucket]:
    """Neighbours together until each has enough answers and is at least half as long as the
    others; what is left over at the end joins the last.
    """
    lengths = sorted(each.seconds for each in intervals)
    usual_s = lengths[len(lengths) // 2] if lengths else 0.0
    whole: list[_Bucket] = []
    begun: _Bucket | None = None
    for each in intervals:
        begun = each if begun is None else begun + each
        answered = begun.completed + begun.errors >= FEWEST_ANSWERS
        if begun.seconds > 0 and begun.seconds >= usual_s / 2 and answered:
            whole.append(begun)
            begun = None
    if begun is not None and whole:
        whole[-1] += begun
    return whole


def _together(buckets: Sequence[_Bucket]) -> _Bucket:
    made = buckets[0]
    for each in buckets[1:]:
        made += each
    return made


def _point(case: str, bucket: _Bucket) -> dict[str, Any]:
    return {
        "case": case,
        "s": round(bucket.start_s, 3),
        "to": round(bucket.end_s, 3),
        "per_s": _rounded(bucket.completed / bucket.seconds),
        "p50": _rounded(bucket.p50_ms),
        "p99": _rounded(bucket.p99_ms),
        "errors": bucket.errors,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def warm_ups(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """The time before 0, with no more of it than leaves the width to what was measured."""
    return [
        {
            "case": case.name,
            "from": -round(min(warm.wall_s, WARM_UP_SHARE * (case.row.wall_s or 0.0)), 3),
            "to": 0,
            "seconds": warm.wall_s,
            "completed": warm.completed,
            "ms": warm.mean_ms,
        }
        for case in cases
        if (warm := case.row.warm_up) and warm.wall_s
    ]


def bounds(cases: Sequence[NamedCase]) -> list[dict[str, Any]]:
    """What a case is held to: the rate that was offered, the bound on a response time."""
    found = []
    for case in cases:
        settings = case.row.settings
        if settings and settings.target_qps:
            found.append({"case": case.name, "of": "per_s", "at": settings.target_qps})
        if settings and settings.latency_slo_ms:
            found.append({"case": case.name, "of": "ms", "at": settings.latency_slo_ms})
    return found


def time_series(points: Points, names: Sequence[str], before: Points, held_to: Points) -> Spec:
    """Throughput above, p50 and p99 below, of one case at a time; the shaded strip before 0 is the
    end of the warm-up. `held_to`: as `bounds` gives them.
    """
    chosen: dict[str, Any] = {"name": "chosen", "value": names[0]}
    if len(names) > 1:
        chosen["bind"] = {"input": "select", "options": list(names), "name": "case "}
    figures = ["p50", "p99"]
    times = {
        "transform": [
            {"fold": figures, "as": ["figure", "ms"]},
            {"filter": "datum.ms > 0"},
        ],
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {
            "x": _x("s"),
            "y": ms("ms"),
            "color": {
                "field": "figure",
                "type": "nominal",
                "title": None,
                "sort": figures,
            },
            "tooltip": [tip("figure"), tip("ms", "ms"), tip("s", "from s"), tip("to", "to s")],
        },
    }
    answered = {
        "mark": {"type": "line", "interpolate": "step-after"},
        "encoding": {
            "x": _x("s"),
            "y": {"field": "per_s", "type": "quantitative", "title": "queries/s"},
        },
    }
    failed = {
        "mark": {"type": "point", "filled": True, "size": 60, "shape": "cross", "style": "bad"},
        "encoding": {
            "x": _x("s"),
            "y": {"field": "per_s", "type": "quantitative"},
            "opacity": {"condition": {"test": "datum.errors > 0", "value": 1}, "value": 0},
            "tooltip": [tip("errors", "failed queries"), tip("s", "from s"), tip("to", "to s")],
        },
    }
    shaded = [_shade(before)] if before else []
    return {
        "$schema": SCHEMA,
        "description": "Queries per second, and the median and the 99th percentile of the "
        "response time, over the run; a cross marks failed queries",
        "data": {"values": _closed(points)},
        "params": [chosen],
        "vconcat": [
            _panel(130, [*shaded, answered, _hover(), failed], held_to, "per_s", "offered"),
            _panel(170, [*shaded, times], held_to, "ms", "bound"),
        ],
    }


def _closed(points: Points) -> list[dict[str, Any]]:
    """With a last point for each case, where its last interval ends: a step goes as far."""
    made: list[dict[str, Any]] = []
    for at, point in enumerate(points):
        made.append(point)
        if at + 1 == len(points) or points[at + 1]["case"] != point["case"]:
            made.append(point | {"s": point["to"], "errors": 0})
    return made


def _x(field: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "title": "seconds of the measured phase; shaded: the end of the warm-up",
        "scale": {"nice": False},
    }


def _shade(before: Points) -> Spec:
    return {
        "data": {"values": list(before)},
        "mark": {"type": "rect", "opacity": 0.12},
        "encoding": {
            "x": _x("from"),
            "x2": {"field": "to"},
            "tooltip": [
                tip("seconds", "warm-up s"),
                tip("completed", "warm-up queries"),
                tip("ms", "average ms"),
            ],
        },
    }


def _hover() -> Spec:
    """What answers to the mouse: a line alone has too little to point at."""
    return {
        "mark": {"type": "rect", "opacity": 0},
        "encoding": {
            "x": _x("s"),
            "x2": {"field": "to"},
            "tooltip": [tip("per_s", "queries/s"), tip("s", "from s"), tip("to", "to s")],
        },
    }


def _panel(height: int, layers: list[Spec], held_to: Points, of: str, name: str) -> Spec:
    bound: Spec = {
        "data": {"values": [each for each in held_to if each["of"] == of]},
        "mark": {"type": "rule", "style": "guide" if of == "per_s" else "bound"},
        "encoding": {
            "y": {"field": "at", "type": "quantitative"},
            "tooltip": [tip("at", name)],
        },
    }
    named = {
        "data": bound["data"],
        "mark": {"type": "text", "align": "right", "baseline": "bottom", "dy": -3},
        "encoding": {
            "x": {"value": "width"},
            "y": {"field": "at", "type": "quantitative"},
            "text": {"value": name},
        },
    }
    shown = [{"filter": "datum.case === chosen"}]
    all_of_them = [*layers, *([bound, named] if bound["data"]["values"] else [])]
    return {
        "width": "container",
        "height": height,
        "layer": [
            each | {"transform": [*shown, *each.get("transform", [])]} for each in all_of_them
        ],
    }

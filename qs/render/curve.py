"""The curve of response time against rate that `qs sweep --slo` measured, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.scenarios import CONCURRENCY
from qs.base.words import number
from qs.limit.goals import Goal, parse_goals
from qs.render.pictures import FORMATS, draw
from qs.result.sweep import CurvePoint, LimitEntry

NS_PER_MS = 1e6
# Dark enough on white, and distinct to those who do not see red and green (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#CC79A7")
MEAN, LINE = "#555555", "#000000"
HOLDING, FAILING = "#009E73", "#D55E00"
RATE = "rate of Poisson arrivals (requests/s)"
USERS = "users in closed loop"
_WIDTH = 720


def draw_curve(limit: LimitEntry, path: Path, title: str | None = None) -> None:
    """Draw a limit: percentiles and mean of the response time by rate, with the
    bounds and the limit, and below them what was answered.

    Raises UserError for an ending other than .png and .svg, or if nothing was measured.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: a picture of a curve is a .png or an .svg file")
    if not limit.curve:
        raise UserError(f"{path}: there is no curve to draw, as nothing was measured")
    draw(_spec(limit, title or ", ".join(limit.goals)), path)


def _spec(limit: LimitEntry, title: str) -> dict[str, Any]:
    curve = limit.curve
    marks = _limit_marks(limit)
    x = {
        "field": "rate",
        "type": "quantitative",
        "scale": {"domain": [0, _load(curve[-1]) * 1.05]},
        "axis": {"title": USERS if limit.over == CONCURRENCY else RATE, "format": ","},
    }
    lines = [each for each in marks if each["mark"]["type"] == "rule"]  # named above
    times = [*_times(curve, x), *_bounds(parse_goals(limit.goals)), *marks]
    return {
        "title": title,
        "vconcat": [
            {"width": _WIDTH, "height": 360, "layer": times},
            {"width": _WIDTH, "height": 130, "layer": [*_throughput(curve, x), *lines]},
        ],
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
        "config": {"font": "sans-serif"},
    }


def _times(curve: Sequence[CurvePoint], x: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for the mean and for each percentile that was measured."""
    figures = list(curve[0].times_ns)
    points = [
        {"rate": _load(point), "ms": ns / NS_PER_MS, "figure": name}
        for name in figures
        for point in curve
        if (ns := point.times_ns.get(name))
    ]
    y = {
        "field": "ms",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False},
        "axis": {"title": "response time (ms)", "format": "~g"},
    }
    colours = {"domain": figures, "range": [MEAN, *COLOURS * 3][: len(figures)]}
    line = {"type": "line", "point": {"size": 25}}
    encoding = {
        "x": x,
        "y": y,
        "color": {"field": "figure", "type": "nominal", "scale": colours, "title": None},
    }
    return [{"data": {"values": points}, "mark": line, "encoding": encoding}]


def _bounds(goals: Sequence[Goal]) -> list[dict[str, Any]]:
    """A dotted line, named, for each bound on a time."""
    bounds = [
        {"ms": goal.time_ns / NS_PER_MS, "goal": str(goal)}
        for goal in goals
        if goal.time_ns is not None
    ]
    y = {"field": "ms", "type": "quantitative"}
    name = {"type": "text", "align": "right", "baseline": "bottom", "dy": -2}
    return [
        {
            "data": {"values": bounds},
            "mark": {"type": "rule", "strokeDash": [2, 3], "color": LINE},
            "encoding": {"y": y},
        },
        {
            "data": {"values": bounds},
            "mark": name,
            "encoding": {"x": {"value": _WIDTH}, "y": y, "text": {"field": "goal"}},
        },
    ]


def _throughput(curve: Sequence[CurvePoint], x: dict[str, Any]) -> list[dict[str, Any]]:
    """What was answered, and the dotted line of what was asked for."""
    points = [
        {"rate": _load(point), "per_s": per_s, "which": which}
        for point in curve
        for which, per_s in (
            ("answered", point.answered_per_s),
            ("asked for", None if point.users else point.rate_per_s),
        )
        if per_s is not None
    ]
    which = {"field": "which", "type": "nominal", "title": None}
    domain = ["answered", "asked for"]
    colour = which | {"scale": {"domain": domain, "range": [COLOURS[0], LINE]}}
    dash = which | {"scale": {"domain": domain, "range": [[1, 0], [2, 3]]}}
    y: dict[str, Any] = {"field": "per_s", "type": "quantitative"}
    y |= {"axis": {"title": "requests/s", "format": ","}}
    encoding = {"x": x, "y": y, "color": colour, "strokeDash": dash}
    return [{"data": {"values": points}, "mark": "line", "encoding": encoding}]


def _limit_marks(limit: LimitEntry) -> list[dict[str, Any]]:
    """Upright lines at the limit and at the lowest rate that fails, each with its number."""
    marks = []
    over_users = limit.over == CONCURRENCY
    unit = " users" if over_users else "/s"
    most = limit.users if over_users else limit.rate_per_s
    fails = limit.fails_users if over_users else limit.fails_per_s
    if most is not None:
        doubt = "" if limit.confirmed else " (not confirmed)"
        marks += _mark(most, f"limit: {number(most, 4)}{unit}{doubt}", HOLDING, -6)
    if fails is not None:
        marks += _mark(fails, f"fails: {number(fails, 4)}{unit}", FAILING, 8)
    return marks


def _load(point: CurvePoint) -> float:
    return point.users or point.rate_per_s


def _mark(rate: float, text: str, colour: str, dx: int) -> list[dict[str, Any]]:
    data = {"values": [{"rate": rate, "text": text}]}
    x = {"field": "rate", "type": "quantitative"}
    name: dict[str, Any] = {"type": "text", "angle": 270, "align": "right", "dy": dx}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": colour, "size": 2},
            "encoding": {"x": x},
        },
        {
            "data": data,
            "mark": name | {"color": colour},
            "encoding": {"x": x, "y": {"value": 4}, "text": {"field": "text"}},
        },
    ]

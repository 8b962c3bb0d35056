"""Which charts a result has, and the points that they are made of: latency by percentile from the
histogram logs, and time series short enough for a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.words import number
from qs.limit import parse_goals
from qs.render.html import by_setting, charts, over_time, sweep_charts
from qs.render.html.power_chart import power_chart, power_points
from qs.render.html.server_chart import metric_chart, metric_points, server_chart, server_points
from qs.result.beside import log_of
from qs.result.row import Row, Times
from qs.result.story import NamedCase, Story
from qs.result.sweep import CurvePoint

NS_PER_MS = 1e6
PERCENTILE_POINTS = 5_500  # for all cases of a page together
MOST, FEWEST = 240, 24  # for one case
# n samples tell a percentile p if it lies below their maximum with a probability of 95 %:
# p^n <= 0.05 (see qs.engine.statistics.samples_needed).
TOLD_WITH = 0.05

Point = dict[str, Any]


def charts_of(story: Story) -> dict[str, charts.Spec]:
    """The charts that there is something for, by the id of their figure."""
    measured = story.measured
    found: dict[str, charts.Spec] = {}
    percentiles = percentile_points(measured, lambda row: _log(story, row))
    if percentiles:
        found["percentiles"] = charts.latency_by_percentile(percentiles)
    sweep = story.result.sweep
    if sweep:  # its settings are what is compared, and not their trials
        found |= sweep_charts.sweep_charts(sweep)
    elif len(measured) > 1:
        found["batches"] = by_setting.by_batch_size(by_setting.setting_points(measured))
    scattered = [] if sweep else by_setting.scatter_points(measured)
    if scattered:
        found["pareto"] = by_setting.throughput(scattered)
    series, thinned = over_time.series_points(measured)
    if series:
        names = list(dict.fromkeys(point["case"] for point in series))
        shown = [case for case in measured if case.name in names]
        drawn = over_time.time_series(
            series, names, over_time.warm_ups(shown), over_time.bounds(shown)
        )
        found["series"] = drawn | {"thinned": thinned}
    drawn_w = power_points(measured)
    if drawn_w:
        found["power"] = power_chart(drawn_w)
    beside = server_points(measured)
    if beside:
        found["server"] = server_chart(beside)
    metrics = metric_points(measured)
    if metrics:
        found["metrics"] = metric_chart(metrics)
    opened = [case for case in measured if case.row.open_loop and case.row.response]
    if opened:
        found["parts"] = charts.parts_of_response(
            [point for case in opened for point in _parts(case)]
        )
        rates = [point for case in opened for point in _by_rate(case.row)]
        if len({point["rate"] for point in rates}) > 1:
            found["rates"] = charts.latency_by_rate(rates, bounds=_bounds(opened))
    limit = sweep and sweep.limit
    if limit and limit.curve:
        found["limit"] = charts.latency_by_rate(
            _curve(limit.curve), limit.rate_per_s, _goals(limit.goals), limit.fails_per_s
        )
    return found


def percentile_points(
    cases: Sequence[NamedCase], log_of: Callable[[Row], str | None]
) -> list[Point]:
    """[{"case", "x": 1 / (1 - p), "p": percent, "ms", "few": too few samples to tell}] for each
    case whose log is there.
    """
    found: list[Point] = []
    each_has = max(min(PERCENTILE_POINTS // max(len(cases), 1), MOST), FEWEST)
    for case in cases:
        text = log_of(case.row)
        if text is not None:
            points = _percentiles(text, each_has)
            found += [{"case": case.name, **point} for point in points]
    return found


def _log(story: Story, row: Row) -> str | None:
    if not row.histogram or story.folder is None:
        return None
    return log_of(story.folder, row.histogram)


def _percentiles(text: str, points: int) -> list[Point]:
    """A point where each step begins: at 1 / (1 - share of the samples below it). Of more steps
    than `points` those are kept that lie farthest apart on the logarithmic axis. The last point is
    the last sample, where the curve ends.
    """
    from qs.result.logs import read_log

    try:
        series = read_log(text)
    except UserError:
        return []
    counts = series.counts.sum(axis=0)
    filled = np.flatnonzero(counts)
    if not filled.size:
        return []
    tops_ns, counts = series.tops_ns[filled], counts[filled]
    total = float(counts.sum())
    # Above the last sample but one only the maximum is known: there the curve ends.
    xs = np.append(total / (total - np.cumsum(counts) + counts), total)
    values = np.append(tops_ns, tops_ns[-1])
    told = 1.0 / (1.0 - TOLD_WITH ** (1.0 / total))
    kept = _spread(np.log(xs), points)
    found: list[Point] = []
    for x, value in zip(xs[kept].tolist(), values[kept].tolist()):
        ms = _rounded(value / NS_PER_MS, 5)
        if x > told and found and not found[-1]["few"]:  # where both parts of the line meet
            joint = found[-1] | _at(told)
            found += [joint, joint | {"few": True}]
        found.append({**_at(x), "ms": ms, "few": bool(x > told)})
    return found


def _at(x: float) -> Point:
    return {"x": _rounded(x, 6), "p": _rounded(100.0 - 100.0 / x, 6)}


def _spread(places: np.ndarray, most: int) -> np.ndarray:
    """The indices of at most `most` rising places, about equally far apart, with both ends."""
    if places.size <= most:
        return np.arange(places.size)
    wanted = np.linspace(places[0], places[-1], most)
    return np.unique(np.searchsorted(places, wanted).clip(0, places.size - 1))


def _rounded(value: float, digits: int) -> float:
    """To so many significant digits, which keeps the page small."""
    return float(f"{value:.{digits}g}")


def _parts(case: NamedCase) -> list[Point]:
    """Of an open loop: response time, and the service time and the lateness in it."""
    row = case.row
    parts = (("response", row.response), ("service", row.service), ("lateness", row.lateness))
    return [
        {"case": case.name, "part": part, "at": at, "ms": max(value, 1) / NS_PER_MS}
        for part, times in parts
        if times
        for at, value in _known(times)
    ]


def _known(times: Times) -> list[tuple[str, float]]:
    """The percentiles that the number of samples supports."""
    percentiles = {
        "p50": times.p50_ns,
        "p90": times.p90_ns,
        "p95": times.p95_ns,
        "p99": times.p99_ns,
        "p99.9": times.p99_9_ns,
    }
    return [(at, value) for at, value in percentiles.items() if value is not None]


def _by_rate(row: Row) -> list[Point]:
    rate = row.settings.target_qps if row.settings else None
    return [
        {"rate": rate, "figure": figure, "ms": ms, "verdict": row.verdict}
        for figure, ms in (("p50", row.p50_ms), ("p99", row.p99_ms))
        if rate and ms
    ]


def _bounds(cases: Sequence[NamedCase]) -> list[Point]:
    """The bounds that scenarios set on a response time, each once."""
    found: dict[str, Point] = {}
    for case in cases:
        settings = case.row.settings
        if settings and settings.latency_slo_ms:
            at = f"p{number(settings.percentile)}" if settings.percentile else "bound"
            name = f"{at} within {number(settings.latency_slo_ms)} ms"
            found[name] = {"ms": settings.latency_slo_ms, "name": name}
    return list(found.values())


def _goals(goals: Sequence[str]) -> list[Point]:
    """The bounds of a search; none of goals that are damaged."""
    try:
        parsed = parse_goals(goals)
    except UserError:
        return []
    return [
        {"ms": goal.bound_ns / NS_PER_MS, "name": str(goal)}
        for goal in parsed
        if goal.bound_ns is not None
    ]


def _curve(points: Sequence[CurvePoint]) -> list[Point]:
    """A limit's curve: the mean and every percentile that was measured at a rate."""
    return [
        {"rate": point.rate_per_s, "figure": name, "ms": ns / NS_PER_MS, "verdict": point.verdict}
        for point in points
        for name, ns in point.times_ns.items()
        if ns
    ]

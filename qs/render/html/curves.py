"""Which charts a result has, and the points that they are made of: latency by percentile from the
histogram logs, and time series short enough for a page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qs.base.pareto import frontier
from qs.render.html import charts
from qs.result.beside import log_of
from qs.result.row import Row, Times
from qs.result.story import NamedCase, Story
from qs.result.sweep import CurvePoint

NS_PER_MS = 1e6
# How many "nines" the axis goes to: 1 / (1 - p) from 1 to 10,000, which is 99.99 %.
MOST_X = 10_000.0
PERCENTILE_POINTS, SERIES_POINTS = 5_500, 5_000  # for all cases of a page together
FEWEST = 24

Point = dict[str, Any]


def charts_of(story: Story) -> dict[str, charts.Spec]:
    """The charts that there is something for, by the id of their figure."""
    measured = story.measured
    found: dict[str, charts.Spec] = {}
    percentiles = percentile_points(measured, lambda row: _log(story, row))
    if percentiles:
        found["percentiles"] = charts.latency_by_percentile(percentiles)
    if len(measured) > 1:
        found["batches"] = charts.by_batch_size([_bar(case) for case in measured])
    tails = {case.name: (case.row.items_per_s, case.row.p99_ms) for case in measured}
    plain = {name: (rate, ms) for name, (rate, ms) in tails.items() if rate and ms}
    if len(plain) > 1:
        best = set(frontier(plain))
        found["pareto"] = charts.throughput(
            [
                {"case": name, "qps": rate, "ms": ms, "frontier": "yes" if name in best else "no"}
                for name, (rate, ms) in plain.items()
            ]
        )
    series, thinned = series_points([case for case in measured if len(case.row.intervals) > 2])
    if series:
        names = list(dict.fromkeys(point["case"] for point in series))
        drawn = charts.time_series(series, names, _warm_ups(measured))
        found["series"] = drawn | {"thinned": thinned}
    opened = [case for case in measured if case.row.open_loop and case.row.response]
    if opened:
        found["parts"] = charts.parts_of_response(
            [point for case in opened for point in _parts(case)]
        )
        rates = [point for case in opened for point in _by_rate(case.row)]
        if len({point["rate"] for point in rates}) > 1:
            found["rates"] = charts.latency_by_rate(rates)
    limit = story.result.sweep and story.result.sweep.limit
    if limit and limit.curve:
        found["limit"] = charts.latency_by_rate(_curve(limit.curve), limit.rate_per_s)
    return found


def percentile_points(
    cases: Sequence[NamedCase], log_of: Callable[[Row], str | None]
) -> list[Point]:
    """[{"case", "x": 1 / (1 - p), "p": percent, "ms"}] for each case whose log is there."""
    found: list[Point] = []
    each_has = max(min(PERCENTILE_POINTS // max(len(cases), 1), 64), FEWEST)
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


def _percentiles(text: str, points: int) -> list[dict[str, float]]:
    from qs.base.errors import UserError
    from qs.result.logs import read_log

    try:
        series = read_log(text)
    except UserError:
        return []
    counts = series.counts.sum(axis=0)
    total = counts.sum()
    if not total:
        return []
    # As far as there are samples to tell: beyond 1 - 1/n the maximum is all that is known.
    most = min(MOST_X, max(float(total), 1.0))
    xs = np.exp(np.linspace(0.0, math.log(most), points))
    shares = 1.0 - 1.0 / xs
    ranks = np.maximum(np.floor(shares * total + 0.5), 1.0)
    values = series.tops_ns[np.minimum(np.searchsorted(np.cumsum(counts), ranks), counts.size - 1)]
    return [
        {"x": _rounded(x, 5), "p": _rounded(share * 100, 6), "ms": _rounded(value / NS_PER_MS, 5)}
        for x, share, value in zip(xs.tolist(), shares.tolist(), values.tolist())
    ]


def series_points(cases: Sequence[NamedCase]) -> tuple[list[Point], bool]:
    """[{"case", "s", "per_s", "p50", "p99", "errors"}], and whether neighbours were put together.

    Together: throughput and errors are summed, p50 is the median of the medians, and p99 the
    highest, so that no peak is lost.
    """
    each_has = max(min(SERIES_POINTS // max(len(cases), 1), 600), FEWEST)
    found: list[Point] = []
    thinned = False
    for case in cases:
        intervals = case.row.intervals
        group = math.ceil(len(intervals) / each_has) or 1
        thinned |= group > 1
        starts = [each.start_s or 0.0 for each in intervals]
        ends = [*starts[1:], case.row.wall_s or starts[-1]]
        for at in range(0, len(intervals), group):
            part = intervals[at : at + group]
            seconds = ends[min(at + group, len(intervals)) - 1] - starts[at]
            if seconds <= 0:
                continue
            medians = sorted(each.p50_ms for each in part if each.p50_ms is not None)
            tails = [each.p99_ms for each in part if each.p99_ms is not None]
            found.append(
                {
                    "case": case.name,
                    "s": round(starts[at], 3),
                    "per_s": _rounded(sum(each.completed or 0 for each in part) / seconds, 4),
                    "p50": _rounded(medians[len(medians) // 2], 4) if medians else None,
                    "p99": _rounded(max(tails), 4) if tails else None,
                    "errors": sum(each.errors or 0 for each in part),
                }
            )
    return found, thinned


def _rounded(value: float, digits: int) -> float:
    """To so many significant digits, which keeps the page small."""
    return float(f"{value:.{digits}g}")


def _bar(case: NamedCase) -> Point:
    return {"case": case.name, "bs": case.row.batch_size, "qps": case.row.items_per_s}


def _warm_ups(cases: Sequence[NamedCase]) -> list[Point]:
    return [
        {
            "case": case.name,
            "from": -round(warm.wall_s, 3),
            "to": 0,
            "completed": warm.completed,
            "ms": warm.mean_ms,
        }
        for case in cases
        if (warm := case.row.warm_up) and warm.wall_s
    ]


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


def _curve(points: Sequence[CurvePoint]) -> list[Point]:
    """A limit's curve: the mean and every percentile that was measured at a rate."""
    return [
        {"rate": point.rate_per_s, "figure": name, "ms": ns / NS_PER_MS, "verdict": point.verdict}
        for point in points
        for name, ns in point.times_ns.items()
        if ns
    ]

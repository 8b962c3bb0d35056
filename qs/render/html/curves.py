"""Which charts a result has, and the points of those that need few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.base.errors import UserError
from qs.base.scenarios import CONCURRENCY
from qs.base.words import number
from qs.limit import parse_goals
from qs.render.html import (
    by_setting,
    charts,
    llm_charts,
    llm_points,
    nodes_chart,
    nodes_over_time,
    over_time,
    sweep_charts,
)
from qs.render.html.percentiles import percentile_points
from qs.render.html.power_chart import power_chart, power_points
from qs.render.html.server_chart import metric_chart, metric_points, server_chart, server_points
from qs.result.beside import log_of
from qs.result.row import Row, Times
from qs.result.story import NamedCase, Story
from qs.result.sweep import CurvePoint

NS_PER_MS = 1e6

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
    found |= {} if sweep else _of_nodes(story.cases)
    found |= _of_models(story, measured)
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
            _curve(limit.curve),
            limit.users or limit.rate_per_s,
            _goals(limit.goals),
            limit.fails_users or limit.fails_per_s,
            *(("users", " users") if limit.over == CONCURRENCY else ()),
        )
    return found


def _of_nodes(cases: Sequence[NamedCase]) -> dict[str, charts.Spec]:
    """The charts of cases that ran on several machines, those that came to nothing among them."""
    spread = [case for case in cases if len(case.row.nodes) > 1]
    if not spread:
        return {}
    points = nodes_chart.node_points(spread)
    found = {"nodes": nodes_chart.nodes_chart(points)}
    series = nodes_over_time.series_points(spread)
    if series:
        found["nodes-time"] = nodes_over_time.series_chart(series, nodes_over_time.losses(spread))
    clocks = nodes_chart.clock_chart(points)
    return found if clocks is None else found | {"nodes-clock": clocks}


def _of_models(story: Story, measured: Sequence[NamedCase]) -> dict[str, charts.Spec]:
    """The charts of language models."""

    def log(name: str) -> str | None:
        return None if story.folder is None else log_of(story.folder, name)

    every = {
        "measures": (llm_charts.by_measure, llm_points.measure_points(measured, log)),
        "tokens": (llm_charts.over_time, llm_points.token_points(measured)),
        "timeline": (llm_charts.timeline, llm_points.request_points(measured)),
        "lengths": (llm_charts.lengths, llm_points.length_points(measured)),
        "goodput": (llm_charts.goodput, llm_points.goodput_points(measured, story.result.sweep)),
        "interactivity": (
            llm_charts.interactivity,
            llm_points.interactivity_points(story.result.sweep),
        ),
    }
    return {name: draw(points) for name, (draw, points) in every.items() if points}


def _log(story: Story, row: Row) -> str | None:
    if not row.histogram or story.folder is None:
        return None
    return log_of(story.folder, row.histogram)


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
        {"ms": goal.time_ns / NS_PER_MS, "name": str(goal)}
        for goal in parsed
        if goal.time_ns is not None
    ]


def _curve(points: Sequence[CurvePoint]) -> list[Point]:
    """A limit's curve: the mean and every percentile that was measured at a rate."""
    return [
        {
            "rate": point.users or point.rate_per_s,
            "figure": name,
            "ms": ns / NS_PER_MS,
            "verdict": point.verdict,
        }
        for point in points
        for name, ns in point.times_ns.items()
        if ns
    ]

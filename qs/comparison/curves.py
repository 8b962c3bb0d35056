"""The percentile curves of both sides of a case, with 95 % intervals from within their runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qs.comparison.measured import NS_PER_MS, CaseRuns, ComparedMetric, ones
from qs.comparison.noise import block_length, weights_of
from qs.comparison.verdict import ComparedCase
from qs.engine.statistics import samples_needed
from qs.result.columns import BY_SHORT

POINTS = 40
REPLICATES = 200
TIMES = ("ttft", "itl", "tpot")


def curves_of(case: ComparedCase) -> list[dict[str, Any]]:
    """Points of both curves, as the page draws them; empty if a log is gone."""
    return _both(case.a, case.b)


def measure_curves(case: ComparedCase) -> dict[str, list[dict[str, Any]]]:
    """The same of a language model's times of a token, by measure."""
    found = {
        name: _both(case.a.measures[name], case.b.measures[name])
        for name in TIMES
        if name in case.a.measures and name in case.b.measures
    }
    return {name: points for name, points in found.items() if points}


def _both(a: CaseRuns, b: CaseRuns) -> list[dict[str, Any]]:
    if a.series is None or b.series is None:
        return []
    rng = np.random.default_rng(0)
    return [*_curve("A", a, rng), *_curve("B", b, rng)]


def _curve(name: str, side: CaseRuns, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """As far as the queries tell: to the highest percentile that as many can be asked for."""
    series = side.series
    assert series is not None
    if not series.completed:
        return
    middle = ComparedMetric("p50", BY_SHORT["p50"], 50.0)
    value = float(middle.of(series, ones(series))[0])
    runs = [series.run(number) for number in range(side.runs)]
    weights = weights_of(
        rng, series, block_length([middle.influence(run, value) for run in runs]), REPLICATES
    )
    for x in np.geomspace(1.02, max(series.completed / 3.0, 1.1), POINTS).tolist():
        percentile = 100.0 - 100.0 / x
        if samples_needed(percentile) > series.completed:
            break
        metric = ComparedMetric("p50", BY_SHORT["p50"], percentile)
        drawn = metric.of(series, weights)
        drawn = drawn[np.isfinite(drawn)]
        if not drawn.size:
            continue
        low, high = np.quantile(drawn, (0.025, 0.975)) / NS_PER_MS
        yield {
            "side": name,
            "x": round(x, 5),
            "p": round(percentile, 4),
            "ms": float(metric.of(series, ones(series))[0]) / NS_PER_MS,
            "low": float(low),
            "high": float(high),
        }

"""One figure of one side of a comparison, with its interval: how far it might lie elsewhere if it
were measured again.

Of the same sources of variance as a difference (qs.comparison.difference), but of one side alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qs.comparison import drift
from qs.comparison.difference import (
    LEVEL,
    MOST_LOG,
    Unknown,
    VarianceSource,
    logarithms,
    one_run,
    within,
)
from qs.comparison.measured import NS_PER_MS, CaseRuns, ComparedMetric
from qs.comparison.noise import KnownSpread, between_runs
from qs.engine.statistics import student_t


@dataclass(frozen=True)
class Level:
    """In items/s or ms. None: unknown, and `why` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


def level_of(
    side: CaseRuns, metric: ComparedMetric, known: KnownSpread, rng: np.random.Generator
) -> Level:
    """The figure with its 95 % interval."""
    short = side.short_of(metric)
    if short:
        return Level(None, why=f"{short.removeprefix('has ')}, and needs {metric.queries_needed:,}")
    value = side.value(metric)
    if not value or value <= 0:
        return Level(None, why="nothing was measured")
    try:
        sources = [within(side, "A", metric, rng)]
    except Unknown as reason:
        return Level(value, why=str(reason).removeprefix("A: "))
    more = between_runs(
        known, metric, [(logarithms(side, metric), one_run(sources, "A", side.runs))]
    )
    sources.append(VarianceSource("between runs", more.variance / side.runs, more.freedom))
    drifts, freedom = drift.drift(side, metric, rng)
    if drifts:
        sources.append(VarianceSource("drift", drifts / side.runs, freedom))
    if rough := metric.resolution(value * NS_PER_MS) ** 2:
        sources.append(VarianceSource("histogram bins", rough, 1e6))
    variance = sum(each.variance for each in sources)
    if not variance:
        return Level(value, value, value)
    freedom = variance**2 / sum(each.variance**2 / each.freedom for each in sources)
    half = min(student_t(LEVEL, max(int(freedom), 1)) * math.sqrt(variance), MOST_LOG)
    return Level(value, value * math.exp(-half), value * math.exp(half))

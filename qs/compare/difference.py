"""By how much one figure of a case differs between two results, with a confidence interval, and
what that says.

Everything is done with logarithms: a difference is a ratio, and 10 % more is as far from nothing as
10 % less. The interval is Student's t around the difference, with the degrees of freedom of Welch
and Satterthwaite for its sources of variance:

    within runs     the stationary bootstrap (qs.compare.resampling), for each side
    between runs    qs.compare.spread: a hierarchical bootstrap, which would draw repeats first,
                    gives (n - 1) / n of it, from too few repeats

A figure is slower (faster) where the whole interval lies beyond the margin, the same where all of
it lies within the margin on both sides; else one cannot tell. So a difference as small as the
margin is called slower at most once in forty times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.compare.measured import NS_PER_MS, Measured, same_arrivals
from qs.compare.metrics import Metric, ones
from qs.compare.resampling import REPLICATES, block_length, weights_of
from qs.compare.spread import Known, between
from qs.engine.statistics.beta import regularized_beta, student_t
from qs.result.logs import Series

SLOWER, FASTER, SAME, CANNOT_TELL = "slower", "faster", "same", "cannot tell"
LEVEL = 0.95
# As the engine's own confidence intervals ask for (Schmeiser 1982: 10 to 30 batches).
FEWEST_CELLS = 10
FEWEST_BLOCKS = 4.0


@dataclass(frozen=True)
class Part:
    """One source of variance of a difference of logarithms."""

    source: str
    variance: float
    freedom: float


@dataclass(frozen=True)
class Difference:
    """a and b in items/s or ms. change, low and high as shares of a: 0.1 is 10 % more. None: not
    known, and `why`.

    p   how probable a difference so far beyond the margin would be if there were none beyond it
    """

    metric: Metric
    a: float | None
    b: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    verdict: str = CANNOT_TELL
    why: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def worse(self) -> float | None:
        """The change in the direction of slower: less throughput, more time."""
        if self.change is None:
            return None
        return -self.change if self.metric.rate else self.change

    def to_dict(self) -> dict[str, Any]:
        return {
            "metric": self.metric.name,
            "unit": "items/s" if self.metric.rate else "ms",
            "a": self.a,
            "b": self.b,
            "change": self.change,
            "interval": None if self.low is None else [self.low, self.high],
            "p": self.p,
            "verdict": self.verdict,
            "why": self.why or None,
            "standard_errors": {part.source: math.sqrt(part.variance) for part in self.parts},
        }


class Unknown(Exception):
    """Why a difference cannot be judged."""


def differences(
    a: Measured,
    b: Measured,
    metrics: Iterable[Metric],
    margin: float,
    known: Known,
    rng: np.random.Generator,
) -> list[Difference]:
    """Of every metric. `margin` as a share, 0.02 for 2 %."""
    return [difference(a, b, metric, margin, known, rng) for metric in metrics]


def difference(
    a: Measured, b: Measured, metric: Metric, margin: float, known: Known, rng: np.random.Generator
) -> Difference:
    values = a.value(metric), b.value(metric)
    if not values[0] or not values[1]:
        missing = " and ".join(name for name, value in zip("AB", values) if not value)
        return Difference(metric, *values, why=f"{missing} has no such figure")
    change = values[1] / values[0] - 1.0
    try:
        parts = _parts(a, b, metric, known, rng)
    except Unknown as reason:
        return Difference(metric, *values, change, why=str(reason))
    return judged(metric, values[0], values[1], parts, margin)


def judged(
    metric: Metric, a: float, b: float, parts: tuple[Part, ...], margin: float
) -> Difference:
    """The interval and the verdict that follow from the variances."""
    found = math.log(b / a)
    variance = sum(part.variance for part in parts)
    # Welch and Satterthwaite: B. L. Welch, "The generalization of Student's problem", Biometrika
    # 34, 1947.
    freedom = (
        max(int(variance**2 / sum(part.variance**2 / part.freedom for part in parts)), 1)
        if variance
        else 1
    )
    error = math.sqrt(variance)
    half = student_t(LEVEL, freedom) * error
    allowed = math.log1p(margin)
    worse = -found if metric.rate else found
    verdict = CANNOT_TELL
    if worse - half > allowed:
        verdict = SLOWER
    elif worse + half < -allowed:
        verdict = FASTER
    elif abs(found) + half <= allowed:
        verdict = SAME
    p = _beyond(abs(found) - allowed, error, freedom)
    low, high = math.expm1(found - half), math.expm1(found + half)
    return Difference(metric, a, b, math.expm1(found), low, high, p, verdict, parts=parts)


def _beyond(distance: float, error: float, freedom: int) -> float:
    """P(|T| > distance / error) for Student's T; 1 where the difference is within the margin."""
    if distance <= 0.0:
        return 1.0
    if error <= 0.0:
        return 0.0
    t = distance / error
    return regularized_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _parts(
    a: Measured, b: Measured, metric: Metric, known: Known, rng: np.random.Generator
) -> tuple[Part, ...]:
    if a.overloaded and b.overloaded and not metric.rate:
        raise Unknown(
            "both were offered more than they could answer, so response times depend on how long they were measured"
        )
    if a.series is not None and b.series is not None and same_arrivals(a, b):
        _check(a, "A", metric)
        _check(b, "B", metric)
        parts = [_together(a.series, b.series, metric, rng)]
    else:
        parts = [_within(side, name, metric, rng) for name, side in zip("AB", (a, b))]
    sides = [
        (_logarithms(side, metric), _one_run(parts, name, side.runs))
        for name, side in zip("AB", (a, b))
    ]
    more = between(known, metric, sides)
    parts.append(Part("between runs", more.variance * (1.0 / a.runs + 1.0 / b.runs), more.freedom))
    rough = sum(
        metric.resolution(value * NS_PER_MS) ** 2
        for side in (a, b)
        if (value := side.value(metric))
    )
    if rough:
        parts.append(Part("histogram bins", rough, 1e6))
    return tuple(parts)


def _within(side: Measured, name: str, metric: Metric, rng: np.random.Generator) -> Part:
    """The variance of one side's figure from within its runs."""
    if side.series is None:
        return _stated(side, name, metric)
    _check(side, name, metric)
    series = side.series
    block = _block(series, name, metric)
    values = metric.of(series, weights_of(rng, series, block))
    return _part(f"within {name}", values, series, block)


def _together(a: Series, b: Series, metric: Metric, rng: np.random.Generator) -> Part:
    """The variance of the difference where both had the same arrivals: the same intervals are drawn
    for both, so that what the schedule does to both (a ramp, a burst, a chance cluster) is no
    noise.
    """
    cells = min(a.cells, b.cells)
    block = max(_block(a, "A", metric), _block(b, "B", metric))
    weights = weights_of(rng, _first(a, cells), block)
    with np.errstate(divide="ignore"):
        values = metric.of(_first(b, cells), weights) / metric.of(_first(a, cells), weights)
    return _part("within A and B", values, _first(a, cells), block)


def _part(source: str, values: np.ndarray, series: Series, block: float) -> Part:
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(values)
    logarithms = logarithms[np.isfinite(logarithms)]
    if logarithms.size < 0.99 * REPLICATES:
        raise Unknown("too much of the time passed without an answer")
    blocks = series.cells / block
    # As a sample's variance is n / (n - 1) times the mean square: blocks are what there are n of.
    variance = float(logarithms.var(ddof=1)) * blocks / (blocks - 1.0)
    return Part(source, variance, max(blocks - len(series.starts), 1.0))


def _block(series: Series, name: str, metric: Metric) -> float:
    value = float(metric.of(series, ones(series))[0])
    runs = [series.run(number) for number in range(len(series.starts))]
    block = block_length([metric.influence(run, value) for run in runs])
    if series.cells / block < FEWEST_BLOCKS:
        seconds = block * series.seconds / series.cells
        raise Unknown(
            f"{name} kept changing: noise lasts for about {seconds:.2g} s of its {series.seconds:.3g} s; measure longer"
        )
    return block


def _check(side: Measured, name: str, metric: Metric) -> None:
    """Enough intervals and queries."""
    assert side.series is not None
    if side.series.completed < metric.queries_needed:
        raise Unknown(
            f"{name} has {side.series.completed:,} queries; {metric.name} needs {metric.queries_needed:,}"
        )
    cells = min(side.series.run(number).cells for number in range(side.runs))
    if cells < FEWEST_CELLS:
        raise Unknown(
            f"{name} was measured for {cells} intervals; {FEWEST_CELLS} are needed: measure for more than 2 s"
        )


def _stated(side: Measured, name: str, metric: Metric) -> Part:
    """Without the log: the half-width that the result states, where it does."""
    if len(side.rows) > 1 or side.runs > 1:
        raise Unknown(f"{name}: {side.lacks}")
    confidence = side.row.get("Confidence") or {}
    key = "Queries Per Second" if metric.rate else metric.key
    estimate = confidence.get(key) or {}
    half, batches, value = estimate.get("Half Width"), estimate.get("Batches"), side.row.get(key)
    if not half or not value or not batches or batches < 2:
        raise Unknown(f"{name}: {side.lacks}")
    error = half / value / student_t(float(confidence.get("Level") or LEVEL), batches - 1)
    return Part(f"within {name}", error**2, batches - 1)


def _logarithms(side: Measured, metric: Metric) -> np.ndarray:
    """Of the figure in each run."""
    if side.series is None:
        return np.zeros(1)
    series = side.series
    values = np.array([metric.of(run, ones(run))[0] for run in map(series.run, range(side.runs))])
    return np.log(values[np.isfinite(values) & (values > 0)])


def _one_run(parts: list[Part], name: str, runs: int) -> float:
    """What of a single run's variance is explained from within."""
    return sum(part.variance for part in parts if part.source == f"within {name}") * runs


def _first(series: Series, cells: int) -> Series:
    return Series(
        series.lengths_s[:cells], series.counts[:cells], series.middles_ns, series.tops_ns
    )

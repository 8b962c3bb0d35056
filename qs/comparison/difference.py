"""How much one figure of a case differs between two results, with a confidence interval and a
verdict.

Everything is done with logarithms: a difference is a ratio, and 10 % more is as far from nothing as
10 % less. The interval is Student's t around the difference, with Welch and Satterthwaite's degrees
of freedom for its sources of variance (qs.comparison.noise): within the runs of each side, by the
stationary bootstrap; between runs, which a hierarchical bootstrap would underestimate by
(n - 1) / n from n repeats; and the width of histogram bins.

A figure is slower (faster) if the whole interval lies beyond the margin, and the same if all of it
lies within the margin on both sides; otherwise one cannot tell. So a difference as small as the
margin is called slower at most once in forty times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.base.words import number
from qs.comparison import drift
from qs.comparison.measured import NS_PER_MS, CaseRuns, ComparedMetric, ones, same_arrivals
from qs.comparison.noise import (
    REPLICATES,
    KnownSpread,
    between_rounds,
    between_runs,
    block_length,
    weights_of,
)
from qs.comparison.stated import stated_width
from qs.engine.statistics import regularized_beta, student_t
from qs.result.confidence_entry import ConfidenceEntry
from qs.result.logs import Series

SLOWER, FASTER, SAME, CANNOT_TELL = "slower", "faster", "same", "cannot tell"
LEVEL = 0.95
# The same as for the engine's own confidence intervals (Schmeiser 1982: 10 to 30 batches).
FEWEST_CELLS = 10
FEWEST_BLOCKS = 4.0
LEAST_S = 2.0  # a shorter run may have too few intervals
# What a result states may be anything. Figures further apart than this, or a half-width so many
# times the figure, are no measurements, and no batches are more than this many.
FAR, MOST_BATCHES = 1e12, 1_000_000
MOST_LOG = 700.0  # beyond it, an exponential is beyond a float


@dataclass(frozen=True)
class VarianceSource:
    """One source of variance of a difference of logarithms."""

    source: str
    variance: float
    freedom: float


@dataclass(frozen=True)
class Difference:
    """One figure in both results, in items/s or ms. What is unknown is None, and `why` says so."""

    metric: ComparedMetric
    a: float | None
    b: float | None
    # As shares of a: 0.1 is 10 % more.
    change: float | None = None
    low: float | None = None
    high: float | None = None
    # How probable a difference this far beyond the margin is if the true one is not beyond it.
    p: float | None = None
    verdict: str = CANNOT_TELL
    why: str = ""
    # Nothing but the missing log keeps the difference from being judged.
    log_missing: bool = False
    # A percentile of too few queries: a side does not report it.
    unreported: bool = False
    # How long each side must be measured for an interval to be known, in seconds.
    needs_s: float | None = None
    sources: tuple[VarianceSource, ...] = ()

    @property
    def worse(self) -> float | None:
        """The change in the direction of slower: less throughput, more time."""
        if self.change is None:
            return None
        return -self.change if self.metric.rate else self.change

    @property
    def worst(self) -> float | None:
        """The end of the interval in the direction of slower."""
        if self.low is None or self.high is None:
            return None
        return -self.low if self.metric.rate else self.high

    def to_dict(self) -> dict[str, Any]:
        return {
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "a": self.a,
            "b": self.b,
            "change": self.change,
            "interval": None if self.low is None else [self.low, self.high],
            "p": self.p,
            "verdict": self.verdict,
            "why": self.why or None,
            "standard_errors": {each.source: math.sqrt(each.variance) for each in self.sources},
        }


class Unknown(Exception):
    """Why a difference cannot be judged, and how long a measurement would be that can, if any."""

    def __init__(self, why: str, needs_s: float | None = None):
        super().__init__(why)
        self.needs_s = needs_s


class LogMissing(Unknown):
    """It would take the log of a side."""


def differences_of(
    a: CaseRuns,
    b: CaseRuns,
    metrics: Iterable[ComparedMetric],
    margin: float,
    known: KnownSpread,
    rng: np.random.Generator,
    in_turn: bool = False,
) -> list[Difference]:
    """The difference in every metric.

    margin   a share: 0.02 for 2 %
    in_turn  the runs of both sides were made in turn, round by round, so that what changed from
             round to round met both
    """
    return [_difference(a, b, metric, margin, known, rng, in_turn) for metric in metrics]


def _difference(
    a: CaseRuns,
    b: CaseRuns,
    metric: ComparedMetric,
    margin: float,
    known: KnownSpread,
    rng: np.random.Generator,
    in_turn: bool,
) -> Difference:
    a, b = a.of(metric), b.of(metric)
    short = [side.short_of(metric) for side in (a, b)]
    if any(short):
        why = ", ".join(f"{name} {text}" for name, text in zip("AB", short) if text)
        needs = [side.needs_s(metric) for side in (a, b)]
        needs_s = None if None in needs else max(each or 0.0 for each in needs)
        shown = [None if text else side.value(metric) for side, text in zip((a, b), short)]
        return Difference(
            metric,
            shown[0],
            shown[1],
            why=f"{why}; {metric.name} needs {metric.queries_needed:,}",
            unreported=True,
            needs_s=needs_s,
        )
    values = a.value(metric), b.value(metric)
    first, second = (value if value and value > 0 else None for value in values)
    if first is None or second is None:
        missing = " and ".join(name for name, value in zip("AB", (first, second)) if value is None)
        return Difference(metric, *values, why=f"{missing} has no such figure")
    if not 1.0 / FAR < second / first < FAR:
        return Difference(metric, *values, why="they are too far apart to be measurements of one")
    change = second / first - 1.0
    try:
        sources = _sources(a, b, metric, known, rng, in_turn)
    except Unknown as reason:
        no_log = isinstance(reason, LogMissing)
        return Difference(
            metric,
            *values,
            change,
            why=str(reason),
            log_missing=no_log,
            needs_s=reason.needs_s,
        )
    return difference_from(metric, first, second, sources, margin)


def difference_from(
    metric: ComparedMetric, a: float, b: float, sources: tuple[VarianceSource, ...], margin: float
) -> Difference:
    """The interval and the verdict that follow from the variances."""
    log_ratio = math.log(b / a)
    variance = sum(each.variance for each in sources)
    # Welch and Satterthwaite: B. L. Welch, "The generalization of Student's problem", Biometrika
    # 34, 1947.
    freedom = (
        max(int(variance**2 / sum(each.variance**2 / each.freedom for each in sources)), 1)
        if variance
        else 1
    )
    error = math.sqrt(variance)
    half = student_t(LEVEL, freedom) * error
    allowed = math.log1p(margin)
    worse = -log_ratio if metric.rate else log_ratio
    verdict = CANNOT_TELL
    if worse - half > allowed:
        verdict = SLOWER
    elif worse + half < -allowed:
        verdict = FASTER
    elif abs(log_ratio) + half <= allowed:
        verdict = SAME
    p = _beyond(abs(log_ratio) - allowed, error, freedom)
    low, high = (math.expm1(min(log_ratio + each, MOST_LOG)) for each in (-half, half))
    return Difference(metric, a, b, math.expm1(log_ratio), low, high, p, verdict, sources=sources)


def _beyond(distance: float, error: float, freedom: int) -> float:
    """P(|T| > distance / error) for Student's T; 1 if the difference is within the margin."""
    if distance <= 0.0:
        return 1.0
    if error <= 0.0:
        return 0.0
    t = distance / error
    return regularized_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _sources(
    a: CaseRuns,
    b: CaseRuns,
    metric: ComparedMetric,
    known: KnownSpread,
    rng: np.random.Generator,
    in_turn: bool,
) -> tuple[VarianceSource, ...]:
    if a.overloaded and b.overloaded and not metric.rate:
        raise Unknown(
            "both were offered more than they could answer, so response times depend on how long "
            "they were measured"
        )
    paired = same_arrivals(a, b)
    if paired and a.series is not None and b.series is not None:
        _check(a, "A", metric)
        _check(b, "B", metric)
        sources = _together(a.series, b.series, metric, rng)
    else:
        sources = [within(side, name, metric, rng) for name, side in zip("AB", (a, b))]
    sides = [
        (logarithms(side, metric), one_run(sources, name, side.runs))
        for name, side in zip("AB", (a, b))
    ]
    rounds = min(a.runs, b.runs, *(values.size for values, _ in sides))
    if in_turn and rounds >= drift.REPEATS:
        # They show what drift and other programs do to the difference, and better.
        (ours, first), (theirs, second) = sides
        found = between_rounds(known, metric, theirs[:rounds] - ours[:rounds], first + second)
        sources.append(VarianceSource("between rounds", found.variance / rounds, found.freedom))
    else:
        more = between_runs(known, metric, sides)
        variance = more.variance * (1.0 / a.runs + 1.0 / b.runs)
        sources.append(VarianceSource("between runs", variance, more.freedom))
        sources += [] if paired else list(_drifts(a, b, metric, rng))
        if others := drift.other_load(a, b):
            sources.append(VarianceSource("other load", others, drift.FREEDOM))
    rough = sum(
        metric.resolution(value * NS_PER_MS) ** 2
        for side in (a, b)
        if (value := side.value(metric))
    )
    if rough:
        sources.append(VarianceSource("histogram bins", rough, 1e6))
    return tuple(sources)


def within(
    side: CaseRuns, name: str, metric: ComparedMetric, rng: np.random.Generator
) -> VarianceSource:
    """The variance of one side's figure from within its runs."""
    if side.series is None:
        return _stated(side, name, metric)
    _check(side, name, metric)
    series = side.series
    block = _block(series, name, metric)
    values = metric.of(series, weights_of(rng, series, block))
    return _source(f"within {name}", values, series, block)


def _together(
    a: Series, b: Series, metric: ComparedMetric, rng: np.random.Generator
) -> list[VarianceSource]:
    """The variance of the difference if both had the same arrivals: the same intervals are drawn
    for both, so what the schedule does to both (a ramp, a burst, a chance cluster) is not noise.
    """
    cells = min(a.cells, b.cells)
    first, second = _first(a, cells), _first(b, cells)
    block = max(_block(a, "A", metric), _block(b, "B", metric))
    weights = weights_of(rng, first, block)
    with np.errstate(divide="ignore"):
        values = metric.of(second, weights) / metric.of(first, weights)
    sources = [_source("within A and B", values, first, block)]
    drifts, freedom = drift.drift_of_ratio(first, second, metric, weights)
    return [*sources, VarianceSource("drift", drifts, freedom)] if drifts else sources


def _drifts(
    a: CaseRuns, b: CaseRuns, metric: ComparedMetric, rng: np.random.Generator
) -> Iterator[VarianceSource]:
    """That of both sides together, as they are of one machine."""
    found = [(*drift.drift(side, metric, rng), side.runs) for side in (a, b)]
    variance = sum(drifts / runs for drifts, _, runs in found)
    if variance:
        yield VarianceSource("drift", variance, sum(freedom for _, freedom, _ in found))


def _source(source: str, values: np.ndarray, series: Series, block: float) -> VarianceSource:
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(values)
    logarithms = logarithms[np.isfinite(logarithms)]
    if logarithms.size < 0.99 * REPLICATES:
        raise Unknown(
            "too much of the time passed without an answer", 4.0 * series.seconds / _runs(series)
        )
    blocks = series.cells / block
    # As a sample's variance is n / (n - 1) times the mean square, with blocks as the n.
    variance = float(logarithms.var(ddof=1)) * blocks / (blocks - 1.0)
    return VarianceSource(source, variance, max(blocks - len(series.starts), 1.0))


def _block(series: Series, name: str, metric: ComparedMetric) -> float:
    value = float(metric.of(series, ones(series))[0])
    runs = [series.run(number) for number in range(len(series.starts))]
    block = block_length([metric.influence(run, value) for run in runs])
    if series.cells / block < FEWEST_BLOCKS:
        seconds = block * series.seconds / series.cells
        raise Unknown(
            f"{name} kept changing: noise lasts for about {number(seconds, 2)} s of its "
            f"{number(series.seconds)} s; measure longer",
            2.0 * FEWEST_BLOCKS * seconds,
        )
    return block


def _check(side: CaseRuns, name: str, metric: ComparedMetric) -> None:
    """Enough intervals and queries."""
    assert side.series is not None
    if side.series.completed < metric.queries_needed:
        has, needs = side.series.completed, metric.queries_needed
        raise Unknown(
            f"{name} has {has:,} {metric.counted}; {metric.name} needs {needs:,}",
            side.needs_s(metric),
        )
    cells = min(side.series.run(number).cells for number in range(side.runs))
    if cells < FEWEST_CELLS:
        raise Unknown(
            f"{name} was measured for {cells} intervals, and {FEWEST_CELLS} are needed: "
            f"measure for more than {number(LEAST_S)} s",
            2.0 * LEAST_S,
        )


def _stated(side: CaseRuns, name: str, metric: ComparedMetric) -> VarianceSource:
    """Without the log: from the half-width that the result states, if it does."""
    if len(side.rows) > 1 or side.runs > 1:
        raise LogMissing(f"{name}: {side.missing}")
    confidence = side.row.confidence or ConfidenceEntry()
    value, half, batches = stated_width(side.row, metric, confidence)
    level = confidence.level or LEVEL
    if not half or not value or not batches or not 0.0 < level < 1.0:
        raise LogMissing(f"{name}: {side.missing}")
    if not 2 <= batches <= MOST_BATCHES or not 0.0 < half / value < FAR:
        raise LogMissing(f"{name}: {side.missing}")
    error = half / value / student_t(float(level), batches - 1)
    return VarianceSource(f"within {name}", error**2, batches - 1)


def logarithms(side: CaseRuns, metric: ComparedMetric) -> np.ndarray:
    """Logarithms of the figure in each run."""
    if side.series is None:
        return np.zeros(1)
    series = side.series
    values = np.array([metric.of(run, ones(run))[0] for run in map(series.run, range(side.runs))])
    return np.log(values[np.isfinite(values) & (values > 0)])


def one_run(sources: list[VarianceSource], name: str, runs: int) -> float:
    """The part of a single run's variance that is explained from within."""
    return sum(each.variance for each in sources if each.source == f"within {name}") * runs


def _runs(series: Series) -> int:
    return len(series.starts)


def _first(series: Series, cells: int) -> Series:
    return Series(
        series.lengths_s[:cells], series.counts[:cells], series.middles_ns, series.tops_ns
    )

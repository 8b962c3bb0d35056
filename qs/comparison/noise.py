"""How much a figure would vary if it were measured again, with nothing changed.

Within a run: the stationary bootstrap. Requests that follow each other are not independent, so what
is resampled is not requests but stretches of neighbouring intervals, of random length (D. N.
Politis and J. P. Romano, "The stationary bootstrap", Journal of the American Statistical
Association 89, 1994). Their mean length follows from the correlation that the run shows: D. N.
Politis and H. White, "Automatic block-length selection for the dependent bootstrap", Econometric
Reviews 23, 2004, as corrected by A. Patton, Politis and White, Econometric Reviews 28, 2009.

Between runs: another layout in memory, other neighbours, another temperature. No run shows this of
itself, so intervals from within runs are too narrow to compare runs by (T. Kalibera and R. Jones,
"Rigorous benchmarking in reasonable time", ISMM 2013). Repeats show it. With few or none, it is
taken from the machine's self-benchmark, or assumed; repeats and that are weighed by their degrees
of freedom (moderated variance: G. K. Smyth, "Linear models and empirical Bayes methods",
Statistical Applications in Genetics and Molecular Biology 3, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.comparison.measured import ComparedMetric
from qs.result.logs import Series
from qs.result.result import Result

REPLICATES = 500  # a standard error is then known to within 3 %: 1 / sqrt(2 x 500)
# A correlation counts as real if it exceeds this many times sqrt(log10(n) / n) (Politis and White,
# section 3).
_NOTABLE = 2.0
# The optimum is that of the least mean squared error. To call noise a difference is worse than to
# say that one cannot tell, so blocks are twice as long: slow noise, up to that which lasts as long
# as the run, is cut off less.
_LONGER = 2.0
# Standard deviation of throughput between runs, when nothing is known about the machine.
ASSUMED = 0.01
MOST_SPREAD = 10.0  # a larger one is no measurement
FREEDOM = 4
# Tails vary more from run to run than the middle does.
TAILS = {"p90": 1.5, "p99": 2.0, "p99.9": 3.0}


def block_length(influences: Sequence[np.ndarray]) -> float:
    """Mean length of a block in cells, from the influences of the cells of each run of one side.

    At least the cube root of the number of cells, as few cells hide a correlation that exists.
    """
    cells = min(each.size for each in influences)
    least = cells ** (1.0 / 3.0)
    correlations = _correlations(influences)
    if correlations is None:
        return least
    # Beyond this a block is no longer short against the run.
    most = max(min(3.0 * math.sqrt(cells), cells / 3.0), least)
    lags = correlations.size - 1
    bandwidth = min(2 * _last_notable(correlations, cells), lags)
    lag = np.arange(1, bandwidth + 1)
    # The flat-top window: 1 up to half the bandwidth, then falling to 0 in a straight line.
    window = np.minimum(1.0, 2.0 * (1.0 - lag / max(bandwidth, 1)))
    weighted = window * correlations[1 : bandwidth + 1]
    spectrum = 1.0 + 2.0 * float(weighted.sum())  # at frequency 0, over the variance
    slope = 2.0 * float((lag * weighted).sum())
    if spectrum <= 0.0:  # neighbours cancel out: short blocks only overstate the spread
        return least
    # The optimum (2 G^2 / D)^(1/3) n^(1/3) with D = 2 g(0)^2; the variance cancels.
    return max(least, min(_LONGER * ((slope / spectrum) ** 2 * cells) ** (1.0 / 3.0), most))


def draw(rng: np.random.Generator, cells: int, block: float, replicates: int) -> np.ndarray:
    """How often each cell is drawn, a row a replicate: circular blocks whose lengths are geometric
    with mean `block`.
    """
    fresh = rng.random((replicates, cells)) < 1.0 / max(block, 1.0)
    fresh[:, 0] = True
    places = np.arange(cells)
    began = np.maximum.accumulate(np.where(fresh, places, 0), axis=1)
    first = np.take_along_axis(rng.integers(cells, size=(replicates, cells)), began, axis=1)
    drawn = (first + places - began) % cells
    drawn += np.arange(replicates)[:, None] * cells
    return (
        np.bincount(drawn.ravel(), minlength=replicates * cells)
        .reshape(replicates, cells)
        .astype(np.float64)
    )


def weights_of(
    rng: np.random.Generator, series: Series, block: float, replicates: int = REPLICATES
) -> np.ndarray:
    """Each run of a series, resampled on its own."""
    ends = (*series.starts[1:], series.cells)
    return np.hstack(
        [draw(rng, end - start, block, replicates) for start, end in zip(series.starts, ends)]
    )


@dataclass(frozen=True)
class KnownSpread:
    """Standard deviation between runs, as a share of the figure, and where it comes from."""

    share: float
    origin: str

    def of(self, metric: ComparedMetric) -> float:
        return self.share * TAILS.get(metric.tail, 1.0)


ASSUMED_SPREAD = KnownSpread(ASSUMED, f"assumed to be {ASSUMED:.0%}")


@dataclass(frozen=True)
class BetweenRuns:
    """Variance of a figure's logarithm between runs, and its degrees of freedom."""

    variance: float
    freedom: float


def between_runs(
    known: KnownSpread, metric: ComparedMetric, sides: Sequence[tuple[np.ndarray, float]]
) -> BetweenRuns:
    """From the logarithms of the runs' figures of each side, and the part of their variance that is
    explained within a run.
    """
    total, freedom = FREEDOM * known.of(metric) ** 2, float(FREEDOM)
    for values, within in sides:
        if values.size > 1:
            total += (values.size - 1) * max(float(values.var(ddof=1)) - within, 0.0)
            freedom += values.size - 1
    return BetweenRuns(total / freedom, freedom)


def between_rounds(
    known: KnownSpread, metric: ComparedMetric, differences: np.ndarray, within: float
) -> BetweenRuns:
    """The same of the difference of two that were measured in turn, from its logarithm in each
    round, and the part of its variance that is explained within a run. What a round did to both is
    in neither.
    """
    total, freedom = FREEDOM * 2.0 * known.of(metric) ** 2, float(FREEDOM)
    if differences.size > 1:
        total += (differences.size - 1) * max(float(differences.var(ddof=1)) - within, 0.0)
        freedom += differences.size - 1
    return BetweenRuns(total / freedom, freedom)


def known_spread(results: Sequence[Result]) -> KnownSpread:
    """What `qs doctor` had measured where and before the results were made, as they state it; the
    assumption for those that do not. Nothing of this machine is in it: the same files compare alike
    everywhere.
    """
    stated = [_stated_spread(result) for result in results]
    if not any(stated):
        return ASSUMED_SPREAD
    shares = [ASSUMED if each is None else each for each in stated]
    share = math.sqrt(sum(each**2 for each in shares) / len(shares))
    known = ", ".join(dict.fromkeys(f"{each:.2%}" for each in stated if each))
    rest = f"; {ASSUMED:.0%} is assumed where it had not" if None in stated else ""
    return KnownSpread(share, f"{known}, as qs doctor had measured before the runs{rest}")


def stated_spread(share: float) -> KnownSpread:
    """What a person says it is."""
    return KnownSpread(share, f"{share:.2%}, as --spread says")


def _stated_spread(result: Result) -> float | None:
    """Of the self-benchmark that a result carries. It may hold anything."""
    check = result.machine_check
    share: Any = ((check and check.self_benchmark) or {}).get("spread")
    if not isinstance(share, (int, float)) or isinstance(share, bool):
        return None
    return float(share) if 0.0 < share < MOST_SPREAD else None


def _correlations(influences: Sequence[np.ndarray]) -> np.ndarray | None:
    """Autocorrelation by lag, of all runs together; None if nothing varies."""
    cells = min(each.size for each in influences)
    lags = min(math.ceil(math.sqrt(cells)) + _quiet(cells), cells - 1)
    sums = np.zeros(lags + 1)
    for each in influences:
        centred = each - each.mean()
        sums += [
            float((centred[: centred.size - lag] * centred[lag:]).sum()) / centred.size
            for lag in range(lags + 1)
        ]
    return sums / sums[0] if sums[0] > 0.0 else None


def _quiet(cells: int) -> int:
    """How many lags in a row without notable correlation mean that there is none left (K_N of
    Politis and White).
    """
    return max(5, math.ceil(math.log10(cells)))


def _last_notable(correlations: np.ndarray, cells: int) -> int:
    """The last lag, at least 1, before a quiet stretch."""
    bound = _NOTABLE * math.sqrt(math.log10(cells) / cells)
    notable = np.abs(correlations[1:]) >= bound
    quiet = _quiet(cells)
    for lag in range(notable.size - quiet + 1):
        if not notable[lag : lag + quiet].any():
            return max(lag, 1)
    found = np.flatnonzero(notable)
    return int(found[-1]) + 1 if found.size else 1

"""Which settings may be the best, as far as their trials tell.

A setting is ruled out if another one is better by more than chance makes of all comparisons
together, so the settings that are left contain the best one in 95 of 100 sweeps (S. S. Gupta, "On
some multiple decision (selection and ranking) rules", Technometrics 7, 1965; J. C. Hsu,
"Constrained simultaneous confidence intervals for multiple comparisons with the best", Annals of
Statistics 12, 1984). In place of their constants, which need equal variances, each of a setting's
comparisons has an equal part of the 5 % (C. E. Bonferroni's inequality), and Student's t for two
unequal variances (B. L. Welch, Biometrika 34, 1947).

How much one trial varies is known from the setting's repeats, and from those of the other settings,
which are weighed as up to FREEDOM repeats more: two trials that happen to agree show little
(moderated variance: G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 3,
2004). It is at least what the intervals within a trial show. Where nothing was repeated, ASSUMED
between two runs is added to that. All of it is in logarithms: what disturbs a figure does so by a
share of it, and tails differ by factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, variance

import numpy as np

from qs.engine.statistics import student

LEVEL = 0.95
FREEDOM = 4.0
ASSUMED = 0.01  # standard deviation between runs of an unloaded machine, as a share
_NORMAL = 1.96  # half the width of a 95 % interval, in standard errors


@dataclass(frozen=True)
class Seen:
    """One figure of a setting, above 0: over all its trials together, and of each trial with half
    the width of its own 95 % interval; None where it has none.
    """

    value: float
    trials: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Known:
    """A figure, the variance of its logarithm (infinite: unknown) and the degrees of freedom of
    that.
    """

    value: float
    variance: float
    freedom: float

    @property
    def half_width(self) -> float | None:
        """From the figure to the upper end of its 95 % interval; None if that is further away than
        the figure itself, so that it says nothing.
        """
        if math.isinf(self.variance):
            return None
        reach = student(LEVEL, max(int(self.freedom), 1)) * math.sqrt(self.variance)
        return self.value * math.expm1(reach) if reach < math.log(2.0) else None


def known(seen: Mapping[str, Seen]) -> dict[str, Known]:
    """What the trials of all settings together tell of each one's figure."""
    repeats = {name: _repeats(each) for name, each in seen.items()}
    within = {name: _within(each) for name, each in seen.items()}
    # Of a trial too short for an interval of its own: the widest of the others.
    widest = max((each for each in within.values() if each is not None), default=None)
    return {
        name: _known(
            each,
            widest if within[name] is None else within[name],
            repeats[name],
            [repeats[other] for other in repeats if other != name],
        )
        for name, each in seen.items()
    }


def candidates(figures: Mapping[str, Known], most: bool) -> list[str]:
    """The settings that are not ruled out, the best one first. `most`: whether more is better."""
    names = sorted(figures, key=lambda name: figures[name].value, reverse=most)
    if len(names) < 2:
        return names
    values, variances, freedom = (
        np.array([getattr(figures[name], part) for name in names], np.float64)
        for part in ("value", "variance", "freedom")
    )
    values = np.log(values)
    better = (values[None, :] - values[:, None]) * (1.0 if most else -1.0)
    both = variances[:, None] + variances[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        own = variances**2 / freedom
        degrees = both**2 / (own[:, None] + own[None, :])
    degrees = np.where(np.isfinite(degrees), np.maximum(np.floor(degrees), 1.0), 1.0)
    share = 2.0 * (1.0 - LEVEL) / (len(names) - 1)  # a two-sided level, for one side
    reach = np.vectorize({each: student(1.0 - share, int(each)) for each in np.unique(degrees)}.get)
    beaten = (better > reach(degrees) * np.sqrt(both)) & (better > 0)
    return [name for name, out in zip(names, beaten.any(axis=1)) if not out]


def repeats_that_tell(figures: Mapping[str, Known], names: Sequence[str], trials: int) -> float:
    """How many trials of each setting would tell the first of these from the last, if they differ
    as much as measured; infinite if they do not differ, or nothing is known of their spread.
    """
    first, last = figures[names[0]], figures[names[-1]]
    apart, both = abs(math.log(first.value / last.value)), first.variance + last.variance
    if not apart or math.isinf(both):
        return math.inf
    share = 2.0 * (1.0 - LEVEL) / max(len(figures) - 1, 1)
    reach = student(1.0 - share, max(int(first.freedom + last.freedom), 1))
    return trials * both * (reach / apart) ** 2


def _repeats(seen: Seen) -> tuple[float, int]:
    """Variance of the logarithm of one trial's figure, and its degrees of freedom."""
    values = [math.log(value) for value, _ in seen.trials]
    return (variance(values), len(values) - 1) if len(values) > 1 else (0.0, 0)


def _known(
    seen: Seen,
    within: float | None,
    own: tuple[float, int],
    others: Sequence[tuple[float, int]],
) -> Known:
    spread, freedom = own
    prior, worth = _prior(within, others)
    if not freedom and math.isinf(prior):
        return Known(seen.value, math.inf, 1.0)
    if math.isinf(prior):
        prior, worth = 0.0, 0.0
    one = (worth * prior + freedom * spread) / (worth + freedom)
    one = max(one, within or 0.0)
    return Known(seen.value, one / max(len(seen.trials), 1), worth + freedom)


def _prior(within: float | None, others: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Variance of one trial, by anything but this setting's repeats, and what that is worth in
    degrees of freedom.
    """
    freedom = sum(degrees for _, degrees in others)
    if freedom:
        pooled = sum(spread * degrees for spread, degrees in others) / freedom
        return pooled, min(FREEDOM, freedom)
    if within is None:
        return math.inf, 0.0
    return within + ASSUMED**2, FREEDOM


def _within(seen: Seen) -> float | None:
    """Of one trial, by the intervals within the trials; None if none has any."""
    shares = [half / _NORMAL / value for value, half in seen.trials if half is not None and value]
    return mean(each**2 for each in shares) if shares else None

"""Whether a run changed while it was measured: the rate between its halves, and a backlog that
keeps growing. Pure functions of series.

Both ask whether a change is real before they call it one: neighbouring intervals resemble each
other, so they are put together in batches whose means are nearly independent, and the halves' means
are compared by Welch's test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qs.engine.statistics.beta import student_t

LEAST_INTERVALS = 8
BATCHES = 10
CONFIDENCE = 0.99


@dataclass(frozen=True)
class Drift:
    """Mean of the first and of the second half, and the second's difference from the first as a
    share of it.
    """

    first: float
    second: float

    @property
    def change(self) -> float:
        return (self.second - self.first) / self.first


def drift(series: Sequence[float], least: float = 0.05) -> Drift | None:
    """The change between the halves of a series if it is at least `least` and hardly chance (1 %);
    None otherwise.

    Of an odd number the one in the middle is left out. Fewer than LEAST_INTERVALS values cannot
    tell.
    """
    values = np.asarray(series, np.float64)
    if values.size < LEAST_INTERVALS:
        return None
    half = values.size // 2
    first, second = batch_means(values[:half]), batch_means(values[-half:])
    found = Drift(float(first.mean()), float(second.mean()))
    if found.first <= 0 or abs(found.change) < least:
        return None
    errors = [float(part.var(ddof=1)) / part.size for part in (first, second)]
    total = sum(errors)
    if total > 0:
        # Welch and Satterthwaite: B. L. Welch, "The generalization of Student's problem",
        # Biometrika 34, 1947.
        freedom = total**2 / sum(
            error**2 / (part.size - 1) for error, part in zip(errors, (first, second))
        )
        if abs(found.second - found.first) < student_t(
            CONFIDENCE, max(int(freedom), 1)
        ) * math.sqrt(total):
            return None
    return found


def batch_means(values: np.ndarray) -> np.ndarray:
    """Means of at most BATCHES batches of equal length; what does not fill the last is left out at
    the front.
    """
    length = max(values.size // BATCHES, 1)
    count = values.size // length
    return values[values.size - count * length :].reshape(count, length).mean(axis=1)


def growth(series: Sequence[float]) -> float | None:
    """By how much a series grew from its first to its last value, along the straight line through
    it.

    None when it did not grow, or not steadily: the line must explain more than half of the
    variance, and the last third lie above the middle one, and that above the first. Fewer than 3
    values cannot tell.
    """
    values = np.asarray(series, np.float64)
    if values.size < 3:
        return None
    thirds = [float(part.mean()) for part in np.array_split(values, 3)]
    if not thirds[0] < thirds[1] < thirds[2]:
        return None
    number = np.arange(values.size, dtype=np.float64)
    slope, start = np.polyfit(number, values, 1)
    left = float(((values - (start + slope * number)) ** 2).sum())
    whole = float(((values - values.mean()) ** 2).sum())
    if slope <= 0 or left > 0.5 * whole:
        return None
    return float(slope * (values.size - 1))

"""How far to trust a metric: shares of a data set, drawn in a stated way, and 95 % confidence
intervals.

Needs numpy alone, since data sets run in a backend's environment. Left out: the metrics of each
data set.

Sources. Proportions: E. B. Wilson, "Probable inference, the law of succession, and statistical
inference", J. Am. Stat. Assoc. 22 (1927). Area under the ROC curve: E. R. DeLong, D. M. DeLong, D.
L. Clarke-Pearson, Biometrics 44 (1988), by the midranks of X. Sun and W. Xu, IEEE Signal Process.
Lett. 21 (2014). Other means over items: the percentile bootstrap, B. Efron, Ann. Stat. 7 (1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

WHOLE, LEADING, STRATIFIED, RANDOM = "whole", "leading", "stratified", "random"
Z_95 = 1.959963984540054
ROUNDS, AT_ONCE = 2000, 1 << 14  # of the bootstrap; items drawn at once
SOURCES = {
    "wilson": "Wilson 1927",
    "delong": "DeLong 1988",
    "bootstrap": "percentile bootstrap, 2000 rounds",
}


@dataclass(frozen=True)
class Share:
    """Which part of a data set was scored; `seed` is None if it was not drawn at random."""

    kind: str
    percent: float
    seed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "percent": self.percent, "seed": self.seed}


def take_share(
    count: int, percent: float | None, seed: int | None = 0, strata: np.ndarray | None = None
) -> tuple[np.ndarray, Share]:
    """(ascending positions of the chosen items of `count`, how they were chosen); at least one.

    With `strata`, the class of each item, every class gives its share, to within one item. A `seed`
    of None takes the first items.
    """
    if percent is None or percent >= 100:
        return np.arange(count), Share(WHOLE, 100)
    wanted = min(count, max(1, round(count * percent / 100)))
    if seed is None:
        return np.arange(wanted), Share(LEADING, percent)
    order = np.random.default_rng(seed).permutation(count)
    if strata is None:
        return np.sort(order[:wanted]), Share(RANDOM, percent, seed)
    # The first of each class, in the order drawn; what whole numbers of items leave over goes to
    # the largest remainders (Hamilton's method, which keeps a class within one item of its share).
    strata = np.asarray(strata)[order]
    _, classes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    place = np.empty(count)
    place[by_class] = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shares = sizes * wanted / count
    taken = np.floor(shares).astype(np.int64)
    taken[np.argsort(taken - shares, kind="stable")[: wanted - taken.sum()]] += 1
    return np.sort(order[place < taken[classes]]), Share(STRATIFIED, percent, seed)


def wilson(right: int, count: int) -> list[float]:
    """The interval of a proportion; always within 0..1, and never empty, not even at 0 and 1."""
    if not 0 <= right <= count or count < 1:
        raise ValueError(f"wilson: {right} of {count}")
    share, square = right / count, Z_95 * Z_95
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        Z_95
        / (1 + square / count)
        * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    )
    return [max(0.0, middle - half), min(1.0, middle + half)]


def bootstrap_mean(values: np.ndarray, seed: int = 0) -> list[float]:
    """The interval of a mean of per-item scores; each round draws as many items as there are."""
    values = np.asarray(values, dtype=np.float64)
    if not values.size:
        raise ValueError("bootstrap_mean: there are no values")
    random = np.random.default_rng(seed)
    at_once = max(1, AT_ONCE // values.size)  # rounds; few draws at a time would be slow
    means = [
        values[random.integers(0, values.size, (min(at_once, ROUNDS - begin), values.size))].mean(1)
        for begin in range(0, ROUNDS, at_once)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return [float(low), float(high)]


def auc(scores: np.ndarray, labels: np.ndarray) -> tuple[float, list[float]]:
    """(area under the ROC curve, its interval): the probability that a positive item scores higher
    than a negative one, ties counting half.

    ValueError if one of the classes is missing. With a single item of a class the variance is
    unknown: the interval is [0, 1].
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    positive, negative = scores[labels], scores[~labels]
    m, n = positive.size, negative.size
    if not m or not n:
        raise ValueError("the area under the ROC curve needs items of both classes")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite")
    together = _midranks(np.concatenate([positive, negative]))
    of_positive = (together[:m] - _midranks(positive)) / n
    of_negative = 1 - (together[m:] - _midranks(negative)) / m
    area = float(of_positive.mean())
    if m < 2 or n < 2:
        return area, [0.0, 1.0]
    half = Z_95 * math.sqrt(of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n)
    return area, [max(0.0, area - half), min(1.0, area + half)]


def _midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share their mean rank."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return (last - (sizes - 1) / 2)[group]

"""How pictures are usually prepared, and whether another way scores clearly better than the one
that a data set states: wrong means, and red taken for blue, show in nothing but the metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qs.base.words import counted, number
from qs.contract.scoring import wilson

KEYS = ("SCALE", "MEAN", "STD", "CHANNELS")
_UNKNOWN = (-math.inf, math.inf)
LESS_IS_BETTER = ("RMSE", "MAE", "Log Loss")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision has them

Score = Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]]
"""(Metrics, evidence) of a few items, as a data set prepares them at the moment."""


@dataclass(frozen=True)
class Preparation:
    """(value of 0..255 * scale - mean) / std, in an order of channels."""

    name: str
    scale: str
    mean: float | Sequence[float]
    std: float | Sequence[float]
    channels: str

    def values(self) -> tuple[Any, ...]:
        """Of KEYS."""
        above, _, below = self.scale.partition(" / ")
        return float(above) / float(below or 1), self.mean, self.std, self.channels

    def words(self) -> str:
        """As the keys are written."""
        mean, std = (
            value if isinstance(value, float) else list(value) for value in (self.mean, self.std)
        )
        said = f"SCALE = {self.scale}, MEAN = {mean}, STD = {std}"
        return said if self.channels == "L" else f'{said}, CHANNELS = "{self.channels}"'


def usual(channels: str) -> list[Preparation]:
    """Those that pictures with such channels are likely to need."""
    found = []
    for order in ("RGB", "BGR") if channels in ("RGB", "BGR") else (channels,):
        found += [
            Preparation("unit", "1 / 255", 0.0, 1.0, order),
            Preparation("signed", "2 / 255", 1.0, 1.0, order),
            Preparation("none", "1", 0.0, 1.0, order),
        ]
        if order != "L":
            step = -1 if order == "BGR" else 1
            found.append(Preparation("imagenet", "1 / 255", _MEAN[::step], _STD[::step], order))
    return found


def clearly_better(score: Score, dataset: Any) -> tuple[bool, str]:
    """(Whether a usual preparation's interval lies beyond that of the stated one, in words).

    The first metric decides. Of so few items a difference has to be large to show.
    """
    found, evidence = score()
    name = next(iter(found))
    items = int(evidence.get("Items") or 0)
    low, high = _interval(evidence, name)
    less = name in LESS_IS_BETTER
    if not less and items and high > wilson(items, items)[0]:
        return False, f"{name} of {counted(items, 'item')} can hardly be better"
    best, value = None, found[name]
    for preparation in usual(dataset.CHANNELS):
        with _prepared(dataset, preparation.values()):
            other, about = score()
        ends = _interval(about, name)
        if (ends[1] < low) if less else (ends[0] > high):
            if (other[name] < value) if less else (other[name] > value):
                best, value = preparation, other[name]
    if best is None:
        return False, f"no other usual preparation has a clearly better {name}"
    return True, f"{name} is {number(found[name])} as stated, {number(value)} with {best.words()}"


def _interval(evidence: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Everything, where a checker gives none: then nothing is clearly better."""
    low, high = (evidence.get("Confidence Intervals") or {}).get(name, _UNKNOWN)
    return low, high


@contextmanager
def _prepared(dataset: Any, values: Sequence[Any]) -> Iterator[None]:
    stated = {key: getattr(dataset, key) for key in KEYS}
    try:
        for key, value in zip(KEYS, values, strict=True):
            setattr(dataset, key, value)
        yield
    finally:
        for key, value in stated.items():
            setattr(dataset, key, value)

"""Constant rate: requests due at equal distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qs.engine.checks import count, faults_of, rate, to_ns
from qs.engine.clock import FOREVER_NS
from qs.engine.load.schedule import BLOCK, Schedule


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """Request k is due at (first + k * step) / rate_per_s; `first` and `step` belong to a shard."""

    rate_per_s: float
    first: int = 0
    step: int = 1

    def faults(self) -> list[str]:
        return faults_of(
            rate("rate_per_s", self.rate_per_s),
            count("first", self.first, 0),
            count("step", self.step),
        )

    def blocks(self) -> Iterator[np.ndarray]:
        # Each due time is computed from its number, never from the one before, so no rounding error
        # adds up.
        number = self.first
        gap_ns = min(1e9 / self.rate_per_s, float(FOREVER_NS))
        while True:
            numbers = np.arange(number, number + BLOCK * self.step, self.step, dtype=np.int64)
            yield to_ns(np.rint(numbers * gap_ns))
            number += BLOCK * self.step

    def shard(self, index: int, of: int) -> ConstantRate:
        return ConstantRate(self.rate_per_s, self.first + index * self.step, self.step * of)

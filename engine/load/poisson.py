"""Poisson arrivals: independent users, with exponentially distributed gaps."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qs.engine.checks import count, faults_of, instance, items_of, rate, seed, to_ns
from qs.engine.clock import FOREVER_NS
from qs.engine.load.schedule import BLOCK, Schedule


@dataclass(frozen=True)
class Poisson(Schedule):
    """A Poisson process of `rate_per_s`. The same seed gives the same due times on every machine;
    None draws a new one each time.

    A Poisson process split by fair coin is as many independent Poisson processes of the shared rate
    (Kingman, "Poisson Processes", 1993, colouring theorem), so a shard is one of its own, with a
    stream spawned from the seed.
    """

    rate_per_s: float
    seed: int | None = 0
    stream: tuple[int, ...] = ()

    def faults(self) -> list[str]:
        return faults_of(
            rate("rate_per_s", self.rate_per_s),
            seed("seed", self.seed),
            instance("stream", self.stream, tuple, "a tuple of whole numbers"),
            *(count("stream", each, 0) for each in items_of(self.stream)),
        )

    def blocks(self) -> Iterator[np.ndarray]:
        random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=self.stream))
        )
        mean_ns = min(1e9 / self.rate_per_s, float(FOREVER_NS))
        # The running time is kept as whole nanoseconds plus a remainder: a float64 sum alone would
        # lose digits in a day.
        whole = 0
        while True:
            offsets = np.cumsum(random.standard_exponential(BLOCK)) * mean_ns
            due = to_ns(np.floor(offsets), whole)
            yield due
            whole = int(due[-1])

    def seeded(self) -> Poisson:
        """The same process with a seed drawn if it has none, so that everybody who makes its due
        times agrees, and can be told the seed.
        """
        return self if self.seed is not None else replace(self, seed=secrets.randbits(63))

    def shard(self, index: int, of: int) -> Poisson:
        return Poisson(self.rate_per_s / of, self.seed, (*self.stream, index))

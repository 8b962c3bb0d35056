"""Gamma arrivals: gaps that are burstier, or more even, than those of independent users."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from qs.engine.checks import faults_of, is_finite, number, part, rate, seed, to_ns
from qs.engine.clock import FOREVER_NS
from qs.engine.load.schedule import BLOCK, Schedule, striped

# Below the least, nearly all gaps are 0 and the rest are hours; above the most, all are equal to
# within a thousandth.
LEAST, MOST = 0.001, 1e6


@dataclass(frozen=True)
class Gamma(Schedule):
    """Gaps are gamma distributed with the shape `burstiness` and the mean 1 / `rate_per_s`: their
    standard deviation is 1 / sqrt(burstiness) of the mean. 1 is Poisson, less is burstier, more is
    more even. It is what `--burstiness` of `vllm bench serve` means, and `--arrival-smoothness` of
    AIPerf ("Arrival Patterns" in its manual).

    The first gap is the one that an observer finds who comes at any time, so that `rate_per_s`
    requests a second fall due on average from the start on: the part of a gap that is still to
    come, where longer gaps are found more often (Cox, "Renewal Theory", 1962, 5.4). Its length has
    the shape `burstiness` + 1.

    No part of such a process is one again, but for Poisson: a shard is every `of`-th due time of
    the one stream that all make.
    """

    rate_per_s: float
    burstiness: float = 1.0
    seed: int | None = 0
    index: int = 0
    of: int = 1

    def faults(self) -> list[str]:
        shape, allowed = self.burstiness, f"from {LEAST:g} to {MOST:,.0f}"
        return faults_of(
            rate("rate_per_s", self.rate_per_s),
            number("burstiness", shape, is_finite(shape) and LEAST <= shape <= MOST, allowed),
            seed("seed", self.seed),
            *part(self.index, self.of),
        )

    def blocks(self) -> Iterator[np.ndarray]:
        whole = self._whole()
        return whole if self.of == 1 else striped(whole, self.index, self.of)

    def _whole(self) -> Iterator[np.ndarray]:
        random = np.random.Generator(np.random.PCG64(self.seed))
        shape = float(self.burstiness)
        scale_ns = min(1e9 / self.rate_per_s, float(FOREVER_NS)) / shape
        # The running time is kept as Poisson keeps it.
        whole = int(to_ns(scale_ns * random.random(1) * random.standard_gamma(shape + 1.0, 1))[0])
        yield np.array([whole])
        while True:
            due = to_ns(np.floor(np.cumsum(random.standard_gamma(shape, BLOCK)) * scale_ns), whole)
            yield due
            whole = int(due[-1])

    def seeded(self) -> Gamma:
        """The same process with a seed drawn if it has none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbits(63))

    def shard(self, index: int, of: int) -> Gamma:
        return replace(self, index=self.index + index * self.of, of=self.of * of)

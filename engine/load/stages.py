"""Stages: a rate that changes over time, by ramps, steps, bursts and soaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qs.engine.checks import (
    faults_of,
    flag,
    instance,
    items_of,
    part,
    rate,
    seconds,
    seed,
    sequence,
    to_ns,
)
from qs.engine.load.schedule import BLOCK, Schedule, striped


@dataclass(frozen=True)
class Stage:
    """`duration_s` at `rate_per_s`, or in a straight line from the rate before if `ramp` is true.

    A rate of 0 is a pause. A burst is a short stage of a high rate; a soak is a long one.
    """

    duration_s: float
    rate_per_s: float
    ramp: bool = False


@dataclass(frozen=True)
class Stages(Schedule):
    """Stages in turn; the schedule ends after the last. Requests are evenly spaced if `seed` is
    None, else Poisson.

    Due times solve R(t) = n, where R is the expected number of requests until t, the integral of
    the rate: for n = 0, 1, 2, ... the result follows the rate evenly; for n at the points of a
    unit-rate Poisson process it is a Poisson process of that rate (the time-change theorem; Cinlar,
    "Introduction to Stochastic Processes", 1975, 4.7). In a stage of duration d from rate a to rate
    b, R(t) = a t + (b - a) t^2 / (2 d), whose inverse that does not cancel for small b - a is t = 2
    n / (a + sqrt(a^2 + 2 n (b - a) / d)).
    """

    ends: ClassVar[bool] = True

    stages: tuple[Stage, ...]
    seed: int | None = None
    index: int = 0
    of: int = 1

    def faults(self) -> list[str]:
        found = faults_of(
            sequence("stages", self.stages, "a tuple of at least one Stage"),
            seed("seed", self.seed),
            *part(self.index, self.of),
        )
        if not found and not len(self.stages):
            found.append("stages: empty, at least one stage is needed")
        for number, stage in enumerate(items_of(self.stages)):
            at = f"stages[{number}]"
            if not isinstance(stage, Stage):
                found += faults_of(instance(at, stage, Stage, "a Stage"))
                continue
            found += faults_of(
                seconds(at + ".duration_s", stage.duration_s, above_0=True),
                rate(at + ".rate_per_s", stage.rate_per_s, above_0=False),
                flag(at + ".ramp", stage.ramp),
            )
        if not found and self.expected == 0:
            found.append("stages: every rate is 0, so no request would be made")
        return found

    @property
    def duration_s(self) -> float:
        return sum(stage.duration_s for stage in self.stages)

    @property
    def expected(self) -> float:
        """The expected number of requests in all."""
        return sum((start + end) / 2 * duration for duration, start, end in self._lines())

    def rate_at(self, time_s: float) -> float:
        """The rate in requests/s at a time after the start; 0 outside."""
        for duration, start, end in self._lines():
            if time_s < duration:
                return start + (end - start) * time_s / duration
            time_s -= duration
        return 0.0

    def _lines(self) -> Iterator[tuple[float, float, float]]:
        before = 0.0
        for stage in self.stages:
            yield stage.duration_s, before if stage.ramp else stage.rate_per_s, stage.rate_per_s
            before = stage.rate_per_s

    def blocks(self) -> Iterator[np.ndarray]:
        whole = self._whole()
        return whole if self.of == 1 else striped(whole, self.index, self.of)

    def _whole(self) -> Iterator[np.ndarray]:
        arrivals = self._unit_arrivals()
        number = next(arrivals)
        started_s, before = 0.0, 0.0
        for duration, start, end in self._lines():
            expected = (start + end) / 2 * duration
            while True:
                inside = number[: int(np.searchsorted(number, before + expected, "left"))] - before
                if inside.size:
                    root = np.sqrt(
                        np.maximum(start * start + 2 * inside * (end - start) / duration, 0.0)
                    )
                    total = start + root
                    offset = np.divide(
                        2 * inside, total, out=np.zeros_like(inside), where=total > 0
                    )
                    yield to_ns(np.rint((started_s + np.minimum(offset, duration)) * 1e9))
                number = number[inside.size :]
                if number.size:
                    break
                number = next(arrivals)
            started_s += duration
            before += expected

    def _unit_arrivals(self) -> Iterator[np.ndarray]:
        if self.seed is None:
            first = 0
            while True:
                yield np.arange(first, first + BLOCK, dtype=np.float64)
                first += BLOCK
        random = np.random.Generator(np.random.PCG64(self.seed))
        reached = 0.0
        while True:
            numbers = reached + np.cumsum(random.standard_exponential(BLOCK))
            yield numbers
            reached = float(numbers[-1])

    def shard(self, index: int, of: int) -> Stages:
        return Stages(self.stages, self.seed, self.index + index * self.of, self.of * of)

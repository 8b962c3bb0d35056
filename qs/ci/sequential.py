"""Statistics of rounds that are looked at again and again until they tell.

A round measures old and new one right after the other, so that what changes slowly (temperature,
neighbours) meets both; what is judged is the difference of their logarithms in each round. The
order within rounds is random, in balanced pairs: with nothing changed, either order is as likely,
and drift cannot favour a side (R. A. Fisher, "The Design of Experiments", 1935). The interval of
the mean difference is Student's t.

Whoever looks often enough sees a difference some time. So each look spends a part of the risk (K.
K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70,
1983): look k takes RISK / (2 k (k + 1)), which together is at most RISK / 2 however many looks
there are, and the last one, when the budget is over, takes the other half. By the union bound the
risk of a wrong answer at any look is then at most RISK, whatever the looks have in common. An
interval shown is that of its look, and holds beside those of all others (C. Jennison and B. W.
Turnbull, "Interim analyses: the repeated confidence interval approach", Journal of the Royal
Statistical Society B 51, 1989).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qs.engine.statistics import regularized_beta, student_t

# Of a wrong answer in one direction; an interval of 95 % has 2.5 % on each side.
RISK = 0.025
FEWEST = 4  # rounds
# A percentile is known to its histogram's bin, 0.1 % wide, so no mean of it is known exactly.
LEAST_ERROR = 0.0003


def is_look(rounds: int) -> bool:
    """Whether to look after so many rounds: 4, 6, 8, 12, 16, 24, 32, 48, ..."""
    return number_of_look(rounds) is not None


def number_of_look(rounds: int) -> int | None:
    """1, 2, 3, ... for the rounds after which one looks, None for the others."""
    at, number = FEWEST, 1
    while at < rounds:
        at, number = (at * 3 // 2 if number % 2 else at * 4 // 3), number + 1
    return number if at == rounds else None


def risk_of(rounds: int, last: bool) -> float:
    """The part of the risk that is spent at a look after so many rounds."""
    if last:
        return RISK / 2.0
    number = number_of_look(rounds)
    if number is None:
        raise ValueError(f"no look after {rounds} rounds")
    return RISK / (2.0 * number * (number + 1))


@dataclass(frozen=True)
class Mean:
    """The mean of a logarithm over rounds, and what is known of it."""

    value: float
    error: float
    freedom: int

    @classmethod
    def of(cls, logs: Sequence[float]) -> Mean | None:
        """None for less than two rounds, or if a figure is missing in one."""
        values = np.asarray(logs, np.float64)
        if values.size < 2 or not np.isfinite(values).all():
            return None
        error = float(values.std(ddof=1)) / math.sqrt(values.size)
        return cls(float(values.mean()), max(error, LEAST_ERROR), values.size - 1)

    def half(self, risk: float) -> float:
        """From the mean to either end of an interval whose ends are each wrong with `risk`."""
        return student_t(1.0 - 2.0 * risk, self.freedom) * self.error

    def interval(self, risk: float) -> tuple[float, float]:
        half = self.half(risk)
        return self.value - half, self.value + half

    def above(self, bound: float) -> float:
        """How probable a mean so far above the bound is if the true one is not above it."""
        t = (self.value - bound) / self.error
        if not math.isfinite(t):
            return 0.0 if t > 0 else 1.0
        tail = regularized_beta(self.freedom / (self.freedom + t * t), self.freedom / 2, 0.5) / 2.0
        return tail if t > 0 else 1.0 - tail


def rounds_needed(mean: Mean, bound: float, risk: float) -> float | None:
    """How many rounds would part the mean from the bound, if it stays as it is; None if none."""
    apart = abs(mean.value - bound)
    if apart <= 0.0:
        return None
    rounds = mean.freedom + 1
    return max(rounds * 1.5 * (mean.half(risk) / apart) ** 2, rounds + 1.0)


def orders(seed: int) -> Iterator[tuple[int, int]]:
    """Which side is measured first, 0 or 1, and then the other: balanced over each two rounds."""
    rng = random.Random(seed)
    while True:
        first = rng.randrange(2)
        yield first, 1 - first
        yield 1 - first, first

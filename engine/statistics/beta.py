"""The regularized incomplete beta function, and the two distributions that this package asks of it:
binomial and Student's t.

All of statistics that the engine needs, without a library that would be the engine's heaviest
dependency.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_TINY = 1e-300
_EXACT = 1e-15


def regularized_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for 0 <= x <= 1 and positive a, b, to about 1e-12 relative (1e-7 where a + b is
    near 1e8).

    The continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17#v), evaluated by Lentz's
    method; on the far side of the mean, where it would converge slowly, through I_x(a, b) = 1 -
    I_{1-x}(b, a). Takes O(sqrt(max(a, b))) steps.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - regularized_beta(1.0 - x, b, a)
    front = (
        math.exp(
            math.lgamma(a + b)
            - math.lgamma(a)
            - math.lgamma(b)
            + a * math.log(x)
            + b * math.log1p(-x)
        )
        / a
    )
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 200 + 40 * math.isqrt(int(max(a, b)) + 1)):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _not_zero(1.0 + even * d)
        c = _not_zero(1.0 + even / c)
        fraction *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _not_zero(1.0 + odd * d)
        c = _not_zero(1.0 + odd / c)
        fraction *= c * d
        if abs(c * d - 1.0) < _EXACT:
            break
    return min(front * fraction, 1.0)


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def binomial_at_most(count: int, trials: int, probability: float) -> float:
    """P(X <= count) for X ~ Binomial(trials, probability): I_{1-probability}(trials - count, count
    + 1) (DLMF 8.17.5).
    """
    if count < 0:
        return 0.0
    if count >= trials:
        return 1.0
    return regularized_beta(1.0 - probability, trials - count, count + 1)


def student_t(confidence: float, degrees: int) -> float:
    """The t such that |T| <= t with probability `confidence` for Student's T of that many degrees
    of freedom.

    From P(|T| > t) = I_{v / (v + t^2)}(v / 2, 1 / 2), which falls as t grows, by bisection.
    """
    return _root(
        lambda t: (
            regularized_beta(degrees / (degrees + t * t), degrees / 2, 0.5) - (1.0 - confidence)
        ),
        1.0,
    )


def _root(falling: Callable[[float], float], high: float) -> float:
    """Where a falling function that is positive at 0 crosses 0."""
    while falling(high) > 0:
        high *= 2
    low = 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2

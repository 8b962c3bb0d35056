"""What a plan's numbers may be: each is checked once, before anything starts, and named with its
value and what is allowed.

A number of the wrong kind (2.0 clients, "3", True, an infinite time) would fail somewhere in a
worker, or never end; numpy's integers and floats are numbers like Python's own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS

# (whether it is right, name, value, what it must be)
Check = tuple[bool, str, object, str]

LONGEST_S = 1e9  # some 31 years; in ns it is far below FOREVER_NS
HIGHEST_PER_S = 1e9  # one per nanosecond, the finest that a due time can tell


def is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    """Whether it is a number, and neither infinite nor NaN."""
    if is_whole(value):
        return True
    return isinstance(value, (float, np.floating)) and math.isfinite(value)


def count(name: str, value: Any, least: int = 1) -> Check:
    """A whole number from `least` on."""
    if not is_whole(value):
        return False, name, repr(value), f"a whole number of at least {least}"
    return value >= least, name, value, f"at least {least}"


def number(name: str, value: Any, right: bool | None, must_be: str) -> Check:
    """A finite number for which `right` holds; None stands for what could not be asked."""
    if not is_finite(value):
        return False, name, repr(value), f"a finite number, {must_be}"
    return bool(right), name, value, must_be


def seconds(name: str, value: Any, *, above_0: bool = False) -> Check:
    """A time from 0 (or above it) to LONGEST_S."""
    if is_finite(value) and value > LONGEST_S:
        return False, name, value, f"at most {LONGEST_S:,.0f} s"
    right = is_finite(value) and (value > 0 if above_0 else value >= 0)
    return number(name, value, right, "above 0" if above_0 else "at least 0")


def rate(name: str, value: Any, *, above_0: bool = True) -> Check:
    """Requests per second, up to one per nanosecond."""
    right = is_finite(value) and (value > 0 if above_0 else value >= 0) and value <= HIGHEST_PER_S
    least = "above 0" if above_0 else "at least 0"
    return number(name, value, right, f"{least} and at most {HIGHEST_PER_S:,.0f} requests/s")


def faults_of(*checks: Check) -> list[str]:
    """A sentence for each check that is not right."""
    return [
        f"{name}: {value} is not allowed, it must be {must_be}"
        for right, name, value, must_be in checks
        if not right
    ]


def to_ns(offsets_ns: np.ndarray, after_ns: int = 0) -> np.ndarray:
    """Float offsets behind `after_ns` as int64 ns; what lies beyond every run is FOREVER_NS, where
    a plain cast would overflow into the past.
    """
    whole = np.minimum(offsets_ns, float(FOREVER_NS)).astype(np.int64)
    return np.minimum(whole, FOREVER_NS - after_ns) + after_ns

"""What a plan's values may be: each is checked once, before anything starts, and named with its
value and what is allowed.

A value of the wrong kind (2.0 clients, "3", True, an infinite time, a list of CPUs that is a
number) would fail somewhere in a worker, or never end; numpy's integers and floats are numbers like
Python's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from reprlib import Repr
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS

# (whether it is right, name, value, what it must be). Words are made of it only if it is not right:
# a replay of millions of due times is not written out to see that it is one.
Check = tuple[bool, str, object, str]

LONGEST_S = 1e9  # some 31 years; in ns it is far below FOREVER_NS
HIGHEST_PER_S = 1e9  # one per nanosecond, the finest that a due time can tell
MOST = 1 << 62  # counts are added up in int64
MOST_WORKERS = 100_000  # threads, processes, clients, instances: far beyond what a machine runs

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    """Whether it is a number, and neither infinite nor NaN."""
    if is_whole(value):
        return True
    return isinstance(value, (float, np.floating)) and math.isfinite(value)


def count(name: str, value: Any, least: int = 1, most: int = MOST) -> Check:
    """A whole number from `least` to `most`."""
    if not is_whole(value):
        return False, name, value, f"a whole number of at least {least}"
    if value > most:
        return False, name, value, f"at most {most:,}"
    return value >= least, name, value, f"at least {least}"


def counts(
    values: object, *names: str, least: int = 1, most: int = MOST, of: str = ""
) -> list[Check]:
    """Checks that these attributes are None or whole numbers from `least` to `most`."""
    found = [(of + name, getattr(values, name)) for name in names]
    return [count(name, value, least, most) for name, value in found if value is not None]


def number(name: str, value: Any, right: bool | None, must_be: str) -> Check:
    """A finite number for which `right` holds; None stands for what could not be asked."""
    if not is_finite(value):
        return False, name, value, f"a finite number, {must_be}"
    return bool(right), name, value, must_be


def seconds(name: str, value: Any, *, above_0: bool = False) -> Check:
    """A time from 0 (or above it) to LONGEST_S."""
    if is_finite(value) and value > LONGEST_S:
        return False, name, value, f"at most {LONGEST_S:,.0f} s"
    right = is_finite(value) and (value > 0 if above_0 else value >= 0)
    return number(name, value, right, "above 0" if above_0 else "at least 0")


def times(values: object, *names: str, above_0: bool = False) -> list[Check]:
    """Checks that these attributes are None or times in seconds."""
    found = [(name, getattr(values, name)) for name in names]
    return [seconds(name, value, above_0=above_0) for name, value in found if value is not None]


def shares(values: object, name: str, most: float | None) -> list[Check]:
    """Checks that the attribute is None, or a share: above 0, or from 0 up to below `most`."""
    value = getattr(values, name)
    if value is None:
        return []
    if most is None:
        return [number(name, value, is_finite(value) and value > 0, "above 0")]
    right = is_finite(value) and 0 <= value < most
    return [number(name, value, right, "a share from 0 up to below 1")]


def percentile(name: str, value: Any) -> Check:
    right = is_finite(value) and 0 < value < 100
    return number(name, value, right, "between 0 and 100")


def rate(name: str, value: Any, *, above_0: bool = True) -> Check:
    """Requests per second, up to one per nanosecond."""
    right = is_finite(value) and (value > 0 if above_0 else value >= 0) and value <= HIGHEST_PER_S
    least = "above 0" if above_0 else "at least 0"
    return number(name, value, right, f"{least} and at most {HIGHEST_PER_S:,.0f} requests/s")


def seed(name: str, value: Any) -> Check:
    """None, or what numpy makes a generator of."""
    right = value is None or is_whole(value) and value >= 0
    return right, name, value, "a whole number of at least 0, or None"


def choice(name: str, value: Any, allowed: Iterable[str]) -> Check:
    """One of these words."""
    right = isinstance(value, str) and value in allowed
    return right, name, value, "one of " + ", ".join(allowed)


def flag(name: str, value: Any) -> Check:
    return isinstance(value, (bool, np.bool_)), name, value, "True or False"


def instance(name: str, value: Any, kind: type | tuple[type, ...], must_be: str) -> Check:
    return isinstance(value, kind), name, value, must_be


def sequence(name: str, value: Any, must_be: str) -> Check:
    """Something with a length and an order, and not a text."""
    right = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    right = right or isinstance(value, np.ndarray) and value.ndim > 0
    return right, name, value, must_be


def items_of(value: Any) -> Sequence[Any]:
    """What is in a list, a tuple or an array; nothing, where it is something else."""
    return list(value) if sequence("", value, "")[0] else []


def numbers_of(value: Any) -> np.ndarray | None:
    """A list, a tuple or an array of numbers as float64 (n,); None where it is something else."""
    try:
        found = np.asarray(value)
    except ValueError:  # lists of unlike lengths
        return None
    if found.ndim != 1 or found.size and found.dtype.kind not in "iuf":
        return None
    return found.astype(np.float64)


def part(index: Any, of: Any) -> list[Check]:
    """Which of how many parts of a schedule this is (`shard`)."""
    found = [count("of", of), count("index", index, 0)]
    if all(right for right, *_ in found):
        found.append((index < of, "index", index, f"below {of}, as many parts there are"))
    return found


def shown(value: object) -> str:
    """The value for a message, however long it is and whatever its own `repr` does."""
    try:
        return _SHORT.repr(value.item() if isinstance(value, np.generic) else value)
    except Exception:  # its own code may raise anything
        return f"an object of {type(value).__name__}"


def faults_of(*checks: Check) -> list[str]:
    """A sentence for each check that is not right."""
    return [
        f"{name}: {shown(value)} is not allowed, it must be {must_be}"
        for right, name, value, must_be in checks
        if not right
    ]


def to_ns(offsets_ns: np.ndarray, after_ns: int = 0) -> np.ndarray:
    """Float offsets behind `after_ns` as int64 ns; what lies beyond every run is FOREVER_NS, where
    a plain cast would overflow into the past.
    """
    whole = np.minimum(offsets_ns, float(FOREVER_NS)).astype(np.int64)
    return np.minimum(whole, FOREVER_NS - after_ns) + after_ns

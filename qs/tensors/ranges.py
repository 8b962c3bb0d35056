"""Ranges of generated values: what a type can hold of one, and values that stay inside it.

A range is [low, high), as stated by `--range` or a model info's `input_range`; two equal bounds are
that one value. Nothing that is drawn lies outside of it, also after rounding to the input's type.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Bounds = tuple[float, float]
"""(low, high); ints where the user wrote whole numbers, which a float may not hold."""


def is_one_value(bounds: Bounds) -> bool:
    return bounds[0] == bounds[1]


def range_fault(dtype: np.dtype, type_name: str, bounds: Sequence[float]) -> str | None:
    """In words, what is allowed in place of a range that values of this type cannot keep; None if
    they can.
    """
    low, high = bounds
    if dtype.kind == "U":
        return f"no range: {type_name} has none; --data gives texts"
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        if low < float(limits.min) or high > float(limits.max):
            return f"bounds from {limits.min:g} to {limits.max:g}, for {type_name}"
        if is_one_value((low, high)):
            return None
        first, last = _float_ends(dtype, low, high)
        if first > last:
            return f"bounds with a {type_name} between them"
        return None
    least, most = (0, 1) if dtype.kind == "b" else _whole_limits(dtype)
    if low < least or high > most + 1 or (is_one_value((low, high)) and high > most):
        what = "false is 0, true is 1" if dtype.kind == "b" else "the second excluded"
        return f"bounds from {least} to {most + 1} for {type_name}; {what}, and x,x is x alone"
    if not has_whole((low, high)):
        return f"bounds with a whole number between them, for {type_name}"
    return None


def whole_ends(bounds: Bounds) -> tuple[int, int]:
    """The least and the greatest whole number of a range; the second below the first if there are
    none.
    """
    low, high = bounds
    first = math.ceil(low)
    return first, math.floor(high) if is_one_value(bounds) else math.ceil(high) - 1


def has_whole(bounds: Bounds) -> bool:
    first, last = whole_ends(bounds)
    return first <= last


def of_ids(dtype: np.dtype, bounds: Bounds) -> bool:
    """Whether a range can be one of ids; as floats those are whole only up to a size."""
    return has_whole(bounds) and (dtype.kind != "f" or max(map(abs, bounds)) <= 2**53)


def draw_whole(
    dtype: np.dtype, bounds: Bounds, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Whole numbers of a range, as `dtype`. ValueError if it has none."""
    first, last = whole_ends(bounds)
    drawn_as = np.uint64 if last > np.iinfo(np.int64).max else np.int64
    drawn = rng.integers(first, last, size=shape, dtype=drawn_as, endpoint=True).astype(dtype)
    if dtype.kind == "f" and not is_one_value(bounds):  # ids of a model that takes them as floats
        return drawn.clip(*_float_ends(dtype, *bounds))
    return drawn


def draw_float(
    dtype: np.dtype, bounds: Bounds, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Floats of a range, uniform, as `dtype`: rounding to it does not reach the upper bound."""
    low, high = bounds
    if is_one_value(bounds):
        return np.full(shape, low, dtype)
    if math.isfinite(float(high) - float(low)):
        drawn = rng.uniform(low, high, size=shape)
    else:  # the whole of FLOAT64: the width is no number
        part = rng.random(size=shape)
        drawn = (1 - part) * low + part * high
    first, last = _float_ends(dtype, low, high)
    return drawn.astype(dtype).clip(first, last)


def _whole_limits(dtype: np.dtype) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _float_ends(dtype: np.dtype, low: float, high: float) -> tuple[np.floating, np.floating]:
    """The least and the greatest value of the type in [low, high)."""
    first, last = dtype.type(low), dtype.type(high)
    if float(first) < low:
        first = np.nextafter(first, dtype.type(np.inf))
    if float(last) >= high:
        last = np.nextafter(last, dtype.type(-np.inf))
    return first, last

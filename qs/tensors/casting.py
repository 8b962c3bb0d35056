"""Values of one type as another, where nothing is lost but what rounding of floats loses.

A user's own data is what the run is about: a NaN that becomes a number, a float that becomes
infinite, a 5 that becomes true would be measured without a word. So a cast either keeps every
value or is refused with the first that it would change.
"""

from __future__ import annotations

import numpy as np


class Bent(ValueError):
    """A cast would change a value."""

    def __init__(self, allowed: str, found: str) -> None:
        super().__init__(f"{allowed}; {found}")
        self.allowed, self.found = allowed, found


def cast(array: np.ndarray, dtype: np.dtype, type_name: str) -> np.ndarray:
    """`array` as `dtype`; `type_name` is what messages call that.

    Floats are rounded to narrower floats, but finite ones stay finite; NaN and infinities stay what
    they are between floats. Whole numbers become floats if the float is that number. Raises Bent
    for everything else that would change: fractions, NaN or large numbers as integers, anything but
    0 and 1 as BOOL, complex numbers, dates, texts as numbers and numbers as texts.
    """
    if array.dtype == dtype or (dtype.kind == "U" and array.dtype.kind == "U"):
        return array
    if array.dtype.kind not in "biuf" or dtype.kind == "U":
        raise Bent(f"values of type {type_name}", f"it has {array.dtype}")
    if not array.size:
        return array.astype(dtype)
    if dtype.kind == "b":
        _keep(array, (array == 0) | (array == 1), f"0 and 1 alone, for {type_name}")
        return array.astype(dtype)
    if dtype.kind == "f":
        return _as_float(array, dtype, type_name)
    return _as_integer(array, dtype, type_name)


def _as_integer(array: np.ndarray, dtype: np.dtype, type_name: str) -> np.ndarray:
    limits = np.iinfo(dtype)
    within = f"values from {limits.min} to {limits.max}, for {type_name}"
    if array.dtype.kind == "f":
        _keep(array, np.isfinite(array), f"whole numbers, for {type_name}")
        whole = np.rint(array) == array
        _keep(array, whole, f"whole numbers, for {type_name}", "with fractions, such as ")
        # the greatest + 1 is a power of two, which a float holds; the greatest is not always
        most = float(int(limits.max) + 1)
        _keep(array, (array >= float(limits.min)) & (array < most), within)
    elif array.dtype.kind in "iu":
        wide = array.astype(object) if array.dtype == np.uint64 or dtype == np.uint64 else array
        ends = int(wide.min()), int(wide.max())
        if ends[0] < limits.min or ends[1] > limits.max:
            raise Bent(within, f"it has {ends[0] if ends[0] < limits.min else ends[1]}")
    return array.astype(dtype)


def _as_float(array: np.ndarray, dtype: np.dtype, type_name: str) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        made = array.astype(dtype)
    if array.dtype.kind == "f":
        limits = np.finfo(dtype)
        within = f"values from {limits.min:g} to {limits.max:g}, for {type_name}"
        _keep(array, np.isfinite(made) == np.isfinite(array), within)
        return made
    # An integer that a float cannot hold is the neighbour of one that it can.
    whole = f"whole numbers that a {type_name} holds (up to {2 ** (np.finfo(dtype).nmant + 1)})"
    bits = np.finfo(dtype).nmant + 1
    if array.dtype.kind in "iu" and array.dtype.itemsize * 8 > bits:
        _keep(array, np.isfinite(made), whole)
        if array.dtype.itemsize == 8 and dtype == np.float64:
            same = made.astype(object) == array.astype(object)
        else:
            same = made.astype(np.float64) == array.astype(np.float64)
            same &= np.abs(array.astype(np.float64)) <= 2**53
        _keep(array, same.astype(bool), whole)
    return made


def _keep(array: np.ndarray, kept: np.ndarray, allowed: str, found: str = "") -> None:
    if not kept.all():
        value = array[~kept].reshape(-1)[0]
        raise Bent(allowed, f"it has {array.dtype} {found}{value}")

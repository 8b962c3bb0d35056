"""Vendor values as plain data, also numpy scalars and arrays, paths and sets; anything else becomes
its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A copy in None, bool, int, float, str, bytes, list and dict. Keys become strings."""
    # First, since numpy's str and float are also Python's, but unpickle as numpy's.
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value, key=str)]
    return str(value)


def restored(value: Any, original: Any) -> Any:
    """`value`, a plain copy that may have been changed since, with the original's objects in every
    place that was not changed.
    """
    if value == plain(original):
        return original
    if isinstance(value, dict) and isinstance(original, Mapping):
        known = {str(key): item for key, item in original.items()}
        return {
            key: restored(item, known[key]) if key in known else item for key, item in value.items()
        }
    return value

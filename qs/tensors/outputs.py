"""Brings what predict returns into one form: output name -> numpy array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def named_outputs(raw: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """From a dict, list, tuple or single array, of numpy arrays or tensors. Copies device tensors
    to the host.

    `names` are the model info's outputs; they name the members of a list or tuple of that length.
    Otherwise members are "output_0", "output_1" ... TypeError for anything else.
    """
    if raw is None or isinstance(raw, (str, bytes)):
        raise TypeError(f"predict returned {raw!r}; allowed: a dict, list or tuple of arrays")
    if isinstance(raw, Mapping):
        return {str(name): to_numpy(value) for name, value in raw.items()}
    values = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if len(values) != len(names):
        names = [f"output_{index}" for index in range(len(values))]
    return {name: to_numpy(value) for name, value in zip(names, values, strict=True)}


def as_arrays(raw: Any) -> Any:
    """What predict returns, with numpy arrays in place of tensors, in the same dict, list or tuple.

    Data sets' checkers get arrays, whatever library a backend uses.
    """
    if isinstance(raw, Mapping):
        return {name: as_arrays(value) for name, value in raw.items()}
    if isinstance(raw, (list, tuple)):
        return (
            type(raw)(map(as_arrays, raw))
            if type(raw) in (list, tuple)
            else [as_arrays(value) for value in raw]
        )
    return to_numpy(raw) if hasattr(raw, "numpy") else raw


def to_numpy(value: Any) -> np.ndarray:
    """numpy arrays as they are; tensors by those of detach(), cpu() and numpy() that they have."""
    if isinstance(value, np.ndarray):
        return value
    for step in ("detach", "cpu"):
        if hasattr(value, step):
            value = getattr(value, step)()
    if not hasattr(value, "numpy"):
        return np.asarray(value)
    try:
        return np.asarray(value.numpy())
    except TypeError:
        # a type that numpy does not have, such as bfloat16; all of those fit into float32
        return np.asarray(value.float().numpy())


def paired(reference: Sequence[str], given: Sequence[str]) -> dict[str, str | None]:
    """Reference output -> the backend's: by name; by position if no name matches and the counts
    agree.
    """
    if set(reference) & set(given) or len(reference) != len(given):
        return {name: name if name in given else None for name in reference}
    return dict(zip(reference, given, strict=True))

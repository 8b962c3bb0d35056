"""Brings what predict returns into one form, output name -> numpy array; what is no number in it
can then be compared, and kept in a file, as well.

Text is an array of objects, all of them str. A sequence of maps (what a ZipMap answers) is two
arrays, [maps, keys] each: its values under the output's own name, its keys beside them. A sequence
of arrays that do not stack is its values end to end, with the shapes beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

KEYS, SIZES, SHAPES = " (keys)", " (sizes)", " (shapes)"
# Files in a case's folder: what of an instance's answers held no output.
NOTED = "answers-*.txt"
NUMBERS = "biuf"  # the kinds of types that have differences
_TEXT = np.dtype([("text", np.uint8)])  # marks text in a file of arrays


def named_outputs(raw: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """From a dict, list, tuple or single array, of numpy arrays or tensors. Copies device tensors
    to the host.

    `names` are the model info's outputs; they name the members of a list or tuple of that length.
    Otherwise members are "output_0", "output_1" ... TypeError for anything else.
    """
    if raw is None or isinstance(raw, (str, bytes)):
        raise TypeError(f"predict returned {raw!r}; allowed: a dict, list or tuple of arrays")
    found: dict[str, np.ndarray] = {}
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            found |= arrays_of(str(name), value)
        return found
    values = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if len(values) != len(names):
        names = [f"output_{index}" for index in range(len(values))]
    for name, value in zip(names, values, strict=True):
        found |= arrays_of(name, value)
    return found


def no_outputs(raw: Any) -> str | None:
    """Why this answer of predict is none, in words; None if it holds at least one output.

    It says nothing about whether the outputs are right. An answer of a kind of its own (an object
    with a field for each output) may be one: what reads it knows.
    """
    if raw is None or isinstance(raw, (str, bytes, bool)):
        return f"predict returned {raw!r:.60}"
    if isinstance(raw, (Mapping, list, tuple)):
        kind = type(raw).__name__
        if not len(raw):
            return f"predict returned an empty {kind}"
        members = raw.values() if isinstance(raw, Mapping) else raw
        if all(_is_nothing(member) for member in members):
            return f"predict returned a {kind} of None"
    return "predict returned an array of None" if _is_nothing(raw) else None


def _is_nothing(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.size:
        return all(each is None for each in value.ravel().tolist())
    return value is None


def arrays_of(name: str, value: Any) -> dict[str, np.ndarray]:
    """One output in that form: mostly one array, under its own name. None (an optional output that
    is left out) is an empty array of text.
    """
    if value is None:
        return {name: np.empty(0, object)}
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, (list, tuple)) and value:
        if all(isinstance(each, Mapping) for each in value):
            return _of_maps(name, value)
        if any(getattr(each, "ndim", 0) or hasattr(each, "numpy") for each in value):
            return _of_sequence(name, [to_numpy(each) for each in value])
    array = to_numpy(value)
    if array.dtype.kind in NUMBERS:
        return {name: array}
    if array.dtype.kind == "O" and array.size:
        members = array.ravel().tolist()
        if all(isinstance(each, Mapping) for each in members):
            return _of_maps(name, members)
    return {name: _comparable(array)}


def _of_maps(name: str, maps: Sequence[Mapping]) -> dict[str, np.ndarray]:
    keys = [sorted(each, key=lambda key: (str(type(key)), key)) for each in maps]
    sizes = {len(each) for each in keys}
    values: Any = [[one[key] for key in order] for one, order in zip(maps, keys)]
    if len(sizes) == 1:
        return {name: _from_lists(values), name + KEYS: _from_lists(keys)}
    return {
        name: _from_lists([value for each in values for value in each]),
        name + KEYS: _from_lists([key for each in keys for key in each]),
        name + SIZES: np.array([len(each) for each in keys]),
    }


def _from_lists(values: list) -> np.ndarray:
    try:
        return _comparable(np.array(values))
    except ValueError:  # members that do not stack
        return np.array([repr(each) for each in values], object)


def _of_sequence(name: str, members: list[np.ndarray]) -> dict[str, np.ndarray]:
    if len({each.shape for each in members}) == 1:
        return {name: _comparable(np.stack(members))}
    flat = np.concatenate([each.ravel() for each in members])
    shapes = np.array([str(list(each.shape)) for each in members], object)
    return {name: _comparable(flat), name + SHAPES: shapes}


def _comparable(array: np.ndarray) -> np.ndarray:
    """Numbers as numbers, whatever holds them; anything else as text."""
    kind = array.dtype.kind
    if kind in NUMBERS:
        return array
    if kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    if kind == "V" and array.dtype.names is None:  # bfloat16, float8: numpy knows them by a plug-in
        try:
            return array.astype(np.float32)
        except (TypeError, ValueError):
            pass
    members = array.ravel().tolist()
    if kind == "O" and members and all(isinstance(each, (bool, int, float)) for each in members):
        return np.array(members).reshape(array.shape)
    found = np.empty(len(members), object)
    found[:] = [_text(each) for each in members]
    return found.reshape(array.shape)


def _text(member: Any) -> str:
    if isinstance(member, bytes):
        return member.decode("utf-8", "backslashreplace")
    return member if isinstance(member, str) else str(member)


def stored(array: Any) -> np.ndarray:
    """The array as it can stand in a file without pickle: `recovered` makes it what it was."""
    array = np.asarray(array)
    if array.dtype.kind != "O":
        return array
    content = {"shape": array.shape, "text": [_text(each) for each in array.ravel().tolist()]}
    return np.frombuffer(json.dumps(content).encode(), np.uint8).view(_TEXT)


def recovered(array: np.ndarray) -> np.ndarray:
    """The array that `stored` was given."""
    if array.dtype != _TEXT:
        return array
    content = json.loads(array.view(np.uint8).tobytes())
    found = np.empty(len(content["text"]), object)
    found[:] = content["text"]
    return found.reshape(content["shape"])


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
        try:
            return np.asarray(value)
        except ValueError:  # lists of unlike lengths
            return np.array([repr(each) for each in value], object)
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

"""A model's inputs and outputs: names, shapes at batch 1, types and value ranges, checked against
each other.

Four keys of a model info describe the inputs together (`inputs`, `input_shape`, `input_type`,
`input_range`), so they are checked together. Published files write lists as one comma-separated
string; both are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qs.base.errors import MISSING, Fault
from qs.base.names import nearest

TYPES = (
    "FLOAT32",
    "FLOAT16",
    "FLOAT64",
    "INT8",
    "UINT8",
    "INT16",
    "UINT16",
    "INT32",
    "UINT32",
    "INT64",
    "UINT64",
    "LONG",
    "BOOL",
    "STRING",
)
KEYS = ("inputs", "outputs", "input_shape", "input_type", "input_range")

_NAMES = "names, as a list or one comma-separated string"
_SHAPES = "an object, input name -> list of whole numbers >= 1, the shape at batch 1 ([]: a scalar, which a batch shares)"
_TYPES = f"one type per input, or one for all, of {', '.join(TYPES)}"
_RANGES = "an object, input name -> [low, high), two finite numbers, low < high"


@dataclass
class Inputs:
    """The values that are right; with faults, not all of them are there."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shape: dict[str, tuple[int, ...]] = field(default_factory=dict)
    input_type: dict[str, str] = field(default_factory=dict)
    input_range: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def check_inputs(raw: Mapping[str, Any], file: str) -> Inputs:
    """The input and output keys of a raw model info. `inputs` may be absent: those of
    `input_shape`.
    """
    found = Inputs()
    faults = found.faults
    shapes = _shapes(raw.get("input_shape", MISSING), file, faults)
    found.outputs = _names(raw.get("outputs"), "outputs", file, faults) or ()
    stated = _names(raw.get("inputs"), "inputs", file, faults)
    found.inputs = tuple(shapes or ()) if stated == () else stated or ()
    if stated is not None and shapes is not None:
        _same_names(found.inputs, shapes, file, faults)
    found.input_shape = {name: shape for name, shape in (shapes or {}).items() if shape is not None}
    found.input_type = _types(raw.get("input_type", MISSING), found.inputs, file, faults)
    found.input_range = _ranges(raw.get("input_range"), found.inputs, file, faults)
    return found


def split(value: object) -> object:
    """A comma-separated string as a list of its parts; anything else as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return value


def _names(value: object, key: str, file: str, faults: list[Fault]) -> tuple[str, ...] | None:
    names = split(value)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        faults.append(Fault(file, key, value, _NAMES))
        return None
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults.append(Fault(file, key, value, f"each name once; {', '.join(twice)} stands twice"))
        return None
    return tuple(names)


def _shapes(
    value: object, file: str, faults: list[Fault]
) -> dict[str, tuple[int, ...] | None] | None:
    """Name -> shape, None for a shape that is wrong; None where there are no names to go by."""
    if not isinstance(value, dict) or not value:
        faults.append(Fault(file, "input_shape", value, _SHAPES))
        return None
    shapes: dict[str, tuple[int, ...] | None] = {}
    for name, shape in value.items():
        right = isinstance(shape, list) and all(type(side) is int and side >= 1 for side in shape)
        shapes[name] = tuple(shape) if right else None
        if not right:
            allowed = "a list of whole numbers >= 1: batch b multiplies the first of them"
            faults.append(Fault(file, f"input_shape.{name}", shape, allowed))
    return shapes


def _same_names(
    inputs: tuple[str, ...], shapes: Mapping[str, object], file: str, faults: list[Fault]
) -> None:
    for name in inputs:
        if name not in shapes:
            near = nearest(name, [known for known in shapes if known not in inputs])
            hint = f"is {near!r} a misspelling of it?" if near else None
            faults.append(
                Fault(file, f"input_shape.{name}", MISSING, "a shape for every input", hint=hint)
            )
    for name in shapes:
        if name not in inputs:
            allowed = "one of the inputs: " + ", ".join(inputs)
            faults.append(Fault(file, "input_shape", name, allowed, nearest=nearest(name, inputs)))


def _types(
    value: object, inputs: tuple[str, ...], file: str, faults: list[Fault]
) -> dict[str, str]:
    types = split(value)
    if not isinstance(types, list) or not types:
        faults.append(Fault(file, "input_type", value, _TYPES))
        return {}
    known = []
    for number, name in enumerate(types):
        upper = name.strip().upper() if isinstance(name, str) else name
        if upper in TYPES:
            known.append(upper)
        else:
            near = nearest(name, TYPES) if isinstance(name, str) else None
            faults.append(Fault(file, f"input_type[{number}]", name, _TYPES, nearest=near))
    if len(known) < len(types) or not inputs:
        return {}
    if len(known) == 1:
        known *= len(inputs)
    if len(known) != len(inputs):
        hint = f"there are {len(known)} types for {len(inputs)} inputs"
        faults.append(Fault(file, "input_type", value, _TYPES, hint=hint))
        return {}
    return dict(zip(inputs, known, strict=True))


def _ranges(
    value: object, inputs: tuple[str, ...], file: str, faults: list[Fault]
) -> dict[str, tuple[float, float]]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(Fault(file, "input_range", value, _RANGES))
        return {}
    ranges = {}
    for name, bounds in value.items():
        if name not in inputs and inputs:
            allowed = "one of the inputs: " + ", ".join(inputs)
            faults.append(Fault(file, "input_range", name, allowed, nearest=nearest(name, inputs)))
        elif _is_range(bounds):
            ranges[name] = (bounds[0], bounds[1])
        else:
            faults.append(Fault(file, f"input_range.{name}", bounds, _RANGES))
    return ranges


def _is_range(bounds: object) -> bool:
    return (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(type(bound) in (int, float) and math.isfinite(bound) for bound in bounds)
        and bounds[0] < bounds[1]
    )

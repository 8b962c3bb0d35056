"""The model info (`model_zoo/<model>.json`): a model's file, inputs and outputs, data set and
largest batch.

Four keys describe the inputs together (`inputs`, `input_shape`, `input_type`, `input_range`), so
they are checked together. Published files write lists as one comma-separated string; both are read.
Keys that no rule knows are kept: published files carry vendors' own. qs.models finds the model's
file.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, StrictStr

from qs.base import jsonc
from qs.base.addresses import public_in
from qs.base.errors import MISSING, MOST_FAULTS, Fault
from qs.base.names import PLAIN, nearest, type_name
from qs.config.checking import (
    Checkable,
    Checked,
    Count,
    Flag,
    PlainName,
    as_object,
    check,
    split,
    unknown_keys,
)
from qs.config.sources import Source, check_sources

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
LARGEST = sys.float_info.max
KEYS = ("inputs", "outputs", "input_shape", "input_type", "input_range")

_NAMES = "names, as a list or one comma-separated string"
_SHAPES = (
    "an object, input name -> list of whole numbers >= 1, the shape at batch 1 ([]: a scalar, "
    "which a batch shares)"
)
_TYPES = f"one type per input, or one for all, of {', '.join(TYPES)}"
_RANGES = (
    "an object, input name -> [low, high), two finite numbers, low <= high (equal: that value)"
)

FRAMEWORKS = ("Pytorch", "Tensorflow", "Onnx")
_SPELLED = {name.casefold(): name for name in FRAMEWORKS}


def _framework(value: object) -> object:
    spelled = _SPELLED.get(value.casefold()) if isinstance(value, str) else None
    if spelled is None:
        raise ValueError("not a known framework")
    return spelled


def _version(value: object) -> object:
    return (
        str(value) if type(value) in (int, float) else value
    )  # 1.12 is often written without quotes


def _path(value: str) -> str:
    if "\0" in value:
        raise ValueError("NUL")
    return value


class ModelInfo(Checkable):
    """What is known of a model before it is loaded. Shapes are at batch 1; batch b multiplies the
    first dimension.
    """

    model: PlainName
    model_path: Annotated[StrictStr, Field(min_length=1), AfterValidator(_path)]
    framework: Annotated[str, BeforeValidator(_framework)]
    framework_version: Annotated[StrictStr | None, BeforeValidator(_version)] = None
    model_format: Annotated[StrictStr, Field(min_length=1)]
    model_precision: Annotated[StrictStr, Field(min_length=1)] = "FP32"
    dataset_name: Annotated[PlainName | None, BeforeValidator(lambda value: value or None)] = None
    max_batch_size: Count | None = None
    is_quantized: Flag = False
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shape: dict[str, tuple[int, ...]] = {}
    input_type: dict[str, str] = {}
    input_range: dict[str, tuple[float, float]] = {}
    sources: tuple[Source, ...] = ()

    _stated: dict[str, Any] = PrivateAttr(default_factory=dict)

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "model": PLAIN,
        "model_path": "a path relative to the workspace, or an absolute one",
        "framework": ", ".join(FRAMEWORKS),
        "framework_version": "a version, as a string",
        "model_format": "the format's name, such as 'pt', 'saved_model' or 'onnx'",
        "model_precision": "the precision's name, such as 'FP32'",
        "dataset_name": f"the name of a folder in datasets/ ({PLAIN}), or null for generated "
        "inputs",
        "max_batch_size": "a whole number >= 1",
        "is_quantized": "true or false",
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {"framework": FRAMEWORKS}
    ALIASES: ClassVar[Mapping[str, str]] = {"name": "model"}

    def batch_shape(self, name: str, batch_size: int) -> tuple[int, ...]:
        """The shape of an input at a batch size: [26, 2] becomes [26 * b, 2]."""
        first, *others = self.input_shape[name]
        return (first * batch_size, *others)

    def to_configs(self) -> dict[str, Any]:
        """The published spelling: names and types as comma-separated strings, unknown keys as they
        were. Names that such a string would not bring back are a list. Addresses of sources have no
        credentials.
        """
        plain = {
            key: getattr(self, key)
            for key in type(self).model_fields
            if key not in (*KEYS, "sources") or key in self._stated
        }
        plain |= {
            "inputs": published_names(self.inputs),
            "outputs": published_names(self.outputs),
            "input_shape": {name: list(shape) for name, shape in self.input_shape.items()},
            "input_type": ",".join(self.input_type[name] for name in self.inputs),
        }
        plain |= {
            key: public_in(self._stated[key])
            for key in ("sources", "input_range")
            if key in self._stated
        }
        return {**plain, **self.extra_keys}

    def to_fetch(self) -> dict[str, Any]:
        """The same, with the credentials of its sources: for whoever gets the file, to be neither
        kept nor shown.
        """
        sources = {"sources": self._stated["sources"]} if "sources" in self._stated else {}
        return self.to_configs() | sources


def published_names(names: Sequence[str]) -> str | list[str]:
    """One comma-separated string, as published, unless splitting it gives other names: one may hold
    a comma, or spaces at its ends (columns of a table).
    """
    text = ",".join(names)
    return text if split(text) == list(names) else list(names)


def load_model_info(path: str | Path) -> tuple[ModelInfo, list[str]]:
    """The model info in a file, and warnings. Raises Faults with everything that is wrong."""
    return check_model_info(jsonc.read(path), str(path)).result()


def check_model_info(raw: object, file: str) -> Checked[ModelInfo]:
    """The same for a value that was already read; faults are returned, not raised."""
    stated = as_object(raw, file, "model info")
    apart = (*KEYS, "sources")
    checked = check(
        ModelInfo, {key: value for key, value in stated.items() if key not in apart}, file
    )
    inputs = check_inputs(stated, file)
    sources, source_faults = check_sources(stated.get("sources"), file)
    faults = (*checked.faults, *inputs.faults, *source_faults)
    described = {key: getattr(inputs, key) for key in KEYS} | {"sources": sources}
    right = {**checked.right, **described}
    warnings = tuple(unknown_keys(ModelInfo, stated, file, only_near=True))
    if faults or checked.value is None:
        return Checked(None, right, faults, warnings)
    value = checked.value.model_copy(update=described)
    value._stated = {key: stated[key] for key in apart if key in stated}
    return Checked(value, right, (), warnings)


@dataclass
class Inputs:
    """The values that are right; those with faults are absent."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shape: dict[str, tuple[int, ...]] = field(default_factory=dict)
    input_type: dict[str, str] = field(default_factory=dict)
    input_range: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def check_inputs(raw: Mapping[str, Any], file: str) -> Inputs:
    """The input and output keys of a raw model info. Without `inputs` they are those of
    `input_shape`.
    """
    found = Inputs()
    faults = found.faults
    shapes = _shapes(raw, file, faults)
    found.outputs = _names(raw.get("outputs"), "outputs", file, faults) or ()
    stated = _names(raw.get("inputs"), "inputs", file, faults)
    found.inputs = tuple(shapes or ()) if stated == () else stated or ()
    if stated is not None and shapes is not None:
        _same_names(found.inputs, shapes, file, faults)
    found.input_shape = {name: shape for name, shape in (shapes or {}).items() if shape is not None}
    found.input_type = _types(raw.get("input_type", MISSING), found.inputs, file, faults)
    found.input_range = _ranges(raw.get("input_range"), found.inputs, file, faults)
    return found


def _names(value: object, key: str, file: str, faults: list[Fault]) -> tuple[str, ...] | None:
    names = split(value)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        faults.append(Fault(file, key, value, _NAMES))
        return None
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        faults.append(Fault(file, key, value, f"each name once; {', '.join(twice)} occurs twice"))
        return None
    return tuple(names)


def _shapes(
    raw: Mapping[str, Any], file: str, faults: list[Fault]
) -> dict[str, tuple[int, ...] | None] | None:
    """Name -> shape, None for a wrong shape; None in all when there are no names to go by. A cache
    may be empty: only the batch dimension has to be 1 or more.
    """
    value, axes = raw.get("input_shape", MISSING), raw.get("input_batch_axis")
    if not isinstance(value, dict) or not value:
        faults.append(Fault(file, "input_shape", value, _SHAPES))
        return None
    shapes: dict[str, tuple[int, ...] | None] = {}
    for name, shape in value.items():
        axis = axes.get(name, 0) if isinstance(axes, dict) else 0
        right = isinstance(shape, list) and all(
            type(side) is int and side >= int(at == axis) for at, side in enumerate(shape)
        )
        shapes[name] = tuple(shape) if right else None
        if not right:
            allowed = (
                "a list of whole numbers >= 1: batch b multiplies the first of them; the "
                "others may be 0"
            )
            faults.append(Fault(file, f"input_shape.{name}", shape, allowed))
    return shapes


def _same_names(
    inputs: tuple[str, ...], shapes: Mapping[str, object], file: str, faults: list[Fault]
) -> None:
    stated = frozenset(inputs)
    strange = [name for name in shapes if name not in stated]
    for name in [name for name in inputs if name not in shapes][:MOST_FAULTS]:
        near = nearest(name, strange[:MOST_FAULTS])
        hint = f"is {near!r} a misspelling of it?" if near else None
        faults.append(
            Fault(file, f"input_shape.{name}", MISSING, "a shape for every input", hint=hint)
        )
    for name in strange[:MOST_FAULTS]:
        near = nearest(name, inputs[:MOST_FAULTS])
        faults.append(Fault(file, "input_shape", name, _one_of(inputs), nearest=near))


def _one_of(inputs: tuple[str, ...]) -> str:
    more = f" and {len(inputs) - MOST_FAULTS:,} more" if len(inputs) > MOST_FAULTS else ""
    return "one of the inputs: " + ", ".join(inputs[:MOST_FAULTS]) + more


def _types(
    value: object, inputs: tuple[str, ...], file: str, faults: list[Fault]
) -> dict[str, str]:
    types = split(value)
    if not isinstance(types, list) or not types:
        faults.append(Fault(file, "input_type", value, _TYPES))
        return {}
    known = []
    for number, name in enumerate(types[: len(inputs) + MOST_FAULTS]):
        upper = type_name(name) if isinstance(name, str) else name
        if upper in TYPES:
            known.append(upper)
        else:
            few = isinstance(name, str) and len(faults) < MOST_FAULTS
            near = nearest(name, TYPES) if few else None
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
    ranges, known = {}, frozenset(inputs)
    for name, bounds in value.items():
        if inputs and name not in known:
            if len(faults) < MOST_FAULTS:
                near = nearest(name, inputs[:MOST_FAULTS])
                faults.append(Fault(file, "input_range", name, _one_of(inputs), nearest=near))
        elif _is_range(bounds):
            ranges[name] = (bounds[0], bounds[1])
        else:
            faults.append(Fault(file, f"input_range.{name}", bounds, _RANGES))
    return ranges


def _is_range(bounds: object) -> bool:
    return (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(type(bound) in (int, float) and abs(bound) <= LARGEST for bound in bounds)
        and bounds[0] <= bounds[1]
    )

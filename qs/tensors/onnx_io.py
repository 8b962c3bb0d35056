"""Matches a model file's inputs and outputs with those that the model info names.

A user's own export often has other names (`input_ids` for `input_ids.1`) or another order. Exact
names are matched first, then names without the suffixes that exporters add; the rest by position,
if types and shapes agree. A note tells of anything that is not identical. What cannot be matched is
the user's error.

Works on plain (name, shape, type) descriptions; no ONNX library is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qs.base.errors import UserError
from qs.tensors.generated import InputSpec, input_specs, split_names

BY_POSITION = "by position"
_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(int32)": np.int32,
    "tensor(uint32)": np.uint32,
    "tensor(int64)": np.int64,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def type_of(dtype: np.dtype) -> str:
    """A tensor's type in ONNX's spelling. Text is a string."""
    if dtype.kind in "OUS":
        return "tensor(string)"
    return next(name for name, known in _NUMPY.items() if np.dtype(known) == dtype)


@dataclass(frozen=True)
class FileTensor:
    """An input or output as the model file declares it; a dimension that is not an int is
    dynamic.
    """

    name: str
    shape: tuple[int | str | None, ...]
    type: str

    @property
    def dtype(self) -> np.dtype:
        try:
            return np.dtype(_NUMPY[self.type])
        except KeyError:
            raise UserError(
                f"the model's input {self.name!r} is a {self.type}; only tensors are supported"
            ) from None


@dataclass(frozen=True)
class Fed:
    """One input: its names in the model info and in the file, and the type that the file takes."""

    declared: str
    file: str
    dtype: np.dtype
    spec: InputSpec
    tensor: FileTensor


def file_tensors(nodes: Sequence) -> list[FileTensor]:
    """From ONNX Runtime's `session.get_inputs()` or `get_outputs()`."""
    return [FileTensor(node.name, tuple(node.shape or ()), node.type) for node in nodes]


class Doubt(str):
    """A note on what may be wrong (paired by place alone, or cast): the run has to say it. Plain
    notes tell of what only looks different.
    """


def doubts(notes: Sequence[str]) -> list[str]:
    """Those of the notes that are warnings of the run."""
    return [str(note) for note in notes if isinstance(note, Doubt)]


def _paired(text: str, how: str) -> str:
    return (Doubt if how == BY_POSITION else str)(f"{text} ({how})")


def bind_inputs(
    model_info: Mapping, tensors: Sequence[FileTensor], file: str, side: str = "file"
) -> tuple[list[Fed], list[str]]:
    """Which declared input feeds which input of the file, in the file's order, and notes on what
    differs. `side` is what notes call what the tensors are of.

    UserError if counts, ranks, sizes or types do not match; it shows both.
    """
    specs = input_specs(model_info)
    pairs = _match([spec.name for spec in specs], [tensor.name for tensor in tensors])
    if pairs is None:
        raise UserError(
            f"{file} takes {len(tensors)} inputs ({_shown(tensors)}), but the model info names "
            f"{len(specs)}: "
            f"{', '.join(spec.name for spec in specs)}; correct `inputs` in the model info"
        )
    bound, notes = [], []
    for tensor_index, (spec_index, how) in sorted(pairs.items()):
        spec, tensor = specs[spec_index], tensors[tensor_index]
        fault = _unfit(spec, tensor)
        if fault:
            raise UserError(
                f"{file}: the input {tensor.name!r} cannot take {spec.name!r} of the model info: "
                f"{fault}; the {side} takes {_shown(tensors)}"
            )
        if how:
            notes.append(_paired(f"input {spec.name} feeds the {side}'s {tensor.name}", how))
        if spec.dtype != tensor.dtype and tensor.dtype.kind != "O":
            notes.append(Doubt(f"input {spec.name} is cast from {spec.dtype} to {tensor.dtype}"))
        bound.append(Fed(spec.name, tensor.name, tensor.dtype, spec, tensor))
    return bound, notes


def bind_outputs(
    model_info: Mapping, names: Sequence[str], side: str = "file"
) -> tuple[list[tuple[str, str]], list[str]]:
    """(name in the file, name in reports) for every reported output, in the model info's order, and
    notes.

    Outputs are reported by the model info's names if these can be matched; outputs that it does not
    name are left out. If nothing matches, the file's own names are used, with a note: that does no
    harm.
    """
    declared = split_names(model_info.get("outputs"))
    names = list(dict.fromkeys(names))  # a file may give one tensor out twice
    if not declared:
        return [(name, name) for name in names], []
    if set(declared) <= set(names):
        return [(name, name) for name in declared], []
    pairs = _match(declared, list(names))
    if pairs is None:
        note = Doubt(
            f"the {side}'s outputs ({', '.join(names)}) are not those of the model info "
            f"({', '.join(declared)})"
        )
        return [(name, name) for name in names], [note]
    by_declared = sorted((spec, tensor, how) for tensor, (spec, how) in pairs.items())
    notes = [
        _paired(f"the {side}'s output {names[tensor]} is {declared[spec]}", how)
        for spec, tensor, how in by_declared
        if how
    ]
    return [(names[tensor], declared[spec]) for spec, tensor, _ in by_declared], notes


def batch_fault(bound: Sequence[Fed], batch_size: int) -> str | None:
    """Why the file cannot take this batch size by its declared shapes, or None."""
    if batch_size > 1 and not any(_batched(fed) for fed in bound):
        return "no input has a batch dimension"
    for fed in bound:
        wanted = fed.spec.batch_shape(batch_size)
        for position, (size, declared) in enumerate(zip(wanted, fed.tensor.shape, strict=False)):
            if isinstance(declared, int) and declared > 0 and declared != size:
                return (
                    f"dimension {position} of input {fed.file} is fixed to {declared}, but the "
                    f"batch has {size}"
                )
    return None


def is_dynamic(bound: Sequence[Fed]) -> bool:
    """Whether no input has a fixed batch dimension, so that any batch size may be tried."""
    batched = [fed for fed in bound if fed.tensor.shape and _batched(fed)]
    fixed = [isinstance(fed.tensor.shape[fed.spec.batch_axis or 0], int) for fed in batched]
    return not any(fixed) and any(map(_batched, bound))


def _batched(fed: Fed) -> bool:
    return bool(fed.spec.shape) and fed.spec.batch_axis is not None


def _match(declared: Sequence[str], found: Sequence[str]) -> dict[int, tuple[int, str]] | None:
    """Index in found -> (index in declared, how: "" by its exact name). None if the counts
    differ.
    """
    if len(declared) != len(found):
        return None
    pairs: dict[int, tuple[int, str]] = {}
    for how, key in (("", str), ("same name without the exporter's suffix", _bare)):
        free = [
            index
            for index in range(len(declared))
            if index not in {spec for spec, _ in pairs.values()}
        ]
        keys = [key(declared[index]) for index in free]
        for tensor, name in enumerate(found):
            if tensor not in pairs and keys.count(key(name)) == 1:
                pairs[tensor] = (free[keys.index(key(name))], how)
    # Two tensors of the same bare name must not share one partner.
    if len({spec for spec, _ in pairs.values()}) != len(pairs):
        pairs = {tensor: pair for tensor, pair in pairs.items() if not pair[1]}
    rest = [
        index for index in range(len(declared)) if index not in {spec for spec, _ in pairs.values()}
    ]
    for tensor in range(len(found)):
        if tensor not in pairs:
            pairs[tensor] = (rest.pop(0), BY_POSITION)
    return pairs


def _bare(name: str) -> str:
    return re.sub(r"[.:]\d+$", "", name.strip()).lower()


def _unfit(spec: InputSpec, tensor: FileTensor) -> str | None:
    have, want = spec.dtype.kind, tensor.dtype.kind
    have, want = ("i" if kind == "u" else kind for kind in (have, want))
    if have != want and (have, want) not in {
        ("i", "f"),
        ("b", "f"),
        ("b", "i"),
        ("i", "b"),
        ("U", "O"),
    }:
        return f"{spec.type} cannot become {tensor.type} without loss"
    if not tensor.shape:  # a scalar, or a file that does not say how many dimensions there are
        return None
    if len(spec.shape) != len(tensor.shape):
        return f"shape {list(spec.shape)} against {list(tensor.shape)}"
    for at, (size, declared) in enumerate(zip(spec.shape, tensor.shape, strict=True)):
        if (
            at != spec.batch_axis
            and isinstance(declared, int)
            and declared > 0
            and declared != size
        ):
            return f"shape {list(spec.shape)} against {list(tensor.shape)}"
    return None


def _shown(tensors: Sequence[FileTensor]) -> str:
    return ", ".join(f"{tensor.name} {list(tensor.shape)} {tensor.type}" for tensor in tensors)

"""What a model file declares about its inputs, and guesses for its dynamic dimensions.

A dimension is a number, a name (dimensions of one name are equal) or unknown. The batch is the
dynamic first dimension of the inputs, and any dimension of the same name; all other dynamic
dimensions are guessed from what inputs of that rank and type usually are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.tensors.onnx_io import FileTensor

TYPES = {
    "float": "FLOAT32",
    "float16": "FLOAT16",
    "double": "FLOAT64",
    "int8": "INT8",
    "uint8": "UINT8",
    "int16": "INT16",
    "uint16": "UINT16",
    "int32": "INT32",
    "uint32": "UINT32",
    "int64": "INT64",
    "uint64": "UINT64",
    "bool": "BOOL",
    "string": "STRING",
}
IMAGE, CHANNELS, SEQUENCE, SIGNAL = 224, 3, 128, 512
# Tried in turn, for all guessed dimensions but channels, if the first guess does not run.
LADDER = (256, 320, 640, 512, 576, 48, 32, 64, 128, 1024, 2048, 4096, 16_000, 16, 8, 1)
SAMPLE_RATE_HZ = 16_000

Dimension = int | str | None


@dataclass(frozen=True)
class Input:
    """One input at batch size 1."""

    name: str
    type: str
    declared: tuple[Dimension, ...]
    """Its shape in the file."""
    shape: tuple[int, ...]
    batch_axis: int | None = 0
    """The dimension that the batch size multiplies; None: all items of a batch share the input."""
    guessed: tuple[int, ...] = ()
    """Positions in `shape` that nothing declares."""
    range: tuple[float, float] | None = None
    """[low, high) of generated values, if the name shows that the default is wrong."""

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.type}"


def described(
    tensors: Sequence[FileTensor],
    shapes: Mapping[str, Sequence[int]],
    batch_size: int | None,
    path: str,
) -> list[Input]:
    """Every input with a shape at batch size 1. `shapes` are the user's own; `batch_size` is the
    only one of the run, if there is just one.

    Raises Faults for unsupported inputs and for shapes that do not fit the file.
    """
    faults = [
        Fault(
            path,
            tensor.name,
            tensor.type,
            "a tensor",
            hint="sequences, maps and optional inputs are unsupported",
        )
        for tensor in tensors
        if _element(tensor) not in TYPES
    ]
    names = [tensor.name for tensor in tensors]
    for name, shape in shapes.items():
        tensor = next((each for each in tensors if each.name == name), None)
        if tensor is None:
            faults.append(unknown_input("--shape", name, names))
        elif not _fits(shape, tensor.shape):
            declared = f"a shape that fits {_shown(tensor.shape)}, as {path} declares it"
            faults.append(Fault("--shape", name, ",".join(map(str, shape)) or "scalar", declared))
    if faults:
        raise Faults(faults)
    axes = _batch_axes(tensors)
    found = [_input(tensor, shapes.get(tensor.name), axes[tensor.name]) for tensor in tensors]
    return _with_ranges(_per_item(_agreed(found), batch_size))


def unknown_input(flag: str, name: str, names: Sequence[str]) -> Fault:
    return Fault(
        flag, "", name, "an input: " + ", ".join(names), nearest=nearest(name, list(names))
    )


def fixed_batch(tensors: Sequence[FileTensor]) -> int | None:
    """The batch size that a file is fixed to: the same first dimension above 1 in all its
    inputs.
    """
    firsts = {tensor.shape[0] for tensor in tensors if tensor.shape}
    (first,) = firsts if len(firsts) == 1 else (None,)
    return first if isinstance(first, int) and first > 1 else None


def other_guesses(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """The same inputs with other guesses, likely ones first."""
    if not any(each.guessed for each in inputs):
        return
    for value in LADDER:
        yield _with_ranges(
            [
                replace(
                    each,
                    shape=tuple(
                        value if at in each.guessed and not _channels(each.declared, at) else size
                        for at, size in enumerate(each.shape)
                    ),
                )
                for each in inputs
            ]
        )


def notes_on(inputs: Sequence[Input]) -> list[str]:
    """The assumptions, each with the flag that states it."""
    notes = []
    for each in inputs:
        if each.guessed:
            shape = ",".join(map(str, each.shape))
            notes.append(
                f"the file has dynamic dimensions in {each.name} {_shown(each.declared)}; guessed "
                f"{list(each.shape)}: --shape {each.name}={shape}"
            )
        if each.range is not None:
            low, high = each.range
            notes.append(
                f"{each.name} gets {low:g}, going by its name: --range {each.name}={low:g},{high:g}"
            )
    return notes


def _element(tensor: FileTensor) -> str:
    match = re.fullmatch(r"tensor\((\w+)\)", tensor.type)
    return match.group(1) if match else ""


def _is_dynamic(dimension: Dimension) -> bool:
    return not isinstance(dimension, int) or dimension < 1


def _fits(shape: Sequence[int], declared: Sequence[Dimension]) -> bool:
    return len(shape) == len(declared) and all(
        _is_dynamic(dimension) or dimension == size for size, dimension in zip(shape, declared)
    )


def _shown(declared: Sequence[Dimension]) -> str:
    return f"[{', '.join('?' if each in (None, '') else str(each) for each in declared)}]"


def _batch_axes(tensors: Sequence[FileTensor]) -> dict[str, int | None]:
    """Per input, the dimension that the batch size multiplies."""
    names = {
        tensor.shape[0] for tensor in tensors if tensor.shape and isinstance(tensor.shape[0], str)
    }
    dynamic = any(tensor.shape and _is_dynamic(tensor.shape[0]) for tensor in tensors)
    axes: dict[str, int | None] = {}
    for tensor in tensors:
        named = [
            at for at, each in enumerate(tensor.shape) if isinstance(each, str) and each in names
        ]
        unnamed = [
            at
            for at, each in enumerate(tensor.shape)
            if _is_dynamic(each) and not isinstance(each, str)
        ]
        if not tensor.shape:
            axes[tensor.name] = None
        elif _is_dynamic(tensor.shape[0]) or not dynamic:
            axes[tensor.name] = 0
        elif named:
            axes[tensor.name] = named[0]
        else:
            # [2, ?, 128]: layers come first, as in recurrent states
            axes[tensor.name] = 1 if unnamed[:1] == [1] and len(tensor.shape) == 3 else None
    return axes


def _input(tensor: FileTensor, stated: Sequence[int] | None, axis: int | None) -> Input:
    type_name = TYPES[_element(tensor)]
    if stated is not None:
        return Input(tensor.name, type_name, tensor.shape, tuple(stated), axis)
    shape, guessed = [], []
    for at, dimension in enumerate(tensor.shape):
        if isinstance(dimension, int) and dimension >= 1:
            shape.append(dimension)
        elif at == axis:
            shape.append(1)
        else:
            shape.append(_first_guess(type_name, tensor.shape, at))
            guessed.append(at)
    return Input(tensor.name, type_name, tensor.shape, tuple(shape), axis, tuple(guessed))


def _first_guess(type_name: str, declared: Sequence[Dimension], at: int) -> int:
    word = str(declared[at] or "").lower()
    if _channels(declared, at):
        return CHANNELS
    if re.search(r"height|width|image|size", word) or re.fullmatch(r"[hw]", word):
        return IMAGE
    if re.search(r"past|cache|prev", word):
        return 1
    floats = type_name.startswith("FLOAT") or type_name == "UINT8"
    if floats and len(declared) == 2:
        return SIGNAL
    if re.search(r"seq|len|token|time|frame|step", word):
        return SEQUENCE
    if len(declared) == 1 or type_name == "STRING":
        return 1
    return IMAGE if floats and len(declared) >= 4 else SEQUENCE


def _channels(declared: Sequence[Dimension], at: int) -> bool:
    """[N, C, H, W] with dynamic channels: images have three."""
    return len(declared) == 4 and at == 1 and all(map(_is_dynamic, declared[1:]))


def _agreed(inputs: list[Input]) -> list[Input]:
    """Dimensions of one name are equal: a declared size, or else the first guess, holds for all."""
    known: dict[str, int] = {}
    for stated in (True, False):
        for each in inputs:
            for at, dimension in enumerate(each.declared):
                if (
                    isinstance(dimension, str)
                    and dimension
                    and at != each.batch_axis
                    and (at not in each.guessed) == stated
                ):
                    known.setdefault(dimension, each.shape[at])
    return [
        replace(
            each,
            shape=tuple(
                known.get(name, size) if at in each.guessed and isinstance(name, str) else size
                for at, (name, size) in enumerate(zip(each.declared, each.shape))
            ),
        )
        for each in inputs
    ]


def _per_item(inputs: list[Input], batch_size: int | None) -> list[Input]:
    """Shapes at batch size 1 of a file that is fixed to a larger batch, if that is the run's."""
    batched = [each for each in inputs if each.batch_axis == 0]
    if not batch_size or batch_size == 1 or not batched:
        return inputs
    if any(_is_dynamic(each.declared[0]) or each.shape[0] % batch_size for each in batched):
        return inputs
    return [
        replace(each, shape=(each.shape[0] // batch_size, *each.shape[1:]))
        if each.batch_axis == 0
        else each
        for each in inputs
    ]


def _with_ranges(inputs: list[Input]) -> list[Input]:
    """Values that a name reveals: a sample rate, the length of another input's content."""
    longest = max(
        (max(each.shape[1:], default=1) for each in inputs if each.type.startswith("FLOAT")),
        default=1,
    )
    found = []
    for each in inputs:
        word = each.name.lower()
        small = len(each.shape) <= 1 and "INT" in each.type
        if small and re.fullmatch(r"sr|fs|sample_?rate|sampling_?rate|.*[_.]sr", word):
            each = replace(each, range=(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ + 1))
        elif small and re.search(r"len(gth)?s?$", word):
            each = replace(each, range=(longest, longest + 1))
        found.append(each)
    return found

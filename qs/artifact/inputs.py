"""What a model file says of its inputs, and what has to be assumed where it leaves a side open.

A side is a number, a name (two sides of one name are equal) or nothing. The batch is the open first
side of the inputs, wherever its name stands again; every other open side is guessed from what
inputs of that rank and type usually are.
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
# Tried one after the other, for all guessed sides but channels, where the first guess cannot be
# run.
LADDER = (256, 320, 640, 512, 576, 48, 32, 64, 128, 1024, 2048, 4096, 16_000, 16, 8, 1)
SAMPLE_RATE_HZ = 16_000

Side = int | str | None


@dataclass(frozen=True)
class Input:
    """One input at batch size 1.

    sides       as the file declares them           shape    every side a number
    batch_axis  the side that a batch multiplies; None: none, all items of a batch share it
    guessed     positions in `shape` that nothing states
    range       [low, high) of generated values where the default is wrong, from the name
    """

    name: str
    type: str
    sides: tuple[Side, ...]
    shape: tuple[int, ...]
    batch_axis: int | None = 0
    guessed: tuple[int, ...] = ()
    range: tuple[float, float] | None = None

    def said(self) -> str:
        return f"{self.name} {list(self.shape)} {self.type}"


def described(
    tensors: Sequence[FileTensor],
    shapes: Mapping[str, Sequence[int]],
    batch_size: int | None,
    path: str,
) -> list[Input]:
    """Every input with a shape at batch size 1. `shapes` are the user's own; `batch_size` is the
    only one asked for, if there is one.

    Raises Faults for tensors that cannot be fed and for shapes that do not fit the file.
    """
    faults = [
        Fault(
            path,
            tensor.name,
            tensor.type,
            "a tensor",
            hint="sequences, maps and optional inputs cannot be fed",
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
    """The batch size that a file is fixed to: the same first side above 1 in all its inputs."""
    firsts = {tensor.shape[0] for tensor in tensors if tensor.shape}
    (first,) = firsts if len(firsts) == 1 else (None,)
    return first if isinstance(first, int) and first > 1 else None


def other_guesses(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """The same inputs with other numbers for the guessed sides, likely ones first."""
    if not any(each.guessed for each in inputs):
        return
    for value in LADDER:
        yield _with_ranges(
            [
                replace(
                    each,
                    shape=tuple(
                        value if at in each.guessed and not _channels(each.sides, at) else side
                        for at, side in enumerate(each.shape)
                    ),
                )
                for each in inputs
            ]
        )


def notes_on(inputs: Sequence[Input]) -> list[str]:
    """What was assumed, with the flag that states it."""
    notes = []
    for each in inputs:
        if each.guessed:
            shape = ",".join(map(str, each.shape))
            notes.append(
                f"the file leaves sides of {each.name} {_shown(each.sides)} open; guessed "
                f"{list(each.shape)}: --shape {each.name}={shape}"
            )
        if each.range is not None:
            low, high = each.range
            notes.append(
                f"{each.name} is fed {low:g}, by its name: --range {each.name}={low:g},{high:g}"
            )
    return notes


def _element(tensor: FileTensor) -> str:
    match = re.fullmatch(r"tensor\((\w+)\)", tensor.type)
    return match.group(1) if match else ""


def _is_open(side: Side) -> bool:
    return not isinstance(side, int) or side < 1


def _fits(shape: Sequence[int], sides: Sequence[Side]) -> bool:
    return len(shape) == len(sides) and all(
        _is_open(side) or side == given for given, side in zip(shape, sides)
    )


def _shown(sides: Sequence[Side]) -> str:
    return "[" + ", ".join("?" if side is None or side == "" else str(side) for side in sides) + "]"


def _batch_axes(tensors: Sequence[FileTensor]) -> dict[str, int | None]:
    """Per input, the side that a batch multiplies."""
    names = {
        tensor.shape[0] for tensor in tensors if tensor.shape and isinstance(tensor.shape[0], str)
    }
    free = any(tensor.shape and _is_open(tensor.shape[0]) for tensor in tensors)
    axes: dict[str, int | None] = {}
    for tensor in tensors:
        named = [
            at for at, side in enumerate(tensor.shape) if isinstance(side, str) and side in names
        ]
        unnamed = [
            at
            for at, side in enumerate(tensor.shape)
            if _is_open(side) and not isinstance(side, str)
        ]
        if not tensor.shape:
            axes[tensor.name] = None
        elif _is_open(tensor.shape[0]) or not free:
            axes[tensor.name] = 0
        elif named:
            axes[tensor.name] = named[0]
        else:
            # [2, ?, 128]: layers first, as recurrent states have it
            axes[tensor.name] = 1 if unnamed[:1] == [1] and len(tensor.shape) == 3 else None
    return axes


def _input(tensor: FileTensor, stated: Sequence[int] | None, axis: int | None) -> Input:
    type_name = TYPES[_element(tensor)]
    if stated is not None:
        return Input(tensor.name, type_name, tensor.shape, tuple(stated), axis)
    shape, guessed = [], []
    for at, side in enumerate(tensor.shape):
        if not _is_open(side):
            shape.append(int(side))  # type: ignore[arg-type]
        elif at == axis:
            shape.append(1)
        else:
            shape.append(_first_guess(type_name, tensor.shape, at))
            guessed.append(at)
    return Input(tensor.name, type_name, tensor.shape, tuple(shape), axis, tuple(guessed))


def _first_guess(type_name: str, sides: Sequence[Side], at: int) -> int:
    word = str(sides[at] or "").lower()
    if _channels(sides, at):
        return CHANNELS
    if re.search(r"height|width|image|size", word) or re.fullmatch(r"[hw]", word):
        return IMAGE
    if re.search(r"past|cache|prev", word):
        return 1
    floats = type_name.startswith("FLOAT") or type_name == "UINT8"
    if floats and len(sides) == 2:
        return SIGNAL
    if re.search(r"seq|len|token|time|frame|step", word):
        return SEQUENCE
    if len(sides) == 1 or type_name == "STRING":
        return 1
    return IMAGE if floats and len(sides) >= 4 else SEQUENCE


def _channels(sides: Sequence[Side], at: int) -> bool:
    """[N, C, H, W] where the channels are open: images have three."""
    return len(sides) == 4 and at == 1 and all(map(_is_open, sides[1:]))


def _agreed(inputs: list[Input]) -> list[Input]:
    """Sides of one name are equal: what one input states, or the first guess, holds for all."""
    known: dict[str, int] = {}
    for stated in (True, False):
        for each in inputs:
            for at, side in enumerate(each.sides):
                if (
                    isinstance(side, str)
                    and side
                    and at != each.batch_axis
                    and (at not in each.guessed) == stated
                ):
                    known.setdefault(side, each.shape[at])
    return [
        replace(
            each,
            shape=tuple(
                known.get(side, length) if at in each.guessed and isinstance(side, str) else length
                for at, (side, length) in enumerate(zip(each.sides, each.shape))
            ),
        )
        for each in inputs
    ]


def _per_item(inputs: list[Input], batch_size: int | None) -> list[Input]:
    """Shapes at batch size 1 of a file that is fixed to a larger batch, where that is the one asked
    for.
    """
    batched = [each for each in inputs if each.batch_axis == 0]
    if not batch_size or batch_size == 1 or not batched:
        return inputs
    if any(_is_open(each.sides[0]) or each.shape[0] % batch_size for each in batched):
        return inputs
    return [
        replace(each, shape=(each.shape[0] // batch_size, *each.shape[1:]))
        if each.batch_axis == 0
        else each
        for each in inputs
    ]


def _with_ranges(inputs: list[Input]) -> list[Input]:
    """Numbers that a name gives away: a sample rate, the length of what another input holds."""
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

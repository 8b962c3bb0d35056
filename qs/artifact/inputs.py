"""What a model file declares about its inputs: names, types, and shapes at batch size 1.

A dimension is a number, an expression of names (dimensions of one name are equal), or unknown.
Which of them is the batch is qs.artifact.batch's part, and what is put into the open ones
qs.artifact.guesses'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qs.artifact.batch import Batch, batch_of
from qs.artifact.dimensions import Expression, expression
from qs.artifact.sides import Asked, Tensor, is_batch_name, open_dimension, shown
from qs.base.errors import MISSING, Fault, Faults
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
    """[low, high) of generated values, if the default is known to be wrong."""
    range_from: str = ""
    """How that is known."""

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.type}"


@dataclass(frozen=True)
class Facts:
    """What a file's graph says beyond the shapes that it declares."""

    sizes: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """(input, position) -> the size that the weights have there: the channels of a Conv."""
    tables: Mapping[str, int] = field(default_factory=dict)
    """Input -> the rows of the table that its values are looked up in."""
    unranked: frozenset[str] = frozenset()
    """Inputs of which not even the number of dimensions is declared."""


@dataclass(frozen=True)
class Reading:
    """A file's inputs, before anything is guessed."""

    tensors: tuple[FileTensor, ...]
    dimensions: Mapping[str, tuple[int | Expression | None, ...]]
    batch: Batch
    facts: Facts
    # The user's own shapes, of a whole call.
    stated: Mapping[str, Sequence[int]]
    # Input -> its sizes at batch size 1, None where nobody states one.
    sizes: Mapping[str, tuple[int | None, ...]]
    # What a name stands for, where that is known.
    known: Mapping[str, int]

    def open_names(self) -> list[tuple[str, FileTensor, int]]:
        """(name, an input that has it, its position there) of all that has to be guessed, each
        once, in the file's order. A nameless dimension gets a name of its own.
        """
        found: dict[str, tuple[str, FileTensor, int]] = {}
        for tensor in self.tensors:
            for at, dimension in enumerate(self.dimensions[tensor.name]):
                if self.sizes[tensor.name][at] is not None or isinstance(dimension, int):
                    continue
                for name in self._names(tensor.name, at):
                    found.setdefault(name, (name, tensor, at))
        return list(found.values())

    def _names(self, name: str, at: int) -> list[str]:
        """The names that keep a dimension from being known."""
        dimension = self.dimensions[name][at]
        if isinstance(dimension, Expression):
            names = [each for each in dimension.names if each not in self.known]
            return names if names or dimension.value(self.known) is not None else [dimension.text]
        return [] if self.batch.axis(name) == at else [nameless(name, at)]

    def inputs(self, guesses: Mapping[str, int]) -> list[Input]:
        """Every input, with what is guessed for the names of `open_names`."""
        values = {**guesses, **self.known}
        found = []
        for tensor in self.tensors:
            shape, guessed = [], []
            for at, dimension in enumerate(self.dimensions[tensor.name]):
                size = self.sizes[tensor.name][at]
                if size is None and isinstance(dimension, int):
                    size = dimension
                if size is None:
                    if self._names(tensor.name, at):
                        guessed.append(at)
                    size = self._computed(tensor.name, at, values)
                shape.append(size)
            found.append(
                Input(
                    tensor.name,
                    TYPES[element(tensor)],
                    tensor.shape,
                    tuple(shape),
                    self.batch.axis(tensor.name),
                    tuple(guessed),
                )
            )
        return found

    def made_true(self, guesses: Mapping[str, int]) -> dict[str, int]:
        """The guesses, with one of each sum that has a stated size changed so that it comes out:
        the last, but rather not what was before.
        """
        found = dict(guesses)
        for name, each in self.dimensions.items():
            for dimension, size in zip(each, self.sizes[name]):
                if not isinstance(dimension, Expression) or size is None:
                    continue
                open_ones = [one for one in dimension.names if one in guesses]
                for one in sorted(open_ones, key=lambda one: "past" not in one.lower())[-1:]:
                    others = {key: value for key, value in found.items() if key != one}
                    solved = dimension.solved(size, {**others, **self.known})
                    found |= dict([solved] if solved else [])
        return found

    def _computed(self, name: str, at: int, values: Mapping[str, int]) -> int:
        dimension = self.dimensions[name][at]
        if isinstance(dimension, Expression):
            found = dimension.value(values)
            return values.get(dimension.text, 1) if found is None else found
        return 1 if self.batch.axis(name) == at else values.get(nameless(name, at), 1)


def read(
    tensors: Sequence[FileTensor],
    shapes: Mapping[str, Sequence[int]],
    path: str,
    *,
    asked: Asked = (),
    batch_sizes: Sequence[int] = (),
    facts: Facts = Facts(),
) -> Reading:
    """What is known of every input.

    shapes        the user's own, of a whole call
    asked         what --batch_axis was given
    batch_sizes   the sizes that the user asks for

    Raises Faults for unsupported inputs, for inputs without a shape, and for shapes, batch sizes
    and --batch_axis that do not fit the file or each other.
    """
    _check(tensors, shapes, path, facts)
    dimensions = {
        tensor.name: _dimensions(tensor, shapes.get(tensor.name), facts) for tensor in tensors
    }
    dimensions = with_totals(dimensions)
    named = [Tensor(name, each) for name, each in dimensions.items()]
    batch = batch_of(named, shapes, asked, batch_sizes)
    return _reading(tensors, dimensions, batch, facts, shapes, {})


def with_items(reading: Reading, items: Mapping[str, Sequence[int]]) -> Reading:
    """Knowing the shapes of the user's own items too, at batch size 1, where none is stated."""
    return _reading(
        reading.tensors, reading.dimensions, reading.batch, reading.facts, reading.stated, items
    )


def _reading(
    tensors: Sequence[FileTensor],
    dimensions: Mapping[str, tuple[int | Expression | None, ...]],
    batch: Batch,
    facts: Facts,
    stated: Mapping[str, Sequence[int]],
    items: Mapping[str, Sequence[int]],
) -> Reading:
    sizes = {
        name: _sizes(name, each, stated.get(name), items.get(name), batch, facts)
        for name, each in dimensions.items()
    }
    known = _known(dimensions, sizes, batch)
    return Reading(tuple(tensors), dimensions, batch, facts, stated, sizes, known)


def _sizes(
    name: str,
    dimensions: Sequence[int | Expression | None],
    stated: Sequence[int] | None,
    of_items: Sequence[int] | None,
    batch: Batch,
    facts: Facts,
) -> tuple[int | None, ...]:
    """An input's sizes at batch size 1, as far as the user, the file or its weights state them."""
    axis, items = batch.axis(name), batch.only or 1
    found: list[int | None] = []
    for at, dimension in enumerate(dimensions):
        if at == axis and isinstance(dimension, int):
            found.append(max(dimension // items, 1))
        elif at == axis:
            found.append(stated[at] // items if stated else None)
        elif stated or of_items:
            found.append((stated or of_items or ())[at])
        elif isinstance(dimension, int):
            found.append(dimension)
        else:
            found.append(facts.sizes.get((name, at)))
    return tuple(found)


def unknown_input(flag: str, name: str, names: Sequence[str]) -> Fault:
    return Fault(
        flag, "", name, "an input: " + ", ".join(names), nearest=nearest(name, list(names))
    )


def nameless(name: str, at: int) -> str:
    """What an open dimension without a name is called."""
    return f"dimension {at} of {name}"


def element(tensor: FileTensor) -> str:
    match = re.fullmatch(r"tensor\((\w+)\)", tensor.type)
    return match.group(1) if match else ""


def _check(
    tensors: Sequence[FileTensor], shapes: Mapping[str, Sequence[int]], path: str, facts: Facts
) -> None:
    hint = "sequences, maps, optional inputs and the types of 8 and 16 bits that numpy lacks are "
    faults = [
        Fault(
            path,
            tensor.name,
            tensor.type,
            "a tensor of " + ", ".join(TYPES),
            hint=f"{hint}unsupported",
        )
        for tensor in tensors
        if element(tensor) not in TYPES
    ]
    by_name = {tensor.name: tensor for tensor in tensors}
    for name, shape in shapes.items():
        if name not in by_name:
            faults.append(unknown_input("--shape", name, list(by_name)))
        elif name not in facts.unranked and not _fits(shape, by_name[name].shape):
            allowed = f"a shape that fits {shown(by_name[name].shape)}, as {path} declares it"
            typed = ",".join(map(str, shape)) or "scalar"
            faults.append(Fault(f"--shape {name}", "", typed, allowed))
    for name in sorted(facts.unranked - set(shapes)):
        allowed = f"how large it is in each dimension: --shape {name}=1,128, --shape {name}=scalar"
        hint = "the file does not even say how many dimensions it has"
        faults.append(Fault(path, f"the shape of {name}", MISSING, allowed, hint=hint))
    if faults:
        raise Faults(faults)


def _fits(shape: Sequence[int], declared: Sequence[Dimension]) -> bool:
    return len(shape) == len(declared) and all(
        not isinstance(each, int) or each < 0 or each == size for size, each in zip(shape, declared)
    )


def _dimensions(
    tensor: FileTensor, stated: Sequence[int] | None, facts: Facts
) -> tuple[int | Expression | None, ...]:
    if tensor.name in facts.unranked and stated is not None:
        return stated_dimensions(stated)
    return tuple(open_dimension(each) for each in tensor.shape)


def stated_dimensions(stated: Sequence[int]) -> tuple[int | None, ...]:
    """Of an input that only the user describes: a first dimension of 1 is open for a batch."""
    return (None if stated[0] == 1 else stated[0], *stated[1:]) if stated else ()


def with_totals(
    dimensions: Mapping[str, tuple[int | Expression | None, ...]],
) -> dict[str, tuple[int | Expression | None, ...]]:
    """A `total_sequence_length` is what was before and what is new, if both have names."""
    every = [one for each in dimensions.values() for one in each if isinstance(one, Expression)]
    names = dict.fromkeys(name for one in every for name in one.names)
    before = [name for name in names if re.search(r"past|cache", name, re.IGNORECASE)]
    pattern = r"total|past|cache|max|encoder|enc_|batch|head|hidden"
    new = [
        name
        for name in names
        if re.search(r"seq|len|token", name, re.IGNORECASE)
        and not re.search(pattern, name, re.IGNORECASE)
    ]
    if not before or not new:
        return dict(dimensions)
    total = expression(f"{before[0]} + {new[0]}")
    return {
        name: tuple(
            replace(total, text=one.text)
            if isinstance(one, Expression) and one.plain and "total" in one.text.lower()
            else one
            for one in each
        )
        for name, each in dimensions.items()
    }


def _known(
    dimensions: Mapping[str, tuple[int | Expression | None, ...]],
    sizes: Mapping[str, tuple[int | None, ...]],
    batch: Batch,
) -> dict[str, int]:
    """What names stand for: 1 for the batch, a stated size, or what makes a sum come out."""
    known: dict[str, int] = {}
    for side in batch.sides:
        dimension = dimensions[side.input][side.axis]
        if isinstance(dimension, Expression):
            named = [name for name in dimension.names if is_batch_name(name)]
            known |= dict.fromkeys(named or dimension.names, 1)
    stated = [
        (dimension, size)
        for name, each in dimensions.items()
        for at, (dimension, size) in enumerate(zip(each, sizes[name]))
        if isinstance(dimension, Expression) and size is not None and at != batch.axis(name)
    ]
    for _ in range(2):  # names that stand alone, then those in sums of them
        for dimension, size in stated:
            if dimension.plain:
                known.setdefault(dimension.text, size)
            elif solved := dimension.solved(size, known):
                known.setdefault(*solved)
    return known

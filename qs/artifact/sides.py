"""Which dimension of each input a batch multiplies, and how that is known.

A fixed dimension is never taken for the batch: nothing in a file tells a batch of 3 from the three
channels of one picture. An open dimension is, if its name says so, or if it is the first and its
name says nothing else. The user's --batch_axis comes before both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qs.artifact.dimensions import Expression, expression
from qs.base.errors import Fault, Faults
from qs.base.names import nearest

FLAG = "--batch_axis"
STATED, ASKED, NAMED, ASSUMED = "stated", "batch_sizes", "named", "assumed"
COMPILED, SERVED, NONE = "compiled", "served", "none"

# What --batch_axis was given: (input or "" for all, position, a dimension's name, or None for none)
Asked = Sequence[tuple[str, "int | str | None"]]

_OTHER = re.compile(
    r"frame|sample|time|step|seq|len|token|point|height|width|channel|phon|char|word|node|edge|"
    r"pixel|audio|wave|signal|dur|box|roi|past|num_|^[tlhwcs]$"
)
# What exporters and ONNX Runtime call a dimension that has no name.
_NAMELESS = re.compile(r"\?|unk__\d+|DynamicDimension\.\d+|.*dynamic_axes?_\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Tensor:
    """An input as far as its dimensions go; a nameless open dimension is None."""

    name: str
    dimensions: tuple[int | Expression | None, ...]

    def is_open(self, at: int) -> bool:
        return not isinstance(self.dimensions[at], int)

    def __str__(self) -> str:
        return f"{self.name} {shown(self.dimensions)}"


@dataclass(frozen=True)
class Side:
    """The dimension of one input that the batch size multiplies."""

    input: str
    axis: int
    called: str  # its name or size in the file
    origin: str

    @property
    def named(self) -> bool:
        """Whether the file has a name for it that says something."""
        return not (self.called == "?" or self.called.isdigit() or _NAMELESS.fullmatch(self.called))

    @property
    def flag(self) -> str:
        """The option that states it."""
        return f"{FLAG} {self.input}={self.axis}"

    def __str__(self) -> str:
        called = "" if self.called == "?" else f" ({self.called})"
        return f"dimension {self.axis}{called} of {self.input}"


def open_dimension(declared: object) -> int | Expression | None:
    """A dimension as a file declares it: its size, its expression, or None for a nameless one."""
    if isinstance(declared, int):
        return declared if declared >= 0 else None
    text = str(declared or "").strip()
    return expression(text) if text and text != "?" else None


def is_batch_name(name: str) -> bool:
    return _clear(name) > 0


def shown(dimensions: Iterable[Any]) -> str:
    """[N, 3, ?]"""
    words = (each.text if isinstance(each, Expression) else each for each in dimensions)
    return f"[{', '.join('?' if each in (None, '') else str(each) for each in words)}]"


def _clear(name: str) -> int:
    """How clearly a name says that it is a batch: 3 (batch), 2 (B), 1 (N, which counts other things
    too), or not at all.
    """
    word = name.lower()
    return 3 if "batch" in word else 2 if word in ("b", "bs") else int(word == "n")


def _rank(dimension: Any) -> int:
    names = dimension.names if isinstance(dimension, Expression) else ()
    return max(map(_clear, names), default=0)


def nameless(dimension: Any) -> bool:
    """Whether a dimension is open, and its name, if it has any, says nothing."""
    if isinstance(dimension, Expression):
        return bool(_NAMELESS.fullmatch(dimension.text))
    return dimension is None


def _otherwise(dimension: Any) -> bool:
    """Whether a name says that the dimension is something else than a batch."""
    return (
        isinstance(dimension, Expression)
        and not nameless(dimension)
        and bool(_OTHER.search(dimension.text.lower()))
    )


def _side(tensor: Tensor, axis: int, origin: str) -> Side:
    return Side(tensor.name, axis, shown(tensor.dimensions[axis : axis + 1])[1:-1], origin)


def automatic(tensors: Sequence[Tensor]) -> list[Side]:
    best = max((_rank(each) for tensor in tensors for each in tensor.dimensions), default=0)
    least = 3 if best == 3 else 1  # beside a batch that is called so, N is something else
    sides = []
    for tensor in tensors:
        ranks = [_rank(each) for each in tensor.dimensions]
        if max(ranks) >= least:
            sides.append(_side(tensor, ranks.index(max(ranks)), NAMED))
        elif tensor.is_open(0) and (
            nameless(tensor.dimensions[0]) or not (best or _otherwise(tensor.dimensions[0]))
        ):
            sides.append(_side(tensor, 0, ASSUMED))
    return sides + _same_dimensions(tensors, sides)


def _same_dimensions(tensors: Sequence[Tensor], sides: Sequence[Side]) -> list[Side]:
    """In the inputs left over, dimensions of the same names; of [2, ?, 128] the middle one, since
    layers come first in recurrent states.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    taken = {side.input for side in sides}
    names = {_text(by_name[side.input].dimensions[side.axis]) for side in sides} - {None}
    found = []
    for tensor in tensors:
        if tensor.name in taken or not sides:
            continue
        texts = [_text(each) for each in tensor.dimensions]
        same = [at for at, text in enumerate(texts) if text in names]
        unnamed = [at for at, each in enumerate(tensor.dimensions) if nameless(each)]
        if same:
            found.append(_side(tensor, same[0], sides[0].origin))
        elif unnamed[:1] == [1] and len(texts) == 3:
            found.append(_side(tensor, 1, ASSUMED))
    return found


def _text(dimension: Any) -> str | None:
    named = isinstance(dimension, Expression) and not nameless(dimension)
    return dimension.text if named else None


def fixed_sides(tensors: Sequence[Tensor], batch_sizes: Sequence[int]) -> list[Side]:
    """Where no dimension is open for a batch: the first of all inputs, if it is 1, or a size that
    the user asks for.
    """
    firsts = {tensor.dimensions[0] for tensor in tensors if not tensor.is_open(0)}
    if len(firsts) != 1 or any(tensor.is_open(0) for tensor in tensors):
        return []
    (first,) = firsts
    if first == 1:
        return [_side(tensor, 0, NONE) for tensor in tensors]
    return [_side(tensor, 0, ASKED) for tensor in tensors] if first in batch_sizes else []


def stated_sides(tensors: Sequence[Tensor], asked: Asked) -> list[Side]:
    by_name = {tensor.name: tensor for tensor in tensors}
    faults: list[Fault] = []
    sides: list[Side] = []
    silent: set[str] = set()  # inputs that are said to have no batch
    for name, where in asked:
        if name and name not in by_name:
            known = list(by_name)
            allowed = "an input with dimensions: " + ", ".join(known)
            faults.append(Fault(FLAG, "", name, allowed, nearest=nearest(name, known)))
        elif name in silent | {side.input for side in sides}:
            faults.append(Fault(FLAG, "", f"{name}={where}", f"{name} once"))
        elif where is None:
            silent |= {name} if name else set(by_name)
        elif isinstance(where, str):
            sides += _called(tensors, where, faults)
        else:
            chosen = [by_name[name]] if name else tensors
            for tensor in chosen:
                size = len(tensor.dimensions)
                if -size <= where < size:
                    sides.append(_side(tensor, where % size, STATED))
                elif name:
                    allowed = f"0 to {size - 1}, for {tensor}"
                    faults.append(Fault(FLAG, "", f"{name}={where}", allowed))
            if not name and not sides:
                faults.append(Fault(FLAG, "", where, "a position that an input has"))
    if faults:
        raise Faults(faults)
    if all(name for name, _ in asked):  # the inputs that it does not name are read as ever
        heard = [each for each in tensors if each.name not in silent]
        sides += _same_dimensions(heard, sides)
        taken = {side.input for side in sides}
        sides += automatic([each for each in heard if each.name not in taken])
    return sides


def _called(tensors: Sequence[Tensor], name: str, faults: list[Fault]) -> list[Side]:
    """Every input's dimension of that name."""
    found: list[Side] = []
    known: dict[str, None] = {}
    for tensor in tensors:
        for at, each in enumerate(tensor.dimensions):
            if isinstance(each, Expression):
                known |= dict.fromkeys((each.text, *each.names))
                if name in (each.text, *each.names):
                    found.append(_side(tensor, at, STATED))
                    break
    if not found:
        names = f"the name of a dimension ({', '.join(known)}), " if known else ""
        allowed = f"{names}input=position, such as {tensors[0].name}=0, a position, or none"
        faults.append(Fault(FLAG, "", name, allowed, nearest=nearest(name, list(known))))
    return found

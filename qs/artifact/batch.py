"""How a call becomes a batch: the dimensions that hold it, in words, and the batch sizes that they,
the stated shapes and the sizes asked for allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qs.artifact.dimensions import Expression
from qs.artifact.sides import (
    ASKED,
    ASSUMED,
    COMPILED,
    FLAG,
    NAMED,
    NONE,
    SERVED,
    STATED,
    Asked,
    Side,
    Tensor,
    automatic,
    fixed_sides,
    shown,
    stated_sides,
)
from qs.base.errors import Fault, Faults, UserError
from qs.base.words import counted
from qs.tensors.generated import InputSpec


@dataclass(frozen=True)
class Batch:
    """How a call becomes a batch."""

    sides: tuple[Side, ...] = ()
    origin: str = NONE
    # The only batch size that can be run; None: any.
    only: int | None = None
    why: str = ""  # the reason why no other can
    # The largest that can be run, as a server says; None: any.
    most: int | None = None

    def axis(self, name: str) -> int | None:
        return next((side.axis for side in self.sides if side.input == name), None)

    def to_dict(self) -> dict[str, Any]:
        """The report's section."""
        return {
            "origin": self.origin,
            "sides": [vars(side) for side in self.sides],
            "only": self.only,
            "why": self.why,
            "most": self.most,
            "words": self.words(),
        }

    def words(self) -> str:
        """In a line."""
        if self.origin == NONE:
            return f"none: {self.why}"
        by_origin: dict[str, list[Side]] = {}
        for side in self.sides:
            by_origin.setdefault(side.origin, []).append(side)
        said = [f"{_together(sides)}, {_HOW[origin]}" for origin, sides in by_origin.items()]
        most = f" (at most {self.most})" if self.most and not self.only else ""
        return "; ".join(said) + most + (f"; only {self.only}: {self.why}" if self.only else "")

    def doubt(self) -> str | None:
        """What a reader has to know of a guess; None if there is none, or it is of no weight."""
        if self.origin == NONE:
            return self.why if f"{FLAG} 0" in self.why else None
        if self.origin == ASKED:
            return f"{self.words()}; if a call holds one item: {FLAG} none"
        odd = [each for each in self.sides if each.origin == ASSUMED and each.named]
        return f"the batch is assumed to be {_together(odd)}: {odd[0].flag}" if odd else None


def _together(sides: Sequence[Side]) -> str:
    """dimension 0 (N) of image and 2 more inputs"""
    groups: dict[tuple[int, str], list[Side]] = {}
    for side in sides:
        groups.setdefault((side.axis, side.called), []).append(side)
    said = []
    for same in groups.values():
        more = f" and {counted(len(same) - 1, 'more input')}" if len(same) > 1 else ""
        said.append(f"{same[0]}{more}")
    return ", ".join(said)


_HOW = {
    COMPILED: "as it was compiled",
    SERVED: "as the server's max_batch_size says",
    STATED: f"as {FLAG} says",
    ASKED: "fixed in the file, as --batch_sizes says",
    NAMED: "going by its name",
    ASSUMED: f"assumed, since it is open ({FLAG} states it)",
}


def refusal(section: Mapping[str, Any] | None, batch_size: int) -> str | None:
    """Why a call cannot hold that many items; None if nothing is known against it. `section` is
    what `Batch.to_dict` gave.
    """
    only, most = ((section or {}).get(key) for key in ("only", "most"))
    if section is not None and only is not None and only != batch_size:
        return f"batch size {batch_size} cannot be run: {section['why']}"
    if most is not None and batch_size > most:
        return f"batch size {batch_size} cannot be run: {_most(most)}"
    return None


def batch_of(
    tensors: Sequence[Tensor],
    stated: Mapping[str, Sequence[int]],
    asked: Asked = (),
    batch_sizes: Sequence[int] = (),
) -> Batch:
    """The batch of a file's inputs.

    stated        the user's own shapes of a whole call. One with a batch of 1 is multiplied by the
                  batch size; one with a larger batch states the only batch size of the run.
    asked         what --batch_axis was given
    batch_sizes   the sizes that the user asks for

    Raises Faults for a --batch_axis that names nothing, and for shapes and sizes that contradict
    each other.
    """
    ranked = [each for each in tensors if each.dimensions]
    sides = stated_sides(ranked, asked) if asked else automatic(ranked)
    if not asked and not sides:
        sides = fixed_sides(ranked, batch_sizes)
    found = _Sizes(tensors, sides, stated)
    found.check(batch_sizes)
    batch = found.batch(ranked)
    if asked and batch.origin == NONE:
        return Batch((), NONE, 1, f"a call holds one item, as {FLAG} says")
    return batch


def compiled_batch(specs: Iterable[InputSpec]) -> Batch:
    """Of a compile result, whose model info says it."""
    ranked = [each for each in specs if each.shape]
    sides = tuple(
        Side(each.name, each.batch_axis, "?", COMPILED)
        for each in ranked
        if each.batch_axis is not None
    )
    if sides:
        return Batch(sides, COMPILED)
    return Batch((), NONE, 1, "it was compiled for one item a call")


def served_batch(batch: Batch, max_batch_size: int, called: str) -> Batch:
    """Of a model whose server bounds the dimensions that are `called` so; 0: it bounds none."""
    if not max_batch_size:
        return batch
    sides = tuple(
        replace(side, origin=SERVED) if side.called == called and side.origin == NAMED else side
        for side in batch.sides
    )
    origin = SERVED if batch.origin == NAMED else batch.origin
    return replace(batch, sides=sides, origin=origin, most=max_batch_size)


def _most(most: int) -> str:
    return f"the server's max_batch_size is {most}"


class _Sizes:
    """The batch sizes that sides, fixed dimensions and stated shapes allow."""

    def __init__(
        self, tensors: Sequence[Tensor], sides: Sequence[Side], stated: Mapping[str, Sequence[int]]
    ):
        self.sides, self.stated = list(sides), stated
        self.by_name = {tensor.name: tensor for tensor in tensors}
        # Side -> how many items it holds, where that is said.
        self.said: dict[Side, int] = {}
        for side in self.sides:
            dimension = self.by_name[side.input].dimensions[side.axis]
            if isinstance(dimension, int):
                self.said[side] = dimension
            elif side.input in stated:
                self.said[side] = self._items(side, dimension)
        self.only = next((items for items in self.said.values() if items > 1), None)

    def _items(self, side: Side, dimension: Expression | None) -> int:
        size = self.stated[side.input][side.axis]
        one = dimension.value(dict.fromkeys(dimension.names, 1)) if dimension else 1
        factor = one or 1
        if size < 1 or size % factor:
            allowed = f"a multiple of {factor}, at least that, in {side}"
            raise Faults([Fault(f"--shape {side.input}", "", self._typed(side.input), allowed)])
        return size // factor

    def _typed(self, name: str) -> str:
        return ",".join(map(str, self.stated[name])) or "scalar"

    def check(self, batch_sizes: Sequence[int]) -> None:
        """Raises Faults for what contradicts itself."""
        if self.only is None:
            return
        one = next(side for side, items in self.said.items() if items == self.only)
        for side, items in self.said.items():
            if items != self.only:
                raise Faults([self._unlike(one, side, items)])
        if one.input not in self.stated or not self.by_name[one.input].is_open(one.axis):
            return
        agreed = tuple(batch_sizes) == (self.only,)
        if one.origin == ASSUMED and len(self.stated[one.input]) < 3 and not agreed:
            allowed = (
                f"1 in {one}, or {FLAG} {one.input}={one.axis} if it is the batch, or "
                f"{FLAG} {one.input}=none if a call holds one item"
            )
            raise Faults([Fault(f"--shape {one.input}", "", self._typed(one.input), allowed)])
        if batch_sizes and not agreed:
            at_1 = list(self.stated[one.input])
            at_1[one.axis] //= self.only
            hint = (
                f"{one} is the batch; --shape {one.input}={','.join(map(str, at_1))} leaves it to "
                "--batch_sizes"
            )
            typed = f"--shape {one.input}={self._typed(one.input)}"
            allowed = f"{self.only} alone, the batch size that {typed} states"
            given = ",".join(map(str, batch_sizes))
            raise Faults([Fault("--batch_sizes", "", given, allowed, hint=hint)])

    def _unlike(self, one: Side, other: Side, items: int) -> Fault:
        hint = f"{one} holds {self.only}, {other} {items}"
        if other.input in self.stated:
            allowed = f"the same batch as {one.input}, or {FLAG} {other.input}=none"
            typed = self._typed(other.input)
            return Fault(f"--shape {other.input}", "", typed, allowed, hint=hint)
        allowed = "dimensions that hold as many items as each other"
        return Fault(FLAG, "", f"{other.input}={other.axis}", allowed, hint=hint)

    def batch(self, ranked: Sequence[Tensor]) -> Batch:
        """What can be run."""
        batched = [side for side in self.sides if side.origin != NONE]
        if not batched:
            return Batch(tuple(self.sides), NONE, 1, _no_batch(ranked))
        origin = batched[0].origin
        # An open dimension is as large as is asked for, a fixed one is not.
        fixed = [side for side in self.sides if not self.by_name[side.input].is_open(side.axis)]
        if fixed:
            why = f"{fixed[0]} is fixed to {self.said[fixed[0]]}"
            return Batch(tuple(self.sides), origin, self.said[fixed[0]], why)
        if self.only:
            side = next(side for side, items in self.said.items() if items == self.only)
            why = f"--shape {side.input}={self._typed(side.input)} states a batch of {self.only}"
            return Batch(tuple(self.sides), origin, self.only, why)
        return Batch(tuple(self.sides), origin)


def _no_batch(tensors: Sequence[Tensor]) -> str:
    """Why a call is one item, and what states otherwise."""
    if not tensors:
        return "no input has a dimension: a call is one item"
    named = ", ".join(map(str, tensors[:3]))
    more = f" and {counted(len(tensors) - 3, 'more input')}" if len(tensors) > 3 else ""
    said = f"no dimension of {named}{more} is open for a batch, so a call holds one item"
    firsts = {shown(tensor.dimensions[:1]) for tensor in tensors}
    if len(firsts) > 1 or firsts == {"[1]"}:
        return said
    return f"{said} (if dimension 0 is the batch: {FLAG} 0)"


def no_other_size(batch: Batch, batch_sizes: Sequence[int]) -> None:
    """UserError if none of the sizes asked for can be run."""
    if batch.only is not None and batch_sizes and batch.only not in batch_sizes:
        sizes = ", ".join(map(str, batch_sizes))
        raise UserError(f"--batch_sizes {sizes} cannot be run, only {batch.only}: {batch.why}")
    if batch.most is not None and batch_sizes and min(batch_sizes) > batch.most:
        sizes = ", ".join(map(str, batch_sizes))
        raise UserError(f"--batch_sizes {sizes} cannot be run: {_most(batch.most)}")

"""Outputs: named as the model info names them, and as many items in each as were in the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "outputs", "outputs have the model's names, and a row for every item of the batch"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True


def judge(
    seen: Sequence[dict[str, Any]],
    names: Sequence[str],
    reference: Mapping[str, Sequence[int]] | None,
) -> Outcome:
    """`seen`: what was observed at each batch size. `reference`: output -> its shape for one item,
    where the reference could be run.
    """
    given = list(seen[0]["shapes"])
    missing = [name for name in names if name not in given]
    problems = []
    if missing:
        problems.append(
            Problem(
                f"no output {', '.join(missing)}; there are {', '.join(given) or 'none'}",
                f"let predict return a dict with the keys {', '.join(names)}",
            )
        )
    for name in given:
        one = reference.get(name) if reference else None
        wrong = _wrong_shape(name, seen, one)
        if wrong:
            fix = (
                f"return {_shape(one)} for each item, stacked along the first dimension"
                if one
                else ""
            )
            problems.append(
                Problem(
                    wrong,
                    fix or "let the first dimension grow with the batch, and the others not at all",
                )
            )
    shown = ", ".join(f"{name} {shape}" for name, shape in seen[-1]["shapes"].items())
    return judged(problems, f"at batch size {seen[-1]['batch_size']}: {shown}")


def _wrong_shape(
    name: str, seen: Sequence[dict[str, Any]], one: Sequence[int] | None
) -> str | None:
    """Sides of 1 do not count: vendors add and drop them."""
    first = None
    for about in seen:
        size, shape = about["batch_size"], about["shapes"].get(name)
        if shape is None:
            return f"output {name} is missing at batch size {size}"
        if one is not None:
            wanted = [one[0] * size, *one[1:]] if one else []
            if _bare(shape) != _bare(wanted):
                return f"output {name} is {shape} at batch size {size}, not {wanted}"
            continue
        if not shape or shape[0] % size:
            return f"output {name} is {shape} at batch size {size}: its first dimension is no multiple of {size}"
        item = [shape[0] // size, *shape[1:]]
        first = first or (size, item)
        if item != first[1]:
            return f"output {name} has {_shape(first[1])} an item at batch size {first[0]}, {_shape(item)} at {size}"
    return None


def _bare(shape: Sequence[int]) -> list[int]:
    return [side for side in shape if side != 1]


def _shape(shape: Sequence[int] | None) -> str:
    return str(list(shape or []))


async def check(bench: Bench) -> Outcome:
    seen = list((await bench.predicted()).values())
    reference = await bench.reference()
    return judge(seen, bench.output_names, None if reference.path is None else reference.shapes)

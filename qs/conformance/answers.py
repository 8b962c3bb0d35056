"""Batch independence: what an item is answered depends neither on its neighbours in the batch nor
on its place in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qs.conformance.outcome import Outcome, Problem, judged, skipped
from qs.tensors.closeness import difference, in_words, too_far, worse

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "independence", "an item's answer does not depend on the rest of its batch"
NEEDS: tuple[str, ...] = ("determinism", "outputs")
HOST = True


def observe(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """How far the first item's answer moves among other neighbours, and all of them with their
    order reversed.
    """
    opened = service.opened(batch_size)
    size = opened.batch_size
    if size < 2:
        return {"batch_size": size}
    one, other = opened.samples[0], opened.samples[-1]
    reversed_order = list(range(size))[::-1]
    alone = opened.answer(one)
    mixed = {name: _mixed(one[name], other[name], size) for name in one}
    turned = opened.answer({name: rows(array, size, reversed_order) for name, array in one.items()})
    per_item = [name for name, array in alone.items() if array.ndim and array.shape[0] % size == 0]
    first = _difference(alone, opened.answer(mixed), size, per_item, [0], [0])
    place = _difference(alone, turned, size, per_item, list(range(size)), reversed_order)
    return {
        "batch_size": size,
        "neighbours": first,
        "place": place,
        "worst": worse(first, place),
        "other_items": len(opened.samples) > 1,
        "left_out": [name for name in alone if name not in per_item],
    }


def rows(array: np.ndarray, size: int, items: list[int]) -> np.ndarray:
    """Those items of a batch of `size`. An array that is not divided among the items stays whole."""
    if not array.ndim or array.shape[0] % size:
        return array
    by_item = array.reshape(size, array.shape[0] // size, *array.shape[1:])[items]
    return by_item.reshape(len(items) * by_item.shape[1], *array.shape[1:])


def _mixed(one: np.ndarray, other: np.ndarray, size: int) -> np.ndarray:
    """The first item of one batch, the others of another batch."""
    if not one.ndim or one.shape[0] % size or one.shape != other.shape:
        return one
    return np.concatenate([rows(one, size, [0]), rows(other, size, list(range(1, size)))])


def _difference(
    want: dict, got: dict, size: int, names: list[str], before: list[int], after: list[int]
) -> dict:
    if any(name not in got or got[name].shape != want[name].shape for name in names):
        return difference(want, got)
    return difference(
        {name: rows(want[name], size, before) for name in names},
        {name: rows(got[name], size, after) for name in names},
    )


def judge(seen: dict[str, Any], allowed: float) -> Outcome:
    if seen["batch_size"] < 2:
        return skipped("no batch larger than one item is loaded: an item has no neighbours")
    problems = []
    wrong = too_far(seen["neighbours"], allowed)
    if wrong:
        problems.append(
            Problem(
                f"the first item's answer changes with its neighbours: {wrong}",
                "normalize, pad and quantize each item by itself, not over the batch",
            )
        )
    wrong = too_far(seen["place"], allowed)
    if wrong:
        problems.append(
            Problem(
                f"answers do not follow their items when the batch is reversed: {wrong}",
                "treat every row of the batch alike, and keep their order",
            )
        )
    good = [f"at batch size {seen['batch_size']}: {in_words(seen['worst']['apart'])}"]
    if not seen["other_items"]:
        good.append("only the order was changed: there are no other items to mix in")
    if seen["left_out"]:
        good.append(
            f"not compared, since not divided among the items: {', '.join(seen['left_out'])}"
        )
    return judged(problems, "; ".join(good))


async def check(bench: Bench) -> Outcome:
    size = next((size for size in bench.batch_sizes if size > 1), bench.batch_sizes[-1])
    seen = await bench.observe("answers", f"predict at batch size {size}", batch_size=size)
    return judge(seen, bench.tolerance)

"""What predict answers: at every batch size, with the right outputs, the same to the same feeds,
without writing into its arrays, independent of an item's neighbours, and as the reference does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qs.base.words import number
from qs.conformance.outcome import Outcome, Problem, judged, passed, skipped
from qs.conformance.service import ConformanceService
from qs.tensors.closeness import Difference, difference, in_words, too_far, worse

# Minimum cosine similarity of an output to the reference's. Rounding stays above; wrong rows, a
# lost bias or a transposed weight fall below.
LEAST_COSINE = {"FP32": 0.9999, "TF32": 0.999, "FP16": 0.999, "BF16": 0.99}
OF_OTHERS = 0.95


def observe_predict(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """Raises what predict raises, and TypeError if it returns no arrays."""
    opened = service.opened(batch_size)
    raw = opened.raw(opened.samples[0])
    shapes = {name: list(array.shape) for name, array in opened.named(raw).items()}
    return {"kind": type(raw).__name__, "batch_size": opened.batch_size, "shapes": shapes}


def judge_predict(seen: Mapping[int, dict[str, Any]]) -> Outcome:
    """`seen`: batch size -> what was observed. Any answer will do here."""
    about = next(iter(seen.values()))
    outputs = len(about["shapes"])
    sizes = ", ".join(map(str, seen))
    plural = "" if outputs == 1 else "s"
    return passed(f"batch sizes {sizes}: a {about['kind']} of {outputs} output{plural}")


def judge_outputs(
    seen: Sequence[dict[str, Any]],
    names: Sequence[str],
    reference: Mapping[str, Sequence[int]] | None,
) -> Outcome:
    """`seen`: what `observe_predict` saw at each batch size. `reference`: output -> its shape for
    one item, if the reference could be run.
    """
    given = list(seen[0]["shapes"])
    missing = [name for name in names if name not in given]
    problems = []
    if missing:
        reason = f"no output {', '.join(missing)}; there are {', '.join(given) or 'none'}"
        fix = f"let predict return a dict with the keys {', '.join(names)}"
        problems.append(Problem(reason, fix))
    for name in given:
        one = reference.get(name) if reference else None
        wrong = _wrong_shape(name, seen, one)
        if wrong:
            fix = "let the first dimension grow with the batch, and the others not at all"
            if one:
                fix = f"return {list(one)} for each item, stacked along the first dimension"
            problems.append(Problem(wrong, fix))
    shown = ", ".join(f"{name} {shape}" for name, shape in seen[-1]["shapes"].items())
    return judged(problems, f"at batch size {seen[-1]['batch_size']}: {shown}")


def _wrong_shape(
    name: str, seen: Sequence[dict[str, Any]], one: Sequence[int] | None
) -> str | None:
    """Dimensions of 1 do not count: vendors add and drop them."""
    first = None
    for about in seen:
        size, shape = about["batch_size"], about["shapes"].get(name)
        if shape is None:
            return f"output {name} is missing at batch size {size}"
        if one is not None:
            wanted = [one[0] * size, *one[1:]] if one else []
            if _without_ones(shape) != _without_ones(wanted):
                return f"output {name} is {shape} at batch size {size}, not {wanted}"
            continue
        if not shape or shape[0] % size:
            whole = f"its first dimension is not a multiple of {size}"
            return f"output {name} is {shape} at batch size {size}: {whole}"
        item = [shape[0] // size, *shape[1:]]
        first = first or (size, item)
        if item != first[1]:
            before = f"{first[1]} an item at batch size {first[0]}"
            return f"output {name} has {before}, {item} at {size}"
    return None


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [dimension for dimension in shape if dimension != 1]


def observe_determinism(service: ConformanceService, batch_size: int) -> Difference:
    """How much two answers to one feed differ, with another feed in between."""
    opened = service.opened(batch_size)
    first = opened.answer(opened.samples[0])
    opened.answer(opened.samples[-1])
    return difference(first, opened.answer(opened.samples[0]))


def judge_determinism(seen: Mapping[int, Difference], allowed: float) -> Outcome:
    """`seen`: batch size -> the difference between two answers to one feed."""
    fix = (
        "carry nothing over from call to call: seed or drop what is random, "
        "clear buffers before they are added to"
    )
    problems = []
    for size, found in seen.items():
        wrong = too_far(found, allowed)
        if wrong:
            problems.append(Problem(f"batch size {size}: {wrong}", fix))
    largest = max(found["apart"] for found in seen.values())
    return judged(problems, f"two answers to one feed: {in_words(largest)}")


def observe_arrays(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """The inputs that predict wrote into, the outputs that a later call changed, and whether there
    was another feed to call it with.

    Samples are cycled through, and accuracy checkers keep answers: either fault makes numbers wrong
    without any error.
    """
    opened = service.opened(batch_size)
    feeds = {name: np.array(array) for name, array in opened.samples[0].items()}
    before = {name: np.array(array) for name, array in feeds.items()}
    kept = opened.named(opened.raw(feeds))
    as_given = {name: np.array(array) for name, array in kept.items()}
    opened.answer(opened.samples[-1])
    return {
        "written": [name for name, array in feeds.items() if not _same(array, before[name])],
        "overwritten": [name for name, array in kept.items() if not _same(array, as_given[name])],
        "other_feed": len(opened.samples) > 1,
    }


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()  # NaN equals itself here


def judge_arrays(seen: dict[str, Any]) -> Outcome:
    problems = []
    if seen["written"]:
        reason = f"predict writes into its feeds: {', '.join(seen['written'])}"
        fix = "work on a copy: the same arrays are submitted again"
        problems.append(Problem(reason, fix))
    if seen["overwritten"]:
        names = ", ".join(seen["overwritten"])
        reason = f"a later predict writes into an earlier answer: {names}"
        fix = "return arrays of their own (a copy of the device's buffer)"
        problems.append(Problem(reason, fix))
    note = "" if seen["other_feed"] else "; there was only one batch to try with"
    return judged(problems, f"feeds and answers stay as they are{note}", blocks=False)


def observe_independence(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """How far the first item's answer moves among other neighbours, and all answers move when the
    order is reversed.
    """
    opened = service.opened(batch_size)
    size = opened.batch_size
    if size < 2:
        return {"batch_size": size}
    one, other = opened.samples[0], opened.samples[-1]
    reversed_order = list(range(size))[::-1]
    alone = opened.answer(one)
    mixed = {name: _mixed(one[name], other[name], size) for name in one}
    among_others = opened.answer(mixed)
    turned = opened.answer({name: rows(array, size, reversed_order) for name, array in one.items()})
    per_item = [name for name, array in alone.items() if array.ndim and array.shape[0] % size == 0]
    first = _difference(alone, among_others, size, per_item, [0], [0])
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
    """Those items of a batch of `size`. An array that is not divided among the items stays as it
    is.
    """
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
) -> Difference:
    if any(name not in got or got[name].shape != want[name].shape for name in names):
        return difference(want, got)
    return difference(
        {name: rows(want[name], size, before) for name in names},
        {name: rows(got[name], size, after) for name in names},
    )


def judge_independence(seen: dict[str, Any], allowed: float) -> Outcome:
    if seen["batch_size"] < 2:
        return skipped("no batch larger than one item is loaded: an item has no neighbours")
    problems = []
    wrong = too_far(seen["neighbours"], allowed)
    if wrong:
        reason = f"the first item's answer changes with its neighbours: {wrong}"
        fix = "normalize, pad and quantize each item by itself, not over the batch"
        problems.append(Problem(reason, fix))
    wrong = too_far(seen["place"], allowed)
    if wrong:
        reason = f"answers do not follow their items when the batch is reversed: {wrong}"
        problems.append(Problem(reason, "treat every row of the batch alike, and keep their order"))
    good = [f"at batch size {seen['batch_size']}: {in_words(seen['worst']['apart'])}"]
    if not seen["other_items"]:
        good.append("only the order was changed: there are no other items to mix in")
    if seen["left_out"]:
        names = ", ".join(seen["left_out"])
        good.append(f"not compared, since not divided among the items: {names}")
    return judged(problems, "; ".join(good))


def judge_agreement(found: Mapping[int, dict[str, Any]], precision: object) -> Outcome:
    """`found`: batch size -> the numeric stage's metrics, against the fp32 ONNX graph run
    unoptimized by our own reference.
    """
    name = str(precision or "FP32").upper().replace("BFLOAT", "BF").replace("FLOAT", "FP")
    least = LEAST_COSINE.get(name, OF_OTHERS)
    fix = (
        "compare layer by layer from the inputs on; "
        "look at the order of items, layouts and casts first"
    )
    problems, lowest = [], 1.0
    for size, metrics in found.items():
        for output, row in metrics["outputs"].items():
            cosine = row["Cosine Similarity"]
            lowest = min(lowest, 1.0 if cosine is None else cosine)
            why = row["failed"]
            if not why and cosine is None and row["Max Diff"]:
                # no angle to a zero vector
                why = "all of it is zero on one side, and not on the other"
            elif not why and cosine is not None and cosine < least:
                why = (
                    f"cosine similarity {number(cosine, 5)}, for {name} at least {number(least, 5)}"
                )
            if why:
                problems.append(Problem(f"batch size {size}, output {output}: {why}", fix))
    sizes = " and ".join(map(str, found))
    at_least = f"cosine similarity of at least {lowest:.6f} at batch sizes {sizes}"
    return judged(problems, f"{at_least}; {name} needs {number(least, 5)}")

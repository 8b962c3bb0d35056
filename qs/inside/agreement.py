"""Numeric agreement of a backend with a reference: the same items, in the backend's own batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.inside.copies import unless_left_out
from qs.inside.reference_items import Reference, batch_of
from qs.tensors import numeric
from qs.tensors.outputs import named_outputs, paired

Answers = dict[str, np.ndarray]


def agreement(
    reference: Reference,
    predict: Callable[[Any], Any],
    batch_size: int,
    output_names: list[str],
    segment_outputs: Callable[[Any], Any] | None = None,
) -> dict[str, Any]:
    """{"outputs": {name: metrics}, "summary": metrics over all, "items", "batch_size", "notes",
    "warnings", "distributions"}.

    Items are batched to `batch_size`; the last batch is filled up from the first items, whose
    answers are dropped. An output that the backend does not give has failed. Each output names its
    worst item.

    segment_outputs   gives tensors from inside the backend's graph, by the model's names; with it,
                      "segments" compares those that the reference has, {tensor: metrics}
    """
    answers: list[Answers] = []
    inside: list[Answers] = []
    for begin in range(0, len(reference), batch_size):
        feeds = batch_of(reference, begin, batch_size)
        answers.append(_own(named_outputs(predict(feeds), output_names)))
        if segment_outputs is not None and reference.tensors:
            inside.append(_own(named_outputs(segment_outputs(feeds), [])))
    names = _names(reference.outputs)
    given_names = _names(answers)
    pairs = paired(names, given_names)
    rows: dict[str, Any] = {}
    notes, drawn = [], {}
    for name in names:
        given = pairs[name]
        if given is None:
            rows[name] = _failed(_no_output(given_names))
            continue
        if given != name:
            notes.append(f"output {name} is compared with the backend's {given}, by position")
        wants = [row.get(name) for row in reference.outputs]
        got = [batch.get(given) for batch in answers]
        if name in reference.batches and len(reference.batches[name]) == len(got):
            notes.append(f"output {name} is compared batch by batch: it is no items in a row")
            compared = _side_by_side(reference.batches[name], got, "batch")
        else:
            compared = _compared(wants, got, batch_size)
        rows[name] = compared.row
        drawn[name] = compared.drawn
    empty = [name for name, row in rows.items() if not row["Elements"] and not row["failed"]]
    warnings = []
    if empty and len(empty) == len(rows):
        names_of = ", ".join(empty)
        warnings.append(f"all outputs ({names_of}) are empty, as the reference's: nothing compared")
    found = {
        "outputs": rows,
        "summary": numeric.summarise(rows),
        "items": len(reference),
        "batch_size": batch_size,
        "notes": notes,
        "warnings": warnings,
        "distributions": {name: each for name, each in drawn.items() if each is not None},
    }
    if inside:
        found["segments"] = segments(reference, inside, batch_size, notes)
    return found


def segments(
    reference: Reference, inside: list[Answers], batch_size: int, notes: list[str]
) -> dict[str, Any]:
    """Metrics of the tensors that both sides have, in the reference's order."""
    known, given = _names(reference.tensors), _names(inside)
    unknown = [name for name in given if name not in known]
    if unknown:
        names = ", ".join(unknown)
        notes.append(f"segment_outputs gives {names}; the reference graph has no such names")
    return {
        name: _compared(
            [row.get(name) for row in reference.tensors],
            [batch.get(name) for batch in inside],
            batch_size,
        ).row
        for name in known
        if name in given
    }


def replay(
    reference: Reference,
    predict: Callable[[Any], Any],
    batch_size: int,
    output_names: list[str],
    item: int,
) -> tuple[dict[str, Any], Answers, Answers]:
    """(metrics of one item by output, its reference, the backend's answer), in the same batch as in
    `agreement`.
    """
    begin = item // batch_size * batch_size
    outputs = named_outputs(predict(batch_of(reference, begin, batch_size)), output_names)
    pairs = paired(list(reference.outputs[item]), list(outputs))
    want = {name: np.atleast_1d(array) for name, array in reference.outputs[item].items()}
    rows, got = {}, {}
    for name in want:
        given = pairs[name]
        if given is None:
            rows[name] = _failed(_no_output(list(outputs)))
            continue
        if name in reference.batches:
            want[name], got[name] = reference.batches[name][item // batch_size], outputs[given]
        else:
            whole = np.atleast_1d(outputs[given])
            axis = batch_axis(want[name].shape, whole.shape, batch_size)
            pieces = _pieces(np.moveaxis(whole, axis, 0) if axis else whole, batch_size)
            piece = pieces[item - begin] if pieces else None
            one = whole if piece is None else np.moveaxis(piece, 0, axis) if axis else piece
            got[name] = _alike(one, want[name].shape)
        rows[name] = numeric.compare(want[name], got[name])
    return rows, want, got


def save_item(folder: str, item: int, **sides: Mapping[str, Any]) -> dict[str, str]:
    """Write the arrays of each side to `item-<item>-<side>.npz`; side -> path."""
    files = {}
    for side, arrays in sides.items():
        files[side] = str(Path(folder, f"item-{item}-{side}.npz"))
        with open(files[side], "wb") as file:
            named: dict[str, Any] = {
                name.replace("/", "_"): _without_objects(array) for name, array in arrays.items()
            }
            np.savez(file, **named)
    return files


def _without_objects(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array.astype(np.str_) if array.dtype.kind == "O" else array


def segment_hook(
    backend: Any, reference: Reference, batch_size: int
) -> Callable[[Any], Any] | None:
    """The backend's own segment_outputs, if it has one and the reference has tensors to compare
    with.
    """
    own = getattr(backend, "segment_outputs", None)
    if own is None or not reference.tensors:
        return None
    return (
        own
        if unless_left_out(lambda: own(batch_of(reference, 0, batch_size))) is not None
        else None
    )


def batch_axis(item: Sequence[int], batch: Sequence[int], batch_size: int) -> int:
    """The dimension of an output that holds the items, going by the shapes of the answers to one
    item and to a batch; the first where they do not tell.
    """
    for axis, size in enumerate(item):
        if tuple(batch) == (*item[:axis], size * batch_size, *item[axis + 1 :]):
            return axis
    return 0


@dataclass(frozen=True)
class _Compared:
    row: dict[str, Any]
    drawn: dict[str, Any] | None = None


def _failed(why: str) -> dict[str, Any]:
    nothing = np.empty(0)
    return numeric.compare(nothing, nothing) | {"failed": why, "Worst Item": None}


def _no_output(given: Sequence[str]) -> str:
    return f"the backend gives no such output; it gives {', '.join(given) or 'none'}"


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _own(outputs: Mapping[str, np.ndarray]) -> Answers:
    # A vendor may write its next answer into the same memory.
    return {name: np.array(array) for name, array in outputs.items()}


def _compared(
    wants: Sequence[np.ndarray | None], batches: Sequence[np.ndarray | None], batch_size: int
) -> _Compared:
    """One output: the reference's answer to each item, and the backend's to each batch of them.

    Where the items' answers do not make up one array (their size follows their content), item by
    item.
    """
    items = len(wants)
    first = next((want for want in wants if want is not None), None)
    filled = next((batch for batch in batches if batch is not None), None)
    if first is not None and filled is not None:
        axis = batch_axis(first.shape, filled.shape, batch_size)
        if axis:
            wants, batches = _items_first(wants, axis), _items_first(batches, axis)
    cut = [
        _first_items(batch, min(batch_size, items - at * batch_size), batch_size)
        for at, batch in enumerate(batches)
        if batch is not None
    ]
    want, got, pieces = _whole(wants), _whole(cut), _all_pieces(batches, batch_size)
    if want is not None and got is not None and len(cut) == len(batches):
        got = _alike(got, want.shape)
        if want.shape == got.shape or pieces is None or _one_shape(wants) and _one_shape(pieces):
            row = numeric.compare(want, got)
            worst = numeric.worst_item(want, got, items)
            return _Compared(row | {"Worst Item": worst}, numeric.distributions(want, got))
    if pieces is None:
        shapes = ", ".join(str(list(each.shape)) for each in cut[:3]) or "none"
        return _Compared(
            _failed(f"shapes {shapes} for batches of {batch_size} do not divide into items")
        )
    return _side_by_side(wants, pieces[:items], "item")


def _side_by_side(
    wants: Sequence[np.ndarray | None], gots: Sequence[np.ndarray | None], each: str
) -> _Compared:
    """The answers to one item (or batch) against one another, whatever their sizes."""
    pairs, worst = [], None
    for at, (want, got) in enumerate(zip(wants, gots, strict=True)):
        if want is None or got is None:
            if want is not got:
                return _Compared(_failed(f"{each} {at}: {'not' if got is None else 'only'} given"))
            continue
        want = np.atleast_1d(want)
        got = _alike(np.atleast_1d(got), want.shape)
        if want.shape != got.shape:
            shapes = f"shape {list(got.shape)}, but the reference has {list(want.shape)}"
            return _Compared(_failed(f"{each} {at}: {shapes}"))
        pairs.append((want.ravel(), got.ravel()))
        found = numeric.worst_item(want.reshape(1, -1), got.reshape(1, -1), 1)
        if found is not None and each == "item":
            apart = math.inf if found["max_diff"] is None else found["max_diff"]
            if worst is None or apart > worst[0]:
                worst = apart, found | {"item": at}
    if not pairs:
        return _Compared(_failed("given for no item"))
    want, got = (np.concatenate(side) for side in zip(*pairs))
    row = numeric.compare(want, got) | {"Worst Item": worst and worst[1]}
    return _Compared(row, numeric.distributions(want, got))


def _items_first(arrays: Sequence[np.ndarray | None], axis: int) -> list[np.ndarray | None]:
    return [
        array if array is None or array.ndim <= axis else np.moveaxis(array, axis, 0)
        for array in arrays
    ]


def _first_items(array: np.ndarray, count: int, batch_size: int) -> np.ndarray:
    array = np.atleast_1d(array)
    if count == batch_size or len(array) % batch_size:
        return array
    return array[: len(array) // batch_size * count]


def _pieces(batch: np.ndarray | None, batch_size: int) -> list[np.ndarray | None] | None:
    """A batch's answer as its items' answers; None if it does not divide into them."""
    if batch is None:
        return [None] * batch_size
    batch = np.atleast_1d(batch)
    if len(batch) % batch_size:
        return None
    rows = len(batch) // batch_size
    return [batch[at * rows : (at + 1) * rows] for at in range(batch_size)]


def _all_pieces(
    batches: Sequence[np.ndarray | None], batch_size: int
) -> list[np.ndarray | None] | None:
    found: list[np.ndarray | None] = []
    for batch in batches:
        pieces = _pieces(batch, batch_size)
        if pieces is None:
            return None
        found += pieces
    return found


def _whole(pieces: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The pieces joined along their first dimension; None if they do not fit together."""
    arrays = [np.atleast_1d(piece) for piece in pieces if piece is not None]
    if len(arrays) < len(pieces) or len({each.shape[1:] for each in arrays}) != 1:
        return None
    return np.concatenate(arrays)


def _one_shape(pieces: Sequence[np.ndarray | None]) -> bool:
    return len({np.shape(piece) for piece in pieces if piece is not None}) == 1


def _alike(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[items, 1, 10] counts as [items, 10]: vendors add and drop dimensions of 1."""
    if _without_ones(array.shape) == _without_ones(shape):
        return array.reshape(shape)
    return array


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [dimension for dimension in shape if dimension != 1]

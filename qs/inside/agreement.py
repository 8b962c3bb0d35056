"""Numeric agreement of a backend with a reference: the same items, in the backend's own batches;
and the file in which the reference's items and outputs come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import replacing
from qs.inside.copies import unless_left_out
from qs.inside.samples import Feeds, joined
from qs.tensors import numeric
from qs.tensors.outputs import named_outputs, paired, recovered, stored

Answers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Reference:
    """`feeds[i]` is a batch of one item, `outputs[i]` the reference's answer to it."""

    feeds: list[Feeds]
    outputs: list[dict[str, np.ndarray]]
    # from inside the graph, if they were asked for
    tensors: list[dict[str, np.ndarray]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    # output -> the reference's answer to each batch, where that is not its items' answers in a row
    batches: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.feeds)


def save_reference(
    path: str | Path,
    feeds: Sequence[Feeds],
    outputs: Sequence[Mapping[str, np.ndarray]],
    tensors: Sequence[Mapping[str, np.ndarray]] = (),
    about: Mapping[str, Any] | None = None,
    batches: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> None:
    """Write the file between the reference run and the backend's host, whole or not at all. `about`
    is plain data that is kept with it.

    The inputs travel with the outputs, so that both see the same items whatever their versions of
    numpy and of the data set's libraries. Nothing in it is pickled.
    """
    arrays: dict[str, Any] = {}
    names: dict[str, Any] = {"about": dict(about or {})}
    for key, rows in (("inputs", feeds), ("outputs", outputs), ("tensors", tensors)):
        names[key] = [list(row) for row in rows]
        for index, row in enumerate(rows):
            for number, array in enumerate(row.values()):
                arrays[f"{key}_{number}_{index}"] = stored(array)
    names["batches"] = {name: len(each) for name, each in (batches or {}).items()}
    for number, each in enumerate((batches or {}).values()):
        for index, array in enumerate(each):
            arrays[f"batches_{number}_{index}"] = stored(array)
    arrays["names"] = np.array(json.dumps(names))
    with replacing(Path(path), durable=False) as file:
        np.savez(file, **arrays)


def load_reference(path: str | Path, items: int | None = None) -> Reference:
    """Read it: all of it, or the first `items` only."""
    # Opened here: numpy leaves a damaged file open.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        feeds, outputs, tensors = (
            [
                {
                    name: recovered(arrays[f"{key}_{number}_{index}"])
                    for number, name in enumerate(row)
                }
                for index, row in enumerate(names[key][:items])
            ]
            for key in ("inputs", "outputs", "tensors")
        )
        batches = {
            name: [recovered(arrays[f"batches_{number}_{index}"]) for index in range(count)]
            for number, (name, count) in enumerate(names["batches"].items())
        }
    return Reference(feeds, outputs, tensors, names["about"], batches)


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
            notes.append(f"output {name} is compared batch by batch: its size follows the content")
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
            pieces = _pieces(outputs[given], batch_size)
            whole = np.atleast_1d(outputs[given])
            piece = pieces[item - begin] if pieces else None
            got[name] = _alike(whole if piece is None else piece, want[name].shape)
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


def batch_of(reference: Reference, begin: int, batch_size: int) -> dict[str, np.ndarray]:
    """A batch of items from `begin` on, filled up from the first ones."""
    chosen = [(begin + offset) % len(reference) for offset in range(batch_size)]
    return joined([reference.feeds[index] for index in chosen])


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

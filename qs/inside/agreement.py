"""Numeric agreement of a backend with a reference: the same items, in the backend's own batches;
and the file in which the reference's items and outputs come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import replacing
from qs.inside.copies import unless_left_out
from qs.inside.samples import Feeds, joined
from qs.tensors import numeric
from qs.tensors.outputs import named_outputs, paired

Answers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Reference:
    """`feeds[i]` is a batch of one item, `outputs[i]` the reference's answer to it."""

    feeds: list[Feeds]
    outputs: list[dict[str, np.ndarray]]
    # from inside the graph, if they were asked for
    tensors: list[dict[str, np.ndarray]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.feeds)


def save_reference(
    path: str | Path,
    feeds: Sequence[Feeds],
    outputs: Sequence[Mapping[str, np.ndarray]],
    tensors: Sequence[Mapping[str, np.ndarray]] = (),
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the file between the reference run and the backend's host, whole or not at all. `about`
    is plain data that is kept with it.

    The inputs travel with the outputs, so that both see the same items whatever their versions of
    numpy and of the data set's libraries. Nothing in it is pickled.
    """
    names: dict[str, Any] = {"inputs": list(feeds[0]), "outputs": list(outputs[0])}
    names |= {"tensors": list(tensors[0]) if tensors else [], "about": dict(about or {})}
    arrays: dict[str, Any] = {"names": np.array(json.dumps(names)), "items": np.array(len(feeds))}
    for index, (fed, answered) in enumerate(zip(feeds, outputs, strict=True)):
        for number, name in enumerate(names["inputs"]):
            arrays[f"in_{number}_{index}"] = np.asarray(fed[name])
        for number, name in enumerate(names["outputs"]):
            arrays[f"out_{number}_{index}"] = np.asarray(answered[name])
    for index, inside in enumerate(tensors):
        for number, name in enumerate(names["tensors"]):
            arrays[f"mid_{number}_{index}"] = np.asarray(inside[name])
    with replacing(Path(path), durable=False) as file:
        np.savez(file, **arrays)


def load_reference(path: str | Path, items: int | None = None) -> Reference:
    """Read it: all of it, or the first `items` only."""
    with np.load(path, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        count = int(arrays["items"]) if items is None else min(items, int(arrays["items"]))
        feeds, outputs, tensors = (
            [
                {
                    name: arrays[f"{side}_{number}_{index}"]
                    for number, name in enumerate(names.get(key, []))
                }
                for index in range(count)
            ]
            for side, key in (("in", "inputs"), ("out", "outputs"), ("mid", "tensors"))
        )
    return Reference(
        feeds, outputs, tensors if names.get("tensors") else [], names.get("about", {})
    )


def agreement(
    reference: Reference,
    predict: Callable[[Any], Any],
    batch_size: int,
    output_names: list[str],
    segment_outputs: Callable[[Any], Any] | None = None,
) -> dict[str, Any]:
    """{"outputs": {name: metrics}, "summary": metrics over all, "items", "batch_size", "notes",
    "distributions"}.

    Items are batched to `batch_size`; the last batch is filled up from the first items, whose
    answers are dropped. An output that the backend does not give has failed. Each output names its
    worst item.

    segment_outputs   gives tensors from inside the backend's graph, by the model's names; with it,
                      "segments" compares those that the reference has, {tensor: metrics}
    """
    answers: dict[str, list[np.ndarray]] = {}
    inside: dict[str, list[np.ndarray]] = {}
    for begin in range(0, len(reference), batch_size):
        count = min(batch_size, len(reference) - begin)
        feeds = batch_of(reference, begin, batch_size)
        _collect(answers, named_outputs(predict(feeds), output_names), count, batch_size)
        if segment_outputs is not None and reference.tensors:
            _collect(inside, named_outputs(segment_outputs(feeds), []), count, batch_size)
    names = list(reference.outputs[0])
    pairs = paired(names, list(answers))
    rows: dict[str, Any] = {}
    notes, drawn = [], {}
    for name in names:
        want = _reference_array(reference.outputs, name)
        given = pairs[name]
        if given is None:
            rows[name] = numeric.compare(want, np.empty(0)) | {
                "failed": _no_output(answers),
                "Worst Item": None,
            }
            continue
        if given != name:
            notes.append(f"output {name} is compared with the backend's {given}, by position")
        got = _one_array(answers[given], want.shape)
        rows[name] = _compared(want, got, len(reference))
        drawn[name] = numeric.distributions(want, got)
    found = {
        "outputs": rows,
        "summary": numeric.summarise(rows),
        "items": len(reference),
        "batch_size": batch_size,
        "notes": notes,
        "distributions": {name: each for name, each in drawn.items() if each is not None},
    }
    if inside:
        found["segments"] = segments(reference, inside, notes)
    return found


def segments(
    reference: Reference, inside: Mapping[str, list[np.ndarray]], notes: list[str]
) -> dict[str, Any]:
    """Metrics of the tensors that both sides have, in the reference's order."""
    known = list(reference.tensors[0])
    unknown = [name for name in inside if name not in known]
    if unknown:
        names = ", ".join(unknown)
        notes.append(f"segment_outputs gives {names}; the reference graph has no such names")
    found = {}
    for name in known:
        if name in inside:
            want = _reference_array(reference.tensors, name)
            found[name] = _compared(want, _one_array(inside[name], want.shape), len(reference))
    return found


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
    for name, array in want.items():
        given = pairs[name]
        if given is None:
            rows[name] = numeric.compare(array, np.empty(0)) | {"failed": _no_output(outputs)}
            continue
        whole = np.atleast_1d(outputs[given])
        rows_each = len(whole) // batch_size if len(whole) % batch_size == 0 else len(whole)
        place = item - begin
        own = (
            whole[place * rows_each : (place + 1) * rows_each]
            if len(whole) % batch_size == 0
            else whole
        )
        got[name] = _one_array([own], array.shape)
        rows[name] = numeric.compare(array, got[name])
    return rows, want, got


def save_item(folder: str, item: int, **sides: Mapping[str, Any]) -> dict[str, str]:
    """Write the arrays of each side to `item-<item>-<side>.npz`; side -> path."""
    files = {}
    for side, arrays in sides.items():
        files[side] = str(Path(folder, f"item-{item}-{side}.npz"))
        with open(files[side], "wb") as file:
            named: dict[str, Any] = {
                name.replace("/", "_"): np.asarray(array) for name, array in arrays.items()
            }
            np.savez(file, **named)
    return files


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


def _no_output(given: Mapping[str, Any]) -> str:
    return f"the backend gives no such output; it gives {', '.join(given) or 'none'}"


def _compared(want: np.ndarray, got: np.ndarray, items: int) -> dict[str, Any]:
    return numeric.compare(want, got) | {"Worst Item": numeric.worst_item(want, got, items)}


def _collect(
    kept: dict[str, list[np.ndarray]],
    outputs: Mapping[str, np.ndarray],
    count: int,
    batch_size: int,
) -> None:
    for name, array in outputs.items():
        kept.setdefault(name, []).append(_first_items(array, count, batch_size))


def _reference_array(rows: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
    return np.concatenate([np.atleast_1d(row[name]) for row in rows])


def _first_items(array: np.ndarray, count: int, batch_size: int) -> np.ndarray:
    array = np.atleast_1d(array)
    if count == batch_size or len(array) % batch_size:
        return array
    return array[: len(array) // batch_size * count]


def _one_array(pieces: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The pieces joined. [items, 1, 10] counts as [items, 10]: vendors add and drop dimensions of
    1."""
    if len({piece.shape[1:] for piece in pieces}) > 1:
        return np.concatenate([piece.ravel() for piece in pieces])
    whole = np.concatenate(pieces)
    if _without_ones(whole.shape) == _without_ones(shape):
        return whole.reshape(shape)
    return whole


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [dimension for dimension in shape if dimension != 1]

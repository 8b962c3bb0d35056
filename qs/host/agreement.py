"""Numeric agreement of a backend with a reference: the same items, in the backend's own batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qs import numeric
from qs.host.outputs import named_outputs, paired
from qs.host.reference_file import Reference
from qs.host.samples import joined


def agreement(
    reference: Reference, predict: Callable[[Any], Any], batch_size: int, output_names: list[str]
) -> dict[str, Any]:
    """{"outputs": {name: metrics}, "summary": metrics over all, "items", "batch_size", "notes"}.

    Items are batched to `batch_size`; the last batch is filled up from the first items, whose answers are
    dropped. An output that the backend does not give is a failed one.
    """
    answers: dict[str, list[np.ndarray]] = {}
    for begin in range(0, len(reference), batch_size):
        count = min(batch_size, len(reference) - begin)
        chosen = [(begin + offset) % len(reference) for offset in range(batch_size)]
        outputs = named_outputs(predict(joined([reference.feeds[index] for index in chosen])), output_names)
        for name, array in outputs.items():
            answers.setdefault(name, []).append(_first_items(array, count, batch_size))
    names = list(reference.outputs[0])
    pairs = paired(names, list(answers))
    rows, notes = {}, []
    for name in names:
        want = np.concatenate([np.atleast_1d(row[name]) for row in reference.outputs])
        given = pairs[name]
        if given is None:
            rows[name] = numeric.compare(want, np.empty(0)) | {
                "failed": f"the backend gives no such output; it gives {', '.join(answers) or 'none'}"
            }
            continue
        if given != name:
            notes.append(f"output {name} is compared with the backend's {given}, by position")
        rows[name] = numeric.compare(want, _one_array(answers[given], want.shape))
    return {
        "outputs": rows,
        "summary": numeric.summarise(rows),
        "items": len(reference),
        "batch_size": batch_size,
        "notes": notes,
    }


def _first_items(array: np.ndarray, count: int, batch_size: int) -> np.ndarray:
    array = np.atleast_1d(array)
    if count == batch_size or len(array) % batch_size:
        return array
    return array[: len(array) // batch_size * count]


def _one_array(pieces: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The pieces joined. [items, 1, 10] counts as [items, 10]: vendors add and drop sides of 1."""
    if len({piece.shape[1:] for piece in pieces}) > 1:
        return np.concatenate([piece.ravel() for piece in pieces])
    whole = np.concatenate(pieces)
    if [side for side in whole.shape if side != 1] == [side for side in shape if side != 1]:
        return whole.reshape(shape)
    return whole

"""A reference's items and its answers to them: the file in which they come, and batches of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.files import replacing
from qs.inside.samples import Feeds, joined, sharing
from qs.tensors.outputs import recovered, stored


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

    @property
    def axes(self) -> Mapping[str, int | None]:
        """The batch dimensions of inputs that are not the first; None: all items share it."""
        return self.about.get("axes") or {}

    def batchable(self) -> bool:
        """Whether what all items of a batch share is the same in every item."""
        return all(
            np.array_equal(np.asarray(one), np.asarray(other))
            for item, alike in zip(self.feeds, sharing(self.feeds, self.axes), strict=True)
            for one, other in zip(item.values(), alike.values(), strict=True)
        )


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


def batch_of(reference: Reference, begin: int, batch_size: int) -> dict[str, np.ndarray]:
    """A batch of items from `begin` on, filled up from the first ones."""
    chosen = [(begin + offset) % len(reference) for offset in range(batch_size)]
    return joined([reference.feeds[index] for index in chosen], reference.axes)

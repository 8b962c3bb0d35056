"""The file between the reference run and the backend's host: items with their reference outputs, in
one .npz.

The inputs travel with the outputs, so that both sides saw the same items whatever their versions of
numpy and of the data set's libraries. Nothing in it is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.inside.samples import Feeds


@dataclass(frozen=True)
class Reference:
    """`feeds[i]` is a batch of one item, `outputs[i]` the reference's answer to it."""

    feeds: list[Feeds]
    outputs: list[dict[str, np.ndarray]]
    tensors: list[dict[str, np.ndarray]] = field(
        default_factory=list
    )  # of the graph's inside, where they were asked for
    about: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.feeds)


def save(
    path: str | Path,
    feeds: Sequence[Feeds],
    outputs: Sequence[Mapping[str, np.ndarray]],
    tensors: Sequence[Mapping[str, np.ndarray]] = (),
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write atomically: the file is whole or absent. `about` is plain data that is kept with it."""
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
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | Path, items: int | None = None) -> Reference:
    """Read it; the first `items` only, where given."""
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

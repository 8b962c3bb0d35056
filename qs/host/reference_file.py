"""The file between the reference run and the backend's host: items with their reference outputs, in one .npz.

The inputs travel with the outputs, so that both sides saw the same items whatever their versions of numpy and
of the data set's libraries. Nothing in it is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.host.samples import Feeds


@dataclass(frozen=True)
class Reference:
    """`feeds[i]` is a batch of one item, `outputs[i]` the reference's answer to it."""

    feeds: list[Feeds]
    outputs: list[dict[str, np.ndarray]]

    def __len__(self) -> int:
        return len(self.feeds)


def save(path: str | Path, feeds: Sequence[Feeds], outputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Write atomically: the file is whole or absent."""
    names = {"inputs": list(feeds[0]), "outputs": list(outputs[0])}
    arrays: dict[str, Any] = {"names": np.array(json.dumps(names)), "items": np.array(len(feeds))}
    for index, (fed, answered) in enumerate(zip(feeds, outputs, strict=True)):
        for number, name in enumerate(names["inputs"]):
            arrays[f"in_{number}_{index}"] = np.asarray(fed[name])
        for number, name in enumerate(names["outputs"]):
            arrays[f"out_{number}_{index}"] = np.asarray(answered[name])
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
        feeds, outputs = (
            [
                {name: arrays[f"{side}_{number}_{index}"] for number, name in enumerate(names[key])}
                for index in range(count)
            ]
            for side, key in (("in", "inputs"), ("out", "outputs"))
        )
    return Reference(feeds, outputs)

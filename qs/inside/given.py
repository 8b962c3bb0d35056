"""A model file's data without a data set: the user's own items where there are some, generated ones
for the rest, zeros for states.

`given` is what a load test sends to the backend's process: {"files": {input: .npy of [items, *shape
at batch size 1]}, "fill": "random" or "zeros", "states": {input: output}}. States begin at zero and
are fed back by qs.inside.targets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qs.inside.samples import Feeds, GeneratedDataset, TaskData
from qs.tensors.generated import GeneratedItems, input_specs

GIVEN = "given"
WHY = "a model file has no data set"


class GivenItems:
    """An endless list of items with the face of GeneratedItems; the user's own items are begun
    again at their end.
    """

    def __init__(self, model_info: Mapping[str, Any], given: Mapping[str, Any], seed: int) -> None:
        self.specs = input_specs(model_info)
        self.arrays = {
            name: np.load(path, allow_pickle=False)
            for name, path in (given.get("files") or {}).items()
        }
        self._zero = set(given.get("states") or {})
        if given.get("fill") == "zeros":
            self._zero |= {spec.name for spec in self.specs}
        self._generated = GeneratedItems(
            [
                spec
                for spec in self.specs
                if spec.name not in self.arrays and spec.name not in self._zero
            ],
            seed,
        )

    def feeds(self, start: int, count: int) -> Feeds:
        drawn = self._generated.feeds(start, count) if self._generated.specs else {}
        feeds = {}
        for spec in self.specs:
            if spec.name in self.arrays:
                items = self.arrays[spec.name]
                feeds[spec.name] = spec.joined(items[np.arange(start, start + count) % len(items)])
            elif spec.name in self._zero:
                feeds[spec.name] = np.zeros(spec.batch_shape(count), spec.dtype)
            else:
                feeds[spec.name] = drawn[spec.name]
        return feeds

    def batches(self, batch_size: int, count: int) -> Iterator[Feeds]:
        for index in range(count):
            yield self.feeds(index * batch_size, batch_size)


def open_given(
    model_info: Mapping[str, Any], given: Mapping[str, Any], seed: int | None
) -> TaskData:
    """The items behind the face of a data set, for backends that ask for one."""
    if seed is None:
        seed = secrets.randbelow(1 << 31)
    dataset = GeneratedDataset(model_info, seed, lambda own: GivenItems(model_info, given, own))
    lengths = {len(array) for array in GivenItems(model_info, given, seed).arrays.values()}
    items = max(lengths) if lengths else None
    return TaskData(
        dataset,
        GIVEN if lengths else "generated",
        items,
        GIVEN if lengths else "generated",
        WHY,
        seed,
    )

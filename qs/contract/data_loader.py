"""The base of data sets: `datasets/<name>/data_loader.py` defines a class `DataLoader(Dataset)`.

A data set provides batches of feeds and their labels; the AccuracyChecker scores them, the engine
drives the backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Data sets and vendors import it from here. LONG has 64 bits: numpy's own `long` depends on the
# platform.
INPUT_TYPE: dict[str, Any] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "LONG": np.int64,
    "STRING": np.str_,
    "UINT8": np.uint8,
}


class Dataset:
    """Base of every data set. `config` is the model info in its published spelling.

    A subclass sets `batched_data` (one dict of feeds per batch), `labels` (one entry per batch),
    `items` (the number of items), `batch_num` and `cur_bs` (items per batch) in `preprocess` and
    `rebatch`.
    """

    # Class attributes too, for subclasses whose __init__ does not call this one.
    config: Any = None
    cur_bs: int = 1
    items: int = 0
    batch_num: int = 0
    batched_data: Sequence[Any] = ()
    labels: Sequence[Any] = ()
    fake_seed: int = 0  # for get_fake_samples; the framework sets it to the run's seed

    def __init__(self, config: Any) -> None:
        self.config = config
        self.cur_bs = 1
        self.batched_data = []
        self.labels = []
        self.items = 0
        self.batch_num = 0

    def name(self) -> str:
        """The data set's name, under which raw outputs are saved."""
        raise NotImplementedError("Dataset:name")

    def preprocess(self) -> None:
        """Read and prepare the data, at batch size 1. Called once, before anything else."""
        return None

    def rebatch(self, new_bs: int, skip: bool = True) -> None:
        """Put the items into batches of `new_bs`; with `skip`, do nothing if `cur_bs` is that."""
        raise NotImplementedError("Dataset:rebatch")

    def get_item_count(self) -> int:
        """The number of items."""
        return self.items

    def get_batch_count(self) -> int:
        """The number of batches at the current batch size."""
        return self.batch_num

    def get_samples(self, sample_id: int) -> Any:
        """Batch `sample_id`: (feeds, labels), or the feeds alone if the data set has no labels."""
        if not 0 <= sample_id < len(self.batched_data):
            raise ValueError(
                f"there is no batch {sample_id}, only {len(self.batched_data)} batches"
            )
        if len(self.labels) == 0:
            return self.batched_data[sample_id]
        return self.batched_data[sample_id], self.labels[sample_id]

    def get_id(self, sample_id: int) -> Any:
        """The ids of the items in batch `sample_id`, if the data set's items have ids."""
        raise NotImplementedError("Dataset:get_id")

    def get_fake_samples(
        self, batch_size: int, shape: Mapping[str, Sequence[int]], input_type: str | Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Generated feeds for one batch: input name -> array, first dimension times `batch_size`.

        `shape` is at batch 1; `input_type` has one type per input in the order of `shape`, or one
        for all. Token ids spread over a vocabulary, masks are ragged, nothing is all zeros, and the
        model's `input_range` holds. The same arguments and `fake_seed` give the same feeds.
        ValueError for invalid shapes or types.
        """
        from qs.tensors import generated

        if not input_type:
            raise ValueError(
                "get_fake_samples: input_type is empty; give one type per input, or one for all"
            )
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(
                f"get_fake_samples: the batch size is {batch_size!r}; allowed: a whole number >= 1"
            )
        for name, sizes in shape.items():
            if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
                raise ValueError(
                    f"get_fake_samples: the shape of {name!r} is {list(sizes)}; allowed: fixed "
                    "dimensions >= 1"
                )
        ranges = self.config.get("input_range") if isinstance(self.config, Mapping) else None
        inputs = {
            "inputs": list(shape),
            "input_shape": {name: [int(size) for size in sizes] for name, sizes in shape.items()},
            "input_type": input_type if isinstance(input_type, str) else list(input_type),
            "input_range": ranges,
        }
        return generated.generated_feeds(inputs, int(batch_size), seed=self.fake_seed)

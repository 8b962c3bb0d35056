"""The 450 held-out digits as batches of float32 images in 0..1, shaped [batch, 1, 8, 8].

As in all these data sets, batches are always full: items that do not fill a last batch are left
out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from general_perf.datasets import data_loader

from qs.contract.tools import read_npz

HELD_OUT = Path(__file__).resolve().parent / "held_out.npz"
PIXEL_MAX = 16.0


class DataLoader(data_loader.Dataset):
    """config is the model info; its first input takes the images."""

    def __init__(self, config):
        super().__init__(config)
        inputs = config["inputs"]
        self.input_name = (inputs.split(",") if isinstance(inputs, str) else inputs)[0].strip()
        held_out = read_npz(HELD_OUT, "images", "labels")
        self.images = (held_out["images"][:, None] / PIXEL_MAX).astype(np.float32)
        self.targets = held_out["labels"].astype(np.int64)
        self.items = len(self.images)
        self._batch(1)

    def name(self):
        return "digits"

    def preprocess(self):
        """Nothing to do: the images are small enough to be scaled when they are read."""

    def rebatch(self, new_bs, skip=True):
        if not (skip and new_bs == self.cur_bs):
            self._batch(new_bs)

    def get_id(self, sample_id):
        """The items of batch `sample_id`, as their positions in the file."""
        return list(range(sample_id * self.cur_bs, (sample_id + 1) * self.cur_bs))

    def _batch(self, size):
        self.cur_bs = size
        self.batch_num = self.items // size
        full = self.batch_num * size
        self.batched_data = [
            {self.input_name: batch} for batch in self.images[:full].reshape(-1, size, 1, 8, 8)
        ]
        self.labels = list(self.targets[:full].reshape(-1, size))

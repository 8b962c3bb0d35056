"""2,000 held-out MNIST digits as float32 images in 0..1, shaped [batch, 1, 28, 28]."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import read_npz


class DataLoader(ItemDataset):
    """config is the model info; its first input takes the images."""

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        held_out = read_npz(self.FOLDER / "held_out.npz", "images", "labels")
        self.images, self.strata = held_out["images"], held_out["labels"].astype(np.int64)
        self.items = len(self.images)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        return {self.inputs()[0]: (self.images[items][:, None] / 255.0).astype(np.float32)}

    def label(self, items):
        return self.strata[items]

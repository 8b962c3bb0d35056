"""The 50 Lee documents as 256 token ids each, and the similarity of each pair, judged by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import read_npz


class DataLoader(ItemDataset):
    """config is the model info; its inputs are token ids, attention mask and token types, in that
    order.
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        file = Path(self.config["dataset_files"]["lee.npz"])
        data = read_npz(file, "ids", "mask", "similarities")
        self.ids, self.mask = data["ids"].astype(np.int64), data["mask"].astype(np.int64)
        self.similarities = data["similarities"].astype(np.float64)
        self.items = len(self.ids)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        values = (self.ids[items], self.mask[items], np.zeros_like(self.ids[items]))
        return dict(zip(self.inputs(), values, strict=True))

    def label(self, items):
        return self.similarities[items]

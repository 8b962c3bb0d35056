"""Twelve pictures of three photographs, as float32 [batch, 3, 224, 224], RGB, (value - 127) / 128;
and the model's known answers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import read_npz


class DataLoader(ItemDataset):
    """config is the model info; its first input takes the pictures. `golden` are the known
    probabilities, float32 [12, 1000].
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        file = Path(self.config["dataset_files"]["photos.npz"])
        data = read_npz(file, "pictures", "names")
        self.pictures, self.names = data["pictures"], data["names"]
        self.golden = read_npz(self.FOLDER / "golden.npz", "probabilities")["probabilities"]
        self.items = len(self.pictures)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        values = (self.pictures[items].astype(np.float32) - 127) / 128
        return {self.inputs()[0]: np.ascontiguousarray(values.transpose(0, 3, 1, 2))}

    def label(self, items):
        return self.golden[items].argmax(axis=1)

"""9,769 held-out rows of the Adult census: eight categories and five numbers per person, and
whether the income is over 50,000 dollars.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import read_npz


class DataLoader(ItemDataset):
    """config is the model info; its inputs are the categories, int64 [batch, 8], and the scaled
    numbers, float32 [batch, 5].
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        held_out = read_npz(
            self.FOLDER / "held_out.npz", "categorical", "labels", "numeric", "mean", "std"
        )
        self.categorical = held_out["categorical"].astype(np.int64)
        self.strata = held_out["labels"].astype(np.int64)
        numbers = held_out["numeric"].astype(np.float64)
        # the columns capital-gain and capital-loss, as the model was trained: mean and std are
        # of the training rows
        numbers[:, 2:4] = np.log1p(numbers[:, 2:4])
        self.numeric = ((numbers - held_out["mean"]) / held_out["std"]).astype(np.float32)
        self.items = len(self.strata)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        return dict(zip(self.inputs(), (self.categorical[items], self.numeric[items]), strict=True))

    def label(self, items):
        return self.strata[items]

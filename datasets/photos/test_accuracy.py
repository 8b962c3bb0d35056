"""Golden answers: the share of pictures with the known class first (and among five), and the
largest distance to a known probability.

So few pictures say little about how good a model is, but much about whether it is computed
correctly: the distance shows what the class does not, such as swapped colours.
"""

from __future__ import annotations

import numpy as np

from qs.contract.item_dataset import ItemChecker, proportion, rank_of_label


class AccuracyChecker(ItemChecker):
    """Takes the first output as probabilities [items, 1000]."""

    def calculate_acc(self, data_percent):
        return super().calculate_acc(data_percent) | {"Golden Max Diff": round(self.apart, 5)}

    def score(self, outputs, items, groups):
        found = next(iter(outputs.values())).reshape(len(items), -1)
        golden = self.dataloader.golden[items]
        place = rank_of_label(found, golden.argmax(axis=1))
        self.apart = float(np.abs(found.astype(np.float64) - golden).max())
        return {
            "Golden Top-1": proportion(place < 1),
            "Golden Top-5": proportion(place < 5),
        }

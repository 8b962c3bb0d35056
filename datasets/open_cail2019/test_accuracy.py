"""Top-1: the share of triplets whose similar case scores above the other, or of pairs on the
correct side of 0.5.
"""

from __future__ import annotations

import numpy as np

from qs.contract.item_dataset import ItemChecker, proportion


class AccuracyChecker(ItemChecker):
    """Takes the first output as one score per item, [items] or [items, 1]; of [items, 2], the
    second.
    """

    def score(self, outputs, items, groups):
        scores = next(iter(outputs.values())).astype(np.float64).reshape(len(items), -1)
        if scores.shape[1] > 2:
            raise ValueError(
                f"the first output has {scores.shape[1]} values per item; needed: one score, or two"
            )
        likeness = scores[:, -1]
        if self.dataloader.triplets:
            # NaN is never above, so such a triplet is wrong; so is a tie
            return {"Top-1": proportion(likeness[0::2] > likeness[1::2])}
        right = np.where(self.dataloader.targets[items] == 1, likeness > 0.5, likeness < 0.5)
        return {"Top-1": proportion(right)}

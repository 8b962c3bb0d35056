"""Top-1 and Top-5: the share of pictures whose class has the largest output, or one of the five
largest.
"""

from __future__ import annotations

from pathlib import Path

from qs.contract.item_dataset import ItemChecker, proportion, rank_of_label
from qs.contract.tools import UserError

BACKGROUND = 1001  # TensorFlow's models have a class 0 for the background, before the thousand


class AccuracyChecker(ItemChecker):
    """Takes the first output as [items, classes]."""

    def score(self, outputs, items, groups):
        scores = next(iter(outputs.values())).reshape(len(items), -1)
        if scores.shape[1] == BACKGROUND:
            scores = scores[:, 1:]
        labels = self.dataloader.strata[items]
        if labels.max() >= scores.shape[1]:
            where = Path(self.dataloader.FOLDER)
            raise UserError(
                f"{where}: a picture has class {labels.max()}, but the model has "
                f"{scores.shape[1]} classes"
            )
        ranks = rank_of_label(scores, labels)
        return {"Top-1": proportion(ranks < 1), "Top-5": proportion(ranks < 5)}

"""Top-1 and Top-5 over the 100 fine classes, from the first output's scores of pictures against
texts.
"""

from __future__ import annotations

from qs.contract.item_dataset import ItemChecker, proportion, rank_of_label

CLASSES = 100


class AccuracyChecker(ItemChecker):
    """Takes the first output as [items, 100], or as [items, 100 * batch] with the same 100 texts
    for every item.
    """

    def score(self, outputs, items, groups):
        scores = next(iter(outputs.values()))
        if scores.ndim != 2 or scores.shape[1] % CLASSES:
            raise ValueError(
                f"the first output has shape {list(scores.shape)}; needed: a score for each of "
                f"{CLASSES} classes"
            )
        ranks = rank_of_label(scores[:, :CLASSES], self.dataloader.strata[items])
        return {"Top-1": proportion(ranks < 1), "Top-5": proportion(ranks < 5)}

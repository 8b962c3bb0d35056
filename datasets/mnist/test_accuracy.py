"""Top-1 on the held-out digits: the share of images whose largest logit is the label's."""

from __future__ import annotations

from qs.contract.item_dataset import ItemChecker, proportion, rank_of_label


class AccuracyChecker(ItemChecker):
    """Takes the first output as logits [items, 10]."""

    def score(self, outputs, items, groups):
        logits = next(iter(outputs.values())).reshape(len(items), -1)
        return {"Top-1": proportion(rank_of_label(logits, self.dataloader.strata[items]) < 1)}

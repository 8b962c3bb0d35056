"""AUC (ties count half) and accuracy at 0.5."""

from __future__ import annotations

import numpy as np

from qs.contract.item_dataset import ItemChecker, proportion
from qs.contract.scoring import auc


class AccuracyChecker(ItemChecker):
    """Takes the first output as probabilities [items, 1]."""

    def score(self, outputs, items, groups):
        found = next(iter(outputs.values())).astype(np.float64).reshape(len(items))
        labels = self.dataloader.strata[items].astype(bool)
        if not np.isfinite(found).all():
            raise ValueError(
                f"{int((~np.isfinite(found)).sum())} of {len(items)} probabilities are not finite"
            )
        area, interval = auc(found, labels)
        return {"AUC": (area, interval, "delong"), "Accuracy": proportion((found > 0.5) == labels)}

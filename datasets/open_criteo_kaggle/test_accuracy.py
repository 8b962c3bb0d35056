"""AUC (ties count half) and Top-1, the share of items whose larger probability is the label's, as
published.
"""

from __future__ import annotations

import numpy as np

from qs.contract.item_dataset import ItemChecker, proportion
from qs.contract.scoring import auc
from qs.contract.tools import UserError


class AccuracyChecker(ItemChecker):
    """Takes the first output as probabilities [items, 2], or as the clicks' alone, [items] or
    [items, 1].
    """

    def score(self, outputs, items, groups):
        scores = next(iter(outputs.values())).astype(np.float64).reshape(len(items), -1)
        clicked = scores[:, 1] if scores.shape[1] == 2 else scores[:, 0]
        labels = self.dataloader.strata[items]
        if not np.isfinite(clicked).all():
            raise ValueError(
                f"{int((~np.isfinite(clicked)).sum())} of {len(items)} scores are not finite"
            )
        if len(np.unique(labels)) < 2:
            raise UserError(
                f"{self.dataloader.FOLDER}: all {len(items)} scored items have the label "
                f"{labels[0]}; AUC needs both"
            )
        area, interval = auc(clicked, labels)
        chosen = scores[:, 1] > scores[:, 0] if scores.shape[1] == 2 else clicked > 0.5
        return {
            "AUC": (area, interval, "delong"),
            "Top-1": proportion(chosen == labels.astype(bool)),
        }

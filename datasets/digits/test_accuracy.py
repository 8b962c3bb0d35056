"""Top-1 on the held-out digits: the share of images whose largest logit is the label's."""

from __future__ import annotations

import numpy as np
from general_perf.datasets import test_accuracy

from qs.contract.scoring import LEADING, WHOLE, Share, wilson


class AccuracyChecker(test_accuracy.AccuracyChecker):
    """Takes the first output as logits [batch, 10]."""

    def calculate_acc(self, data_percent):
        """{"Top-1": share} over the first `data_percent` of the batches (at least one); the logits
        go to `<output_dir>/digits.npy` as [items, 10].
        """
        batches = self.dataloader.get_batch_count()
        used = max(1, int(batches * (data_percent or 100) / 100))
        outputs, right = [], 0
        for index in range(used):
            feeds, labels = self.dataloader.get_samples(index)
            logits = np.asarray(_first(self.runtime_backend.predict(feeds)), dtype=np.float32)
            # For argmax, the largest element of a row of NaN is the first: it must not count as the
            # digit 0.
            right += int(
                ((logits.argmax(axis=-1) == labels) & np.isfinite(logits).all(axis=-1)).sum()
            )
            outputs.append(logits)
        self.save_outputs(outputs)
        items = sum(len(logits) for logits in outputs)
        share = Share(WHOLE, 100) if used == batches else Share(LEADING, data_percent)
        self.evidence = {
            "Items": items,
            "Share": share.to_dict(),
            "Confidence Intervals": {"Top-1": wilson(right, items)},
        }
        return {"Top-1": round(right / items, 5)}


def _first(results):
    return next(iter(results.values())) if isinstance(results, dict) else results[0]

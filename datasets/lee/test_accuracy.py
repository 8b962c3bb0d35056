"""Document similarity: the cosine of two documents' vectors against people's judgement of the pair,
as Pearson's and Spearman's correlation.

A document's vector is the mean of its tokens' last hidden states, padding left out.
"""

from __future__ import annotations

import numpy as np

from qs.contract import scoring
from qs.contract.item_dataset import ItemChecker
from qs.contract.tools import UserError


class AccuracyChecker(ItemChecker):
    """Takes the first output as [items, sequence, hidden]."""

    def score(self, outputs, items, groups):
        if len(items) < 4:
            raise UserError(
                f"the similarity needs at least 4 documents, but this share has {len(items)}"
            )
        loader = self.dataloader
        vectors = pooled(next(iter(outputs.values())), loader.mask[items])
        found, judged = vectors @ vectors.T, loader.similarities[np.ix_(items, items)]
        return {
            "Pearson": correlation(found, judged, pearson),
            "Spearman": correlation(found, judged, lambda a, b: pearson(ranks(a), ranks(b))),
        }


def pooled(states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Vectors of length 1: [items, sequence, hidden] and [items, sequence] -> [items, hidden]."""
    weights = mask[:, :, None].astype(np.float64)
    mean = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def correlation(found, judged, measure) -> tuple[float, list[float], str]:
    """The measure over all pairs, and its interval by drawing documents: pairs that share a
    document are not independent.
    """
    count = len(found)
    rows, columns = np.triu_indices(count, 1)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(scoring.ROUNDS):
        chosen = rng.integers(0, count, count)
        a, b = chosen[rows], chosen[columns]
        real = a != b  # a document equals itself, whatever the model
        drawn.append(measure(found[a[real], b[real]], judged[a[real], b[real]]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return (
        float(measure(found[rows, columns], judged[rows, columns])),
        [float(low), float(high)],
        "bootstrap",
    )


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """NaN if one of them is constant or not finite."""
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else float("nan")


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean rank."""
    _, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    return (ends - (sizes + 1) / 2)[place]

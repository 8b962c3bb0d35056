"""Document similarity: the cosine of two documents' vectors against what people said of the pair,
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
                f"the similarity of documents needs at least 4 of them, this share has {len(items)}"
            )
        loader = self.dataloader
        vectors = pooled(next(iter(outputs.values())), loader.mask[items])
        found, said = vectors @ vectors.T, loader.similarities[np.ix_(items, items)]
        return {
            "Pearson": correlation(found, said, pearson),
            "Spearman": correlation(found, said, lambda a, b: pearson(ranks(a), ranks(b))),
        }


def pooled(states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Vectors of length 1: [items, sequence, hidden] and [items, sequence] -> [items, hidden]."""
    weights = mask[:, :, None].astype(np.float64)
    mean = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)


def correlation(found, said, measure) -> tuple[float, list[float], str]:
    """The measure over all pairs, and its interval by drawing documents, since pairs of one
    document are not independent.
    """
    count = len(found)
    rows, columns = np.triu_indices(count, 1)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(scoring.ROUNDS):
        chosen = rng.integers(0, count, count)
        a, b = chosen[rows], chosen[columns]
        real = a != b  # a document is alike itself, whatever the model
        drawn.append(measure(found[a[real], b[real]], said[a[real], b[real]]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return (
        float(measure(found[rows, columns], said[rows, columns])),
        [float(low), float(high)],
        "bootstrap",
    )


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """NaN where one does not vary, or is not finite."""
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else float("nan")


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean rank."""
    _, place, sizes = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    return (ends - (sizes + 1) / 2)[place]

"""Metrics of a model's answers with 95 % confidence intervals: of classes and of numbers.

Needs numpy alone, since data sets run in a backend's environment. The definitions are those of
scikit-learn, with which tests compare them. Proportions have Wilson's interval, the area under the
ROC curve has DeLong's; all others a percentile bootstrap over the items, with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qs.contract import scoring
from qs.contract.item_dataset import proportion, rank_of_label

CLASSES, NUMBERS = "classes", "numbers"
Value = tuple[float, list[float], str]
_LEAST = float(np.finfo(np.float64).tiny)  # a probability of 0 would have an infinite loss
_AT_ONCE = 1 << 20  # numbers drawn in one go by the bootstrap


@dataclass(frozen=True)
class Answers:
    """What a model answered to n items, and what is right.

    labels   int64 [n], classes from 0, or float64 [n]
    scores   float64 [n, classes], the higher the likelier; float64 [n, 1] for numbers; None where
             the model answers classes
    chosen   int64 [n]: the class that the model chose; -1 for an answer that is not finite
    positive the class that precision, recall, F1 and AUC of two classes are about
    """

    labels: np.ndarray
    scores: np.ndarray | None
    chosen: np.ndarray
    positive: int = 1

    @property
    def two_classes(self) -> bool:
        """Whether there are two classes at most, as far as these items show."""
        if self.scores is not None and self.scores.shape[1] > 2:
            return False
        return max(self.labels.max(initial=0), self.chosen.max(initial=0)) <= 1

    def probabilities(self) -> np.ndarray:
        """The scores, which must be probabilities. ValueError otherwise."""
        scores = self._scores("probabilities")
        whole = np.abs(scores.sum(axis=1) - 1) < 1e-3
        if not (((scores >= 0) & (scores <= 1)).all() and whole.all()):
            raise ValueError(
                f"the scores are no probabilities: they go from {scores.min():.4g} to "
                f"{scores.max():.4g}; state ACTIVATION = 'softmax', or 'sigmoid' for one score"
            )
        return scores

    def _scores(self, what: str) -> np.ndarray:
        if self.scores is None:
            raise ValueError(f"the output holds classes, and this metric needs {what}")
        if not np.isfinite(self.scores).all():
            rows = np.flatnonzero(~np.isfinite(self.scores).all(axis=1))
            raise ValueError(f"{len(rows)} of {len(self.labels)} answers are not finite")
        return self.scores

    def numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """(what was answered, what is right), float64 [n] each."""
        return self._scores("numbers")[:, 0], np.asarray(self.labels, dtype=np.float64)


@dataclass(frozen=True)
class Metric:
    """One metric: its name in reports, what it judges, and how."""

    title: str
    of: str
    """CLASSES or NUMBERS."""
    compute: Callable[[Answers], Value]


def _top(most: int) -> Callable[[Answers], Value]:
    def compute(answers: Answers) -> Value:
        if answers.scores is None:
            if most > 1:
                raise ValueError(f"the output holds classes; the top {most} need scores")
            return _accuracy(answers)
        return proportion(rank_of_label(answers.scores, answers.labels) < most)

    return compute


def _accuracy(answers: Answers) -> Value:
    return proportion(answers.chosen == answers.labels)


def _precision(answers: Answers) -> Value:
    if answers.two_classes:
        said = answers.chosen == answers.positive
        return _of_those(said, answers.labels == answers.positive)
    return _by_classes(answers, lambda at: _mean(_share(at.right, at.said), at.true + at.said > 0))


def _recall(answers: Answers) -> Value:
    if answers.two_classes:
        true = answers.labels == answers.positive
        return _of_those(true, answers.chosen == answers.positive)
    return _by_classes(answers, lambda at: _mean(_share(at.right, at.true), at.true + at.said > 0))


def _f1(answers: Answers) -> Value:
    def of(at: Confusion) -> np.ndarray:
        both = at.said + at.true
        values = _share(2 * at.right, both)
        if answers.two_classes:
            return values[..., answers.positive]
        return _mean(values, both > 0)

    return _by_classes(answers, of)


def _balanced(answers: Answers) -> Value:
    return _by_classes(answers, lambda at: _mean(_share(at.right, at.true), at.true > 0))


def _mcc(answers: Answers) -> Value:
    """Matthews' correlation coefficient of several classes (J. Gorodkin, 2004)."""

    def of(at: Confusion) -> np.ndarray:
        count = at.true.sum(axis=-1)
        said, true = ((each**2).sum(axis=-1) for each in (at.said, at.true))
        spread = (count**2 - said) * (count**2 - true)
        shared = at.right.sum(axis=-1) * count - (at.said * at.true).sum(axis=-1)
        return np.where(spread > 0, shared / np.sqrt(np.maximum(spread, 1)), 0.0)

    return _by_classes(answers, of)


def _auc(answers: Answers) -> Value:
    scores = answers._scores("scores")
    if scores.shape[1] != 2 or answers.labels.max(initial=0) > 1:
        raise ValueError(f"AUC is of two classes; the output has {scores.shape[1]} scores an item")
    ranked = scores[:, answers.positive]
    if np.abs(scores.sum(axis=1) - 1).max() > 1e-3:  # of probabilities the own one says it all
        ranked = ranked - scores[:, 1 - answers.positive]
    area, interval = scoring.auc(ranked, answers.labels == answers.positive)
    return area, interval, "delong"


def _log_loss(answers: Answers) -> Value:
    own = answers.probabilities()[np.arange(len(answers.labels)), answers.labels]
    losses = -np.log(np.maximum(own, _LEAST))
    return float(losses.mean()), scoring.bootstrap_mean(losses), "bootstrap"


def _rmse(answers: Answers) -> Value:
    found, right = answers.numbers()
    squares = (found - right) ** 2
    low, high = scoring.bootstrap_mean(squares)
    return float(np.sqrt(squares.mean())), [float(low**0.5), float(high**0.5)], "bootstrap"


def _mae(answers: Answers) -> Value:
    found, right = answers.numbers()
    apart = np.abs(found - right)
    return float(apart.mean()), scoring.bootstrap_mean(apart), "bootstrap"


def _r2(answers: Answers) -> Value:
    """1 - the squared errors' share of the labels' variance."""

    def of(found: np.ndarray, right: np.ndarray) -> np.ndarray:
        return 1 - _ratio(((found - right) ** 2).mean(axis=-1), right.var(axis=-1))

    return _of_pairs(answers, of)


def _pearson(answers: Answers) -> Value:
    def of(found: np.ndarray, right: np.ndarray) -> np.ndarray:
        found = found - found.mean(axis=-1, keepdims=True)
        right = right - right.mean(axis=-1, keepdims=True)
        spread = np.sqrt((found**2).mean(axis=-1) * (right**2).mean(axis=-1))
        return _ratio((found * right).mean(axis=-1), spread)

    return _of_pairs(answers, of)


METRICS = {
    "top1": Metric("Top-1", CLASSES, _top(1)),
    "top5": Metric("Top-5", CLASSES, _top(5)),
    "accuracy": Metric("Accuracy", CLASSES, _accuracy),
    "balanced_accuracy": Metric("Balanced Accuracy", CLASSES, _balanced),
    "f1": Metric("F1", CLASSES, _f1),
    "precision": Metric("Precision", CLASSES, _precision),
    "recall": Metric("Recall", CLASSES, _recall),
    "auc": Metric("AUC", CLASSES, _auc),
    "log_loss": Metric("Log Loss", CLASSES, _log_loss),
    "mcc": Metric("MCC", CLASSES, _mcc),
    "rmse": Metric("RMSE", NUMBERS, _rmse),
    "mae": Metric("MAE", NUMBERS, _mae),
    "r2": Metric("R2", NUMBERS, _r2),
    "pearson": Metric("Pearson", NUMBERS, _pearson),
}


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, 0 of nothing."""
    return part / np.maximum(whole, 1)


def _of_those(those: np.ndarray, right: np.ndarray) -> Value:
    """The share of right ones among those; of none it is 0, and unknown."""
    if not those.any():
        return 0.0, [0.0, 1.0], "wilson"
    return proportion(right[those])


@dataclass(frozen=True)
class Confusion:
    """Per class (the last axis): how many items are rightly said to be of it, are said to be of it,
    and are of it.
    """

    right: np.ndarray
    said: np.ndarray
    true: np.ndarray


def _by_classes(answers: Answers, of: Callable[[Confusion], np.ndarray]) -> Value:
    """`of` the confusion of all items. Its interval is by resampling the confusion matrix, whose
    cells are multinomial.
    """
    none = max(answers.labels.max(initial=0), answers.chosen.max(initial=0)) + 1
    chosen = np.where(answers.chosen < 0, none, answers.chosen)
    pairs = np.stack([answers.labels, chosen])
    cells, counts = np.unique(pairs, axis=1, return_counts=True)
    classes = max(int(cells.max()) + 1, answers.positive + 1)
    hits = cells[0] == cells[1]

    def values(of_cells: np.ndarray) -> np.ndarray:
        found = Confusion(
            _sums(of_cells * hits, cells[0], classes),
            _sums(of_cells, cells[1], classes),
            _sums(of_cells, cells[0], classes),
        )
        return of(found)

    random, shares = np.random.default_rng(0), counts / counts.sum()
    at_once = max(1, _AT_ONCE // max(counts.size, classes))
    drawn = [
        values(
            random.multinomial(counts.sum(), shares, min(at_once, scoring.ROUNDS - begin)).astype(
                np.float64
            )
        )
        for begin in range(0, scoring.ROUNDS, at_once)
    ]
    whole = values(counts[None].astype(np.float64))[0]
    return float(whole), _middle_95(np.concatenate(drawn)), "bootstrap"


def _sums(of_cells: np.ndarray, class_of: np.ndarray, classes: int) -> np.ndarray:
    """[rounds, classes] of [rounds, cells]."""
    order = np.argsort(class_of, kind="stable")
    present, begins = np.unique(class_of[order], return_index=True)
    sums = np.zeros((len(of_cells), classes))
    sums[:, present] = np.add.reduceat(of_cells[:, order], begins, axis=1)
    return sums


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Along the last axis, over what is counted; 0 of nothing."""
    return (values * counted).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)


def _of_pairs(answers: Answers, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Value:
    """`of(answered, right)` along the last axis, with its interval by resampling items."""
    found, right = answers.numbers()
    value = float(of(found, right))
    if not np.isfinite(value):
        raise ValueError(f"all {len(right)} labels, or all answers, are the same number")
    random = np.random.default_rng(0)
    at_once = max(1, _AT_ONCE // found.size)
    values = []
    for begin in range(0, scoring.ROUNDS, at_once):
        rounds = min(at_once, scoring.ROUNDS - begin)
        chosen = random.integers(0, found.size, (rounds, found.size))
        values.append(of(found[chosen], right[chosen]))
    return value, _middle_95(np.concatenate(values)), "bootstrap"


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where it is of nothing."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _middle_95(values: np.ndarray) -> list[float]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return [float(low), float(high)]

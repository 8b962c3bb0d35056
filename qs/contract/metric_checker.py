"""A checker that states its metrics: which output holds the scores, what they are, and what is
computed of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.contract.item_dataset import ItemChecker, Scored
from qs.contract.metrics import CLASSES, METRICS, NUMBERS, Answers, Metric

ACTIVATIONS = ("none", "sigmoid", "softmax")


class MetricChecker(ItemChecker):
    """For a data set of LabelledItems. A subclass states the attributes that differ."""

    METRICS: Sequence[str] = ("top1",)
    """Names of qs.contract.metrics.METRICS: top1, top5, accuracy, f1, auc, rmse ..."""
    OUTPUT: str | None = None
    """The output that holds the scores, classes or numbers; None: the first."""
    ACTIVATION = "none"
    """What makes probabilities of the scores: "softmax", "sigmoid" (of one score), or "none" where
    they are, or where the metric does not mind."""
    THRESHOLD = 0.5
    """With one score an item: the class is 1 above it."""
    POSITIVE = 1
    """The class that precision, recall, F1 and AUC of two classes are about."""

    def metrics(self) -> list[Metric]:
        """Those stated. UserError for names that are none, and for metrics of classes and of
        numbers together.
        """
        named = [self.METRICS] if isinstance(self.METRICS, str) else list(self.METRICS)
        for name in named:
            if name not in METRICS:
                near = nearest(name, METRICS)
                meant = f"; did you mean {near!r}?" if near else ""
                raise UserError(f"METRICS has {name!r}; allowed: {', '.join(METRICS)}{meant}")
        found = [METRICS[name] for name in named]
        if not found or len({each.of for each in found}) > 1:
            raise UserError(
                f"METRICS is {named}; allowed: one or more, of classes or of numbers, not both"
            )
        if self.ACTIVATION not in ACTIVATIONS:
            raise UserError(f"ACTIVATION is {self.ACTIVATION!r}; allowed: {', '.join(ACTIVATIONS)}")
        return found

    def score(
        self, outputs: Mapping[str, np.ndarray], items: np.ndarray, groups: np.ndarray
    ) -> Scored:
        found = self.metrics()
        labels = self.dataloader.label(items)
        name, output = self._output(outputs)
        read = self._numbers if found[0].of == NUMBERS else self._classes
        try:
            answers = read(output, np.asarray(labels))
            return {each.title: each.compute(answers) for each in found}
        except ValueError as error:
            raise UserError(f"the output {name} cannot be scored: {error}") from None

    def _output(self, outputs: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray]:
        name = next(iter(outputs)) if self.OUTPUT is None else self.OUTPUT
        if name not in outputs:
            near = nearest(name, outputs)
            meant = f"; did you mean {near!r}?" if near else ""
            raise UserError(f"OUTPUT is {name!r}; the model has {', '.join(outputs)}{meant}")
        return name, outputs[name]

    def _numbers(self, output: np.ndarray, labels: np.ndarray) -> Answers:
        values = output.reshape(len(labels), -1)
        if output.dtype.kind not in "biuf" or values.shape[1] != 1:
            raise ValueError(
                f"it has {list(output.shape[1:])} {output.dtype} an item, not a number"
            )
        values = values.astype(np.float64)
        return Answers(labels.astype(np.float64), values, np.zeros(len(labels), np.int64))

    def _classes(self, output: np.ndarray, labels: np.ndarray) -> Answers:
        if labels.dtype.kind not in "iu":
            raise ValueError("the labels are numbers; state LABELS_ARE = 'classes'")
        values = output.reshape(len(labels), -1)
        if output.dtype.kind in "OUSV":
            return self._named(values, labels)
        if values.shape[1] == 1:
            if output.dtype.kind in "biu":
                if self._numbered():
                    return self._named(values.astype(np.int64).astype(np.str_), labels)
                chosen = values[:, 0].astype(np.int64) - self.dataloader.FIRST_LABEL
                return Answers(labels, None, chosen, self.POSITIVE)
            return self._one_score(values[:, 0].astype(np.float64), labels)
        self._check_labels(labels, values.shape[1])
        values = values.astype(np.float64)
        finite = np.isfinite(values).all(axis=1)
        chosen = np.where(finite, values.argmax(axis=1), -1)
        if self.ACTIVATION == "softmax":
            values = softmax(values)
        elif self.ACTIVATION == "sigmoid":
            raise ValueError(
                f"ACTIVATION is 'sigmoid', and there are {values.shape[1]} scores an item; "
                "allowed: 'softmax' or 'none'"
            )
        return Answers(labels, values, chosen, self.POSITIVE)

    def _numbered(self) -> bool:
        """Whether the classes' names are numbers, in another order than from 0."""
        names = self.dataloader.classes
        return bool(names) and all(str(name).lstrip("-").isdigit() for name in names)

    def _named(self, values: np.ndarray, labels: np.ndarray) -> Answers:
        """Of a model that answers names of classes."""
        if values.shape[1] != 1:
            raise ValueError(f"it has {values.shape[1]} texts an item")
        classes = self.dataloader.classes
        if classes is None:
            raise ValueError("it holds names of classes: state CLASSES in data_loader.py")
        known = {str(name): number for number, name in enumerate(classes)}
        chosen = np.array([known.get(str(each), -1) for each in values[:, 0]], np.int64)
        return Answers(labels, None, chosen, self.POSITIVE)

    def _one_score(self, score: np.ndarray, labels: np.ndarray) -> Answers:
        self._check_labels(labels, 2)
        if self.ACTIVATION == "sigmoid":
            score = sigmoid(score)
        elif self.ACTIVATION == "softmax":
            raise ValueError("ACTIVATION is 'softmax', of one score an item; allowed: 'sigmoid'")
        finite = np.isfinite(score)
        outside = finite & ((score < 0) | (score > 1))
        if self.THRESHOLD == 0.5 and outside.any():
            raise ValueError(
                f"its scores go from {score[finite].min():.4g} to {score[finite].max():.4g}, so "
                "they are no probabilities; state ACTIVATION = 'sigmoid', or another THRESHOLD"
            )
        chosen = np.where(finite, score > self.THRESHOLD, -1).astype(np.int64)
        return Answers(labels, np.stack([1 - score, score], axis=1), chosen, self.POSITIVE)

    def _check_labels(self, labels: np.ndarray, classes: int) -> None:
        outside = np.flatnonzero((labels < 0) | (labels >= classes))
        if outside.size:
            first = int(labels[outside[0]])
            from_1 = labels.min() == 1 and labels.max() == classes
            hint = "; the labels begin at 1: state FIRST_LABEL = 1" if from_1 else ""
            raise ValueError(
                f"it has scores of {classes} classes, and {len(outside)} of {len(labels)} labels "
                f"are not in 0..{classes - 1}, such as {first}{hint}"
            )


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-score)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * scores))


def labels_of(metrics: Sequence[str]) -> str:
    """CLASSES or NUMBERS: what such metrics need labels to be."""
    return METRICS[metrics[0]].of if metrics and metrics[0] in METRICS else CLASSES

"""Metrics are scikit-learn's; intervals hold them, and hold what they estimate."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from qs.base.errors import UserError
from qs.contract.metric_checker import MetricChecker, sigmoid, softmax
from qs.contract.metrics import CLASSES, METRICS, Answers

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 7, 300)
SCORES = RANDOM.normal(size=(300, 7)) + 1.5 * np.eye(7)[LABELS]
TWO = RANDOM.integers(0, 2, 300)
TWO_SCORES = RANDOM.normal(size=(300, 2)) + np.eye(2)[TWO]
NUMBERS = RANDOM.normal(size=300)
NEAR = NUMBERS + RANDOM.normal(scale=0.5, size=300)


def many(scores: np.ndarray = SCORES) -> Answers:
    return Answers(LABELS, scores, scores.argmax(axis=1))


def two() -> Answers:
    return Answers(TWO, softmax(TWO_SCORES), TWO_SCORES.argmax(axis=1))


def near() -> Answers:
    return Answers(NUMBERS, NEAR[:, None], np.zeros(300, np.int64))


CHOSEN, CHOSEN_OF_TWO = SCORES.argmax(axis=1), TWO_SCORES.argmax(axis=1)
SAME = [
    ("top1", many(), sk.top_k_accuracy_score(LABELS, SCORES, k=1)),
    ("top5", many(), sk.top_k_accuracy_score(LABELS, SCORES, k=5)),
    ("accuracy", many(), sk.accuracy_score(LABELS, CHOSEN)),
    ("balanced_accuracy", many(), sk.balanced_accuracy_score(LABELS, CHOSEN)),
    ("f1", many(), sk.f1_score(LABELS, CHOSEN, average="macro")),
    ("precision", many(), sk.precision_score(LABELS, CHOSEN, average="macro")),
    ("recall", many(), sk.recall_score(LABELS, CHOSEN, average="macro")),
    ("mcc", many(), sk.matthews_corrcoef(LABELS, CHOSEN)),
    ("log_loss", many(softmax(SCORES)), sk.log_loss(LABELS, softmax(SCORES))),
    ("f1", two(), sk.f1_score(TWO, CHOSEN_OF_TWO)),
    ("precision", two(), sk.precision_score(TWO, CHOSEN_OF_TWO)),
    ("recall", two(), sk.recall_score(TWO, CHOSEN_OF_TWO)),
    ("mcc", two(), sk.matthews_corrcoef(TWO, CHOSEN_OF_TWO)),
    ("auc", two(), sk.roc_auc_score(TWO, softmax(TWO_SCORES)[:, 1])),
    ("rmse", near(), sk.root_mean_squared_error(NUMBERS, NEAR)),
    ("mae", near(), sk.mean_absolute_error(NUMBERS, NEAR)),
    ("r2", near(), sk.r2_score(NUMBERS, NEAR)),
    ("pearson", near(), np.corrcoef(NUMBERS, NEAR)[0, 1]),
]


@pytest.mark.parametrize(
    ("name", "answers", "right"), SAME, ids=[f"{name}-{at}" for at, (name, *_) in enumerate(SAME)]
)
def test_a_metric_is_scikit_learns_and_lies_in_its_interval(name, answers, right):
    value, (low, high), _ = METRICS[name].compute(answers)
    assert value == pytest.approx(right, abs=1e-6)
    assert low < value < high


def test_every_metric_is_compared():
    assert {name for name, *_ in SAME} == set(METRICS)


@pytest.mark.parametrize("name", [name for name, each in METRICS.items() if each.of == CLASSES])
def test_all_right_and_one_item_are_no_error(name):
    labels = np.array([0, 1, 1, 0])
    scores = np.eye(2)[labels]
    value, (low, high), _ = METRICS[name].compute(Answers(labels, scores, labels))
    assert value == (0 if name == "log_loss" else 1)
    assert low <= value <= high
    if name not in ("auc", "mcc"):
        METRICS[name].compute(Answers(labels[1:2], scores[1:2], labels[1:2]))


def test_what_does_not_vary_has_no_correlation():
    same = Answers(np.ones(5), NEAR[:5, None], np.zeros(5, np.int64))
    for name in ("r2", "pearson"):
        with pytest.raises(ValueError, match="the same number"):
            METRICS[name].compute(same)
    few = Answers(NUMBERS[:2], NEAR[:2, None], np.zeros(2, np.int64))
    low, high = METRICS["r2"].compute(few)[1]
    assert np.isfinite([low, high]).all()


def test_answers_that_are_not_finite_are_wrong_answers_or_refused():
    scores = SCORES.copy()
    scores[:30] = np.nan
    chosen = np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), -1)
    answers = Answers(LABELS, scores, chosen)
    for name in ("top1", "accuracy"):
        assert METRICS[name].compute(answers)[0] == pytest.approx(
            (CHOSEN[30:] == LABELS[30:]).sum() / 300
        )
    assert METRICS["f1"].compute(answers)[0] < METRICS["f1"].compute(many())[0]
    with pytest.raises(ValueError, match="30 of 300 answers are not finite"):
        METRICS["log_loss"].compute(answers)


class _Items:
    FIRST_LABEL = 0

    def __init__(self, labels, classes=None):
        self.labels, self.classes = np.asarray(labels), classes

    def label(self, items):
        return self.labels[items]


def scored(output, labels, classes=None, first=0, **stated):
    made = type("Checker", (MetricChecker,), stated)()
    made.dataloader = _Items(labels, classes)
    made.dataloader.FIRST_LABEL = first
    items = np.arange(len(labels))
    return made.score({"out": np.asarray(output)}, items, items)


def test_one_score_is_held_against_the_threshold():
    scores, labels = np.array([[0.2], [0.7], [0.9], [0.4]]), [0, 1, 0, 0]
    assert scored(scores, labels, METRICS=("accuracy",))["Accuracy"][0] == 0.75
    assert scored(scores, labels, METRICS=["accuracy"], THRESHOLD=0.1)["Accuracy"][0] == 0.25
    logits = np.array([-2.0, 3.0, 4.0, -1.0])
    found = scored(logits, labels, METRICS="accuracy", ACTIVATION="sigmoid")
    assert found["Accuracy"][0] == 0.75
    with pytest.raises(UserError, match="no probabilities; state ACTIVATION = 'sigmoid'"):
        scored(logits, labels, METRICS="accuracy")


def test_tiny_scores_keep_their_order():
    scores = np.array([1e-20, 2e-20, 3e-20, 4e-20])
    assert scored(scores, [0, 0, 1, 1], METRICS=["auc"])["AUC"][0] == 1


def test_a_model_may_answer_classes_by_number_or_name():
    assert scored([1, 0, 2], [1, 0, 1], METRICS=["top1"])["Top-1"][0] == pytest.approx(2 / 3)
    names = np.array(["cat", "dog", "dog"], dtype=object)
    found = scored(names, [0, 1, 0], ["cat", "dog"], METRICS=["accuracy"])
    assert found["Accuracy"][0] == pytest.approx(2 / 3)
    found = scored(np.array([1, 2, 3]), [0, 1, 2], METRICS=["top1"], first=1)
    assert found["Top-1"][0] == 1


@pytest.mark.parametrize(
    ("output", "labels", "stated", "words"),
    [
        (np.eye(3), [0, 1, 3], {}, "scores of 3 classes, and 1 of 3 labels are not in 0..2"),
        (np.eye(3), [1, 2, 3], {}, "FIRST_LABEL = 1"),
        (np.eye(3), [0, 1, 2], {"METRICS": ["auc"]}, "AUC is of two classes"),
        (np.eye(3) * 9, [0, 1, 2], {"METRICS": ["log_loss"]}, "ACTIVATION = 'softmax'"),
        (np.eye(3), [0, 1, 2], {"METRICS": ["topp1"]}, "did you mean 'top1'"),
        (np.eye(3), [0, 1, 2], {"METRICS": ["top1", "rmse"]}, "not both"),
        (np.eye(3), [0, 1, 2], {"METRICS": ["rmse"]}, "not a number"),
        (np.eye(3), [0, 1, 2], {"OUTPUT": "ou"}, "did you mean 'out'"),
        (np.eye(3), [0, 1, 2], {"ACTIVATION": "tanh"}, "allowed: none, sigmoid, softmax"),
        (np.eye(3), [0, 1, 2], {"ACTIVATION": "sigmoid"}, "'softmax' or 'none'"),
        (np.eye(3), [0.5, 1, 2], {}, "LABELS_ARE = 'classes'"),
        ([1, 0], [1, 0], {"METRICS": ["auc"]}, "this metric needs scores"),
        ([1, 0], [1, 0], {"METRICS": ["top5"]}, "need scores"),
        (np.array(["a"], object), [0], {}, "state CLASSES"),
    ],
)
def test_what_cannot_be_scored_says_what_to_state(output, labels, stated, words):
    with pytest.raises(UserError) as raised:
        scored(output, labels, **stated)
    assert words in str(raised.value)


def test_softmax_and_sigmoid_do_not_overflow():
    assert softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]

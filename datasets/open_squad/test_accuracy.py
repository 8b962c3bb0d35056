"""Exact Match and F1 of SQuAD 1.1, in percent, by the official definition; answers are the best of
the N_BEST spans of each window.

Official: answers in lower case without punctuation, articles and extra spaces; each question counts
its best gold answer. The text of an answer is a part of the paragraph, from the first token's first
character to the last token's last.
"""

from __future__ import annotations

import re
import string
from collections import Counter

import numpy as np

from qs.contract.item_dataset import ItemChecker
from qs.contract.scoring import bootstrap_mean, wilson

N_BEST, MAX_ANSWER = 20, 30


class AccuracyChecker(ItemChecker):
    """Takes two outputs [items, length] (start, end), or one [items, length, 2]."""

    def score(self, outputs, items, groups):
        data = self.dataloader
        start, end = two_logits(outputs)
        best = {}
        for row, item in enumerate(items):
            window = data.windows[item]
            found = best_span(start[row], end[row], window)
            if found is not None and found[0] > best.get(window.question, (-np.inf, ""))[0]:
                score, first, last = found
                context = data.questions[window.question].context
                best[window.question] = (
                    score,
                    context[window.pieces[first].begin : window.pieces[last].end],
                )
        exact, f1 = [], []
        for number in groups:
            answer = best.get(number, (0.0, ""))[1]
            gold = data.questions[number].answers
            exact.append(max(exact_match(answer, right) for right in gold))
            f1.append(max(f1_score(answer, right) for right in gold))
        match = wilson(int(sum(exact)), len(exact))
        return {
            "Exact Match": (100 * float(np.mean(exact)), [100 * each for each in match], "wilson"),
            "F1": (
                100 * float(np.mean(f1)),
                [100 * each for each in bootstrap_mean(f1)],
                "bootstrap",
            ),
        }


def two_logits(outputs):
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in outputs.items()}
    if len(arrays) == 1:
        (both,) = arrays.values()
        if both.ndim == 3 and both.shape[-1] == 2:
            return both[..., 0], both[..., 1]
    by_name = {
        side: [array for name, array in arrays.items() if side in name.lower()]
        for side in ("start", "end")
    }
    if len(by_name["start"]) == len(by_name["end"]) == 1:
        return by_name["start"][0], by_name["end"][0]
    if len(arrays) == 2:
        first, second = arrays.values()
        return first, second
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    raise ValueError(
        f"outputs {shapes}; needed: start and end logits, or one output [items, length, 2]"
    )


def best_span(start, end, window):
    """(score, first piece, last piece) of the window's best span; None if no scores are finite."""
    shown = slice(window.first, window.first + len(window.pieces))
    start, end = start[shown], end[shown]
    begins = [at for at in _largest(start) if window.best[at]]
    found = None
    for first in begins:
        for last in _largest(end):
            if first <= last < first + MAX_ANSWER:
                score = float(start[first] + end[last])
                if np.isfinite(score) and (found is None or score > found[0]):
                    found = (score, first, last)
    return found


def _largest(logits):
    usable = np.where(np.isfinite(logits), logits, -np.inf)
    return np.argsort(-usable, kind="stable")[:N_BEST].tolist()


def normalized(text):
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(answer, gold):
    return float(normalized(answer) == normalized(gold))


def f1_score(answer, gold):
    given, right = normalized(answer).split(), normalized(gold).split()
    same = sum((Counter(given) & Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(given), same / len(right)
    return 2 * precision * recall / (precision + recall)

"""Judgements of several nodes as one."""

from __future__ import annotations

from typing import Any

import pytest

from qs.contract.scoring import wilson
from qs.evaluate.nodes_verification import merged
from qs.result.verification_entry import VerificationEntry


def found(wrong: int = 0, apart: float | None = 0.0, **more: Any) -> dict[str, Any]:
    worst = {
        "request": 7,
        "worker": "0.1",
        "sample": 3,
        "output": "o",
        "apart": apart,
        "why": "far",
    }
    return {
        "mode": "all",
        "requests": 10,
        "checked": 9,
        "unchecked": 1,
        "wrong": wrong,
        "worst": worst if wrong else None,
        "tolerance": 1e-3,
        "idle_repeat": 0.0,
        **more,
    }


def texts(compared: int, same: int, earliest: int | None) -> dict[str, Any]:
    return {
        "compared": compared,
        "same": same,
        "share": 0.5,
        "low": 0.1,
        "high": 0.9,
        "unit": "word",
        "earliest": earliest,
        "median": earliest,
        "example": None,
        "idle_same": True,
    }


def score(items: int, right: int) -> dict[str, Any]:
    return {"name": "choice", "items": items, "right": right, "unread": 1, "value": 0, "low": 0,
            "high": 0}  # fmt: skip


def test_counts_are_added_and_the_worst_answer_names_its_node():
    whole = merged({"a": found(1, 0.5), "b": found(2, 0.7), "c": found()})
    entry = VerificationEntry(**whole)
    assert (entry.requests, entry.checked, entry.unchecked, entry.wrong) == (30, 27, 3, 3)
    assert entry.worst is not None and entry.worst.worker == "0.1 of node b"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_answer_that_cannot_be_compared_is_the_worst(order):
    every = {"a": found(1, 0.5), "b": found(1, None)}
    whole = merged({name: every[name] for name in order})
    assert whole["worst"]["worker"] == "0.1 of node b"


def test_notes_name_their_node():
    assert merged({"a": found(), "b": found(note="odd")})["note"] == "node b: odd"
    assert "note" not in merged({"a": found()})


def test_texts_and_scores_are_shares_of_all():
    whole = merged(
        {
            "a": found(texts=texts(10, 9, 4), score=score(10, 5)),
            "b": found(texts=texts(30, 15, 2), score=score(20, 20)),
        }
    )
    entry = VerificationEntry(**whole)
    assert entry.texts is not None and entry.score is not None
    assert (entry.texts.compared, entry.texts.same, entry.texts.earliest) == (40, 24, 2)
    assert entry.texts.share == 0.6
    assert [entry.texts.low, entry.texts.high] == wilson(24, 40)
    assert (entry.score.items, entry.score.right, entry.score.unread) == (30, 25, 2)
    assert [entry.score.low, entry.score.high] == wilson(25, 30)

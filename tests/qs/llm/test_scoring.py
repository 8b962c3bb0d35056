"""Exact match and multiple choice, answer by answer."""

from __future__ import annotations

import pytest

from qs.llm.prompt import Message, Prompt
from qs.llm.scoring import CHOICE, EXACT, chosen, place_of, right, score_of

CAPITALS = ("Rome", "Paris", "Berlin", "Madrid")


def prompt(answer: str | None, choices: tuple[str, ...] = ()) -> Prompt:
    return Prompt((Message("user", "?"),), answer=answer, choices=choices)


@pytest.mark.parametrize(
    ("text", "answer", "found"),
    [
        ("Paris", "Paris", True),
        ("  Paris\n", "Paris", True),
        ("a \t b", "a b", True),
        ("e\u0301", "\u00e9", True),
        ("paris", "Paris", False),
        ("Paris.", "Paris", False),
        ("", "Paris", False),
        ("", "", True),
        ("Paris", None, None),
    ],
)
def test_exact(text, answer, found):
    assert right(prompt(answer), text, EXACT) is found


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("B", 1),
        ("b", 1),
        ("(B)", 1),
        ("B.", 1),
        ("B) Paris", 1),
        ("Paris", 1),
        ("The answer is B.", 1),
        ("Answer: C", 2),
        ("The capital of France is Paris.", 1),
        ("The capital of France is paris!", 1),
        ("Paris or Rome", None),
        ("I think so", None),
        ("a city in France", None),
        ("E", None),
        ("", None),
        ("D\nbecause it is warm in Rome", 3),
    ],
)
def test_a_choice(text, choice):
    assert chosen(text, CAPITALS) == choice


@pytest.mark.parametrize(
    ("answer", "place"),
    [("Paris", 1), (" Paris ", 1), ("B", 1), ("b", 1), ("1", 1), ("4", None), ("Oslo", None)],
)
def test_the_right_choice_is_stated_by_text_letter_or_number(answer, place):
    assert place_of(answer, CAPITALS) == place


def test_numbers_that_are_choices_are_meant_as_such():
    assert place_of("2", ("4", "3", "2")) == 2


def test_choices_are_judged_by_place():
    assert right(prompt("B", CAPITALS), "It is Paris", CHOICE) is True
    assert right(prompt("B", CAPITALS), "A", CHOICE) is False
    assert right(prompt("B", CAPITALS), "who knows", CHOICE) is False
    assert right(prompt("Oslo", CAPITALS), "B", CHOICE) is None
    assert right(prompt(None, CAPITALS), "B", CHOICE) is None


def test_a_score_has_its_interval():
    found = score_of([True] * 45 + [False] * 5, CHOICE, unread=2)
    assert found is not None
    assert (found.items, found.right, found.unread, found.value) == (50, 45, 2, 0.9)
    # scipy.stats.binomtest(45, 50).proportion_ci(method="exact")
    assert found.low == pytest.approx(0.7819, abs=1e-4)
    assert found.high == pytest.approx(0.9667, abs=1e-4)


def test_nothing_scored_is_no_score():
    assert score_of([], EXACT) is None

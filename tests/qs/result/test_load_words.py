"""What the load came to in words, apart from what became of connections."""

from __future__ import annotations

import pytest

from qs.engine import outcome
from qs.result.load_words import NAMES, load_words
from qs.result.server_words import count_words
from tests.qs.result.test_keys import ROW


@pytest.mark.parametrize(
    ("counts", "words", "connections"),
    [
        (None, "", ""),
        ({"connections": 3, "replaced": 0}, "", "3 opened"),
        (
            {
                "conversations begun": 35,
                "conversations completed": 26,
                "conversations failed": 0,
                "conversations cut": 9,
                "held back": 81,
                "ms held back in all": 3_803,
                "connections": 2,
            },
            "35 conversations begun: 26 completed, 9 cut; 81 queries held back by --clients, "
            "for 3.8 s in all",
            "2 opened",
        ),
        (
            {"conversations begun": 1, "conversations failed": 1},
            "1 conversation begun: 1 failed",
            "",
        ),
        ({"conversations begun": 0}, "0 conversations begun", ""),
        ({"held back": 1}, "1 query held back by --clients, for 0 ms in all", ""),
    ],
)
def test_conversations_and_what_was_held_back(counts, words, connections):
    row = ROW.changed(counts=counts)
    assert load_words(row) == words
    assert count_words(row) == connections


def test_the_names_are_the_engines():
    """They stand in reports: the engine's may not change without these."""
    counted = ("BEGUN", "COMPLETED", "FAILED", "CUT", "HELD_BACK", "HELD_BACK_MS")
    assert {getattr(outcome, name) for name in counted} == NAMES

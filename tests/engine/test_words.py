"""Numbers in the engine's messages: never 1e+06, and as the program writes them."""

from __future__ import annotations

import pytest

from qs.base import words
from qs.engine.ruling import Rule
from qs.engine.words import number


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 6, "0"),
        (0.25, 6, "0.25"),
        (1_270.5, 6, "1,270.5"),
        (1_234_567.8, 6, "1,234,568"),
        (1_000_000, 6, "1,000,000"),
        (1e6, 4, "1,000,000"),
        (999_999.96, 6, "1,000,000"),
        (9.99996, 4, "10"),
        (0.000_012_345, 3, "0.0000123"),
        (-3.5, 6, "-3.5"),
        (float("inf"), 6, "inf"),
    ],
)
def test_a_number_is_read_without_an_exponent(value, digits, text):
    assert number(value, digits) == words.number(value, digits) == text


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (Rule("queries", 2_000_000, 10_000, False, unit="queries"), "10,000 queries, needed"),
        (Rule("throughput", 5_000.0, 4_999.98, False, unit="queries/s"), "4,999.98 queries/s"),
        (Rule("p99", 1e7, 5e15, False, unit="ns", bound="at most"), "5,000,000,000 ms, needed"),
        (Rule("interval", 2.0, None, False, unit="%"), "n/a, needed at least 2 %"),
    ],
)
def test_a_rule_says_its_numbers_so(rule, sentence):
    assert sentence in rule.sentence()

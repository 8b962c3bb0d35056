"""The arithmetic of the definitions, by tables and by what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import NOT_MEASURED
from qs.llm.definitions import (
    MOST,
    UNKNOWN,
    Carried,
    Known,
    event_gaps,
    from_to,
    measured,
    normalised_ns,
    per_token_ns,
    plausible,
    rate,
    shared_out,
    token_gaps,
    told,
    without_end,
)

NONE = NOT_MEASURED
EACH, SHARED = Known.EACH, Known.SHARED


@pytest.mark.parametrize(
    ("totals", "most", "expected"),
    [
        ([1, 2, 3], 3, Carried(EACH, [1, 1, 1])),
        ([2, 2, 5], 5, Carried(EACH, [2, 0, 3])),
        ([1, 2, 3], 4, Carried(EACH, [1, 1, 1])),  # the end was counted after the last of them
        ([1, 2, 3], None, Carried(EACH, [1, 1, 1])),
        ([1, 2, 3], 2, UNKNOWN),
        ([2, 1], 2, UNKNOWN),
        ([0, 1], 1, UNKNOWN),
        ([None, 1], 1, UNKNOWN),
        ([1, 1, 1], 2, UNKNOWN),  # an old figure, repeated
        ([1, 9, 17], 24, UNKNOWN),
        ([7], 7, Carried(EACH, [7])),
        ([], 3, UNKNOWN),
    ],
)
def test_what_a_server_tells_with_each_event(totals, most, expected) -> None:
    assert told(totals, most) == expected


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (3, [5, 1, 9], Carried(EACH, [1, 1, 1])),
        (7, [2, 1, 4], Carried(SHARED, [2, 1, 4])),
        (6, [1, 1, 1], Carried(SHARED, [2, 2, 2])),
        (5, [1, 1, 2], Carried(SHARED, [1, 2, 2])),
        (12, [0, 0, 3], Carried(SHARED, [1, 1, 10])),
        (4, [0, 0], Carried(SHARED, [2, 2])),
        (1, [4, 4, 4], Carried(SHARED, [1, 0, 0])),
        (2, [4, 4, 4, 4], Carried(SHARED, [1, 0, 1, 0])),
        (8, [3], Carried(SHARED, [8])),
        (0, [3], UNKNOWN),
        (3, [], UNKNOWN),
    ],
)
def test_tokens_are_shared_out(total, weights, expected) -> None:
    assert shared_out(total, weights) == expected


@given(st.integers(1, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=200))
def test_no_token_is_lost_or_made_when_they_are_shared_out(total: int, weights: list[int]) -> None:
    tokens = shared_out(total, weights).tokens
    assert sum(tokens) == total and len(tokens) == len(weights) and tokens[0] >= 1
    assert min(tokens) >= (1 if total >= len(weights) else 0)


@pytest.mark.parametrize(
    ("total", "events", "counted", "stopped", "expected"),
    [
        (9, 8, None, True, 8),  # the end was counted
        (9, 8, None, False, 9),  # at the length asked for, all have text
        (8, 8, None, True, 8),
        (10, 8, None, True, 10),
        (9, 3, 8, True, 8),  # several in an event, and the tokenizer counts 8
        (9, 8, 9, True, 9),  # the tokenizer counts all of them
        (1, 0, None, True, 1),
    ],
)
def test_the_end_has_no_text(total, events, counted, stopped, expected) -> None:
    assert without_end(total, events, counted, stopped) == expected


def test_more_tokens_than_the_text_can_have_are_not_believed() -> None:
    assert plausible(10, 40, 10) and plausible(60, 40, 10)
    assert not plausible(1 << 40, 40, 10)


@pytest.mark.parametrize(
    ("first", "last", "tokens", "expected"),
    [(100, 400, 4, 100), (100, 401, 3, 151), (100, 400, 1, NONE), (100, 400, 0, NONE),
     (100, 100, 5, NONE), (100, 90, 5, NONE)],
)  # fmt: skip
def test_tpot(first, last, tokens, expected) -> None:
    assert per_token_ns(first, last, tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "over_ns", "expected"),
    [(50, 10**9, 50_000), (1, 3 * 10**9, 333), (0, 10**9, NONE), (-1, 10**9, NONE), (5, 0, NONE),
     (5, -1, NONE), (MOST - 1, 1, NONE)],
)  # fmt: skip
def test_rates(tokens, over_ns, expected) -> None:
    assert rate(tokens, over_ns, 1000) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(5, 9, 4), (5, 5, NONE), (9, 5, NONE), (0, 5, NONE), (5, 0, NONE)],
)
def test_a_time_of_0_is_none(start, end, expected) -> None:
    assert from_to(start, end) == expected


def test_normalised() -> None:
    assert normalised_ns(1_000, 2_000, 4) == 250
    assert normalised_ns(1_000, 2_000, 0) == NONE
    assert normalised_ns(1_000, 0, 4) == NONE
    assert normalised_ns(1_000, 2_000, NONE) == NONE


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, NONE), (0, 0), (1.6, 2), (-1, NONE), (float("nan"), NONE), (float("inf"), NONE),
     (1e300, NONE), (MOST, NONE)],
)  # fmt: skip
def test_what_a_server_tells_of_itself(value, expected) -> None:
    assert measured(value) == expected


def array(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("instants", "answers", "tokens", "gaps", "between"),
    [
        ([], [], [], ([], []), ([], [])),
        ([10], [1], [4], ([], []), ([], [])),
        ([10, 40], [1, 1], [1, 1], ([30], [40]), ([30], [40])),
        # Three tokens in an event: its gap in three.
        ([10, 40], [1, 1], [1, 3], ([30], [40]), ([10, 10, 10], [40, 40, 40])),
        # What the first event carries has no gap before it.
        ([10, 40], [1, 1], [5, 1], ([30], [40]), ([30], [40])),
        # A part of a token belongs to the next event.
        ([10, 40, 60], [1, 1, 1], [1, 0, 2], ([30, 20], [40, 60]), ([25, 25], [60, 60])),
        # Two answers are not mixed.
        ([10, 40, 15, 25], [1, 1, 2, 2], [1, 1, 1, 1], ([30, 10], [40, 25]), ([30, 10], [40, 25])),
        # Two events in one read.
        ([10, 10], [1, 1], [1, 1], ([0], [10]), ([0], [10])),
    ],
)
def test_gaps(instants, answers, tokens, gaps, between) -> None:
    found = event_gaps(array(*instants), array(*answers))
    assert ([*found.values], [*found.instants]) == gaps
    found = token_gaps(array(*instants), array(*answers), array(*tokens))
    assert ([*found.values], [*found.instants]) == between


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 9)), min_size=2, max_size=50))
def test_the_gaps_of_tokens_sum_up_to_those_of_events(parts: list[tuple[int, int]]) -> None:
    instants = np.cumsum([gap for gap, _ in parts]).astype(np.int64)
    tokens = array(*(count for _, count in parts))
    answers = np.ones(len(parts), np.int64)
    between = token_gaps(instants, answers, tokens).values
    assert len(between) == tokens[1:].sum()
    assert abs(int(between.sum()) - int(instants[-1] - instants[0])) <= len(between)

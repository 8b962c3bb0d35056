"""Where two answers to one prompt part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.llm.agreement import Parting, agreement_of, parting, words


@pytest.mark.parametrize(
    ("idle", "busy", "found"),
    [
        ("the cat sat", "the cat sat", None),
        ("", "", None),
        ("the cat sat", "the dog sat", Parting(2, 3, " cat", " dog")),
        ("the cat sat", "a cat sat", Parting(1, 3, "the", "a")),
        ("the cat", "the cat sat", Parting(3, 2, "", " sat")),
        ("the cat sat", "the cat", Parting(3, 3, " sat", "")),
        ("the cat", "", Parting(1, 2, "the", "")),
        ("the cat", "the  cat", Parting(2, 2, " cat", "  cat")),
        ("the cat ", "the cat", Parting(3, 3, " ", "")),
    ],
)
def test_where_answers_part(idle, busy, found):
    assert parting(idle, busy) == found


def test_pieces_may_be_tokens():
    assert parting("abcd", "abxd", list) == Parting(3, 4, "c", "x")


@given(st.text())
def test_words_are_the_whole_text(text):
    assert "".join(words(text)) == text


@given(st.text(), st.text())
def test_only_equal_answers_do_not_part(idle, busy):
    found = parting(idle, busy)
    assert (found is None) == (idle == busy)
    if found is not None:
        assert found.idle != found.busy
        assert found.piece <= found.of + 1


def test_a_share_with_its_interval():
    at = Parting(5, 9, "a", "b"), Parting(40, 90, "a", "b")
    found = agreement_of([(None, 96), (at[0], 1), (at[1], 3)])
    assert (found.compared, found.same, found.share) == (100, 96, 0.96)
    # scipy.stats.binomtest(96, 100).proportion_ci(method="exact")
    assert (found.low, found.high) == (
        pytest.approx(0.9007, abs=1e-4),
        pytest.approx(0.989, abs=1e-3),
    )
    assert (found.earliest, found.median) == (5, 40)


def test_nothing_compared_is_no_share():
    found = agreement_of([])
    assert (found.compared, found.share, found.low, found.earliest) == (0, None, None, None)


def test_all_the_same_have_no_parting():
    found = agreement_of([(None, 10)])
    assert (found.share, found.high, found.earliest, found.median) == (1.0, 1.0, None, None)
    assert found.low == pytest.approx(0.6915, abs=1e-4)

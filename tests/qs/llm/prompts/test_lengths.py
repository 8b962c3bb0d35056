"""Lengths as they are typed, and as they are drawn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.base.errors import UserError
from qs.llm.prompts.drawing import Stream
from qs.llm.prompts.lengths import LONGEST, Lengths, check_lengths, read_lengths

FLAG = "--input_tokens"


def drawn(text: str, count: int = 4000, seed: int = 0) -> np.ndarray:
    return read_lengths(text, FLAG).drawn(count, seed, Stream.INPUT_LENGTHS)[0]


@pytest.mark.parametrize(
    ("text", "mean", "median", "low", "high"),
    [
        ("128", 128, 128, 128, 128),
        (" 128 ", 128, 128, 128, 128),
        ("uniform:64,512", 288, 288, 64, 512),
        ("uniform:7,7", 7, 7, 7, 7),
        ("normal:512,64", 512, 512, 200, 800),
        ("normal:512,0", 512, 512, 512, 512),
        ("lognormal:512,0.5", 512 * math.exp(0.125), 512, 50, 5120),
        ("lognormal:512,0", 512, 512, 512, 512),
        ("normal:100,15,min=90,max=110", 100, 100, 90, 110),
        ("normal:100,15, max=110, min=90", 100, 100, 90, 110),
    ],
)
def test_what_is_drawn(text: str, mean: float, median: float, low: int, high: int) -> None:
    found = drawn(text)
    spread = max(high - low, 1)
    assert found.dtype == np.int64
    assert abs(found.mean() - mean) <= 0.03 * spread
    assert abs(np.median(found) - median) <= 0.03 * spread
    assert low <= found.min() <= found.max() <= high


def test_what_lies_beyond_a_bound_is_counted() -> None:
    lengths = read_lengths("uniform:1,100,min=11,max=90", FLAG)
    found, bounded = lengths.drawn(10_000, 0, Stream.INPUT_LENGTHS)
    assert bounded == pytest.approx(2000, abs=200)
    assert np.count_nonzero((found == 11) | (found == 90)) > bounded


@given(
    st.sampled_from(["uniform:5,50", "normal:30,20", "lognormal:20,2", "9"]),
    st.integers(0, 2**63 - 1),
    st.integers(1, 40),
    st.integers(0, 40),
)
@settings(max_examples=50)
def test_the_same_seed_draws_the_same_and_bounds_hold(
    text: str, seed: int, least: int, more: int
) -> None:
    bounded = f"{text},min={least},max={least + more}"
    found = drawn(bounded, 20, seed)
    assert found.tolist() == drawn(bounded, 20, seed).tolist()
    assert least <= found.min() <= found.max() <= least + more
    # more of them begin as fewer do
    assert drawn(bounded, 30, seed)[:20].tolist() == found.tolist()


@pytest.mark.parametrize(
    "content",
    [
        "tokens,count\n100,3\n200,1\n",
        "100,3\n200,1\n",
        "100, 2\r\n\r\n200, 1\r\n100, 1\r\n300, 0\r\n",
        '{"100": 3, "200": 1}',
        "[[100, 3], [200, 1]]",
        '[{"tokens": 100, "count": 3}, {"tokens": 200, "count": 1.0}]',
    ],
)
def test_a_histogram_is_read(tmp_path: Path, content: str) -> None:
    file = tmp_path / "lengths"
    file.write_text(content)
    found = drawn(f"histogram:{file},max=150")
    assert set(found) == {100, 150}
    assert np.count_nonzero(found == 100) == pytest.approx(3000, abs=120)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no lengths"),
        ("tokens,count\n", "has no lengths"),
        ("100,0\n", "has no lengths"),
        ("[]", "has no lengths"),
        ("3", "line 1 tokens is None"),
        ("1,2\nx,3\n0,1\n", "line 2 tokens is 'x'"),
        ("1,2\nx,3\n0,1\n", "line 3 tokens is 0.0"),
        ("1.5,2\n", "line 1 tokens is 1.5"),
        ("5,-2\n", "line 1 count is -2.0"),
        ("5,nan\n", "line 1 count is nan"),
        ('{"a": 1}', "[a] tokens is 'a'"),
        ('[{"count": 1}]', "[0] tokens is None"),
        ("[[1]]", "[0] tokens is None"),
        ('{"1": true}', "count is True"),
        ("[1, 2", "not JSON"),
        (f"{LONGEST + 1},1\n", "allowed: whole tokens from 1 to"),
        ("\0", "NUL"),
    ],
)
def test_what_is_wrong_with_a_histogram(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "lengths"
    file.write_text(content)
    with pytest.raises(UserError) as raised:
        read_lengths(f"histogram:{file}", FLAG)
    assert message in str(raised.value)
    assert str(file) in str(raised.value)


def test_a_histogram_that_is_not_there() -> None:
    check_lengths("histogram:nowhere.csv")
    with pytest.raises(UserError, match=r"nowhere.csv: no such file"):
        read_lengths("histogram:nowhere.csv", FLAG)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "0", "-5", "1.5", "1e3x", "nan", "inf", str(LONGEST + 1), "128,256", "min=3"),
        *("uniform:", "uniform:5", "uniform:9,5", "uniform:1.5,5", "uniform:0,5", "uniform:1,2,3"),
        *("normal:5", "normal:5,-1", "normal:-5,1", "normal:inf,1", "normal:5,x"),
        *("lognormal:5", "lognormal:5,11", "lognormal:0,1", "histogram:", "poisson:3", "128:3"),
        *("9,min=0", "9,min=x", "9,max=-1", "9,min=5,max=4", "9,max=99999999999999999999"),
    ],
)
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_lengths(text)
    with pytest.raises(UserError) as raised:
        read_lengths(text, FLAG)
    assert str(raised.value).startswith(f"{FLAG} is ")


@given(st.text(max_size=30))
def test_any_text_is_a_length_or_a_fault(text: str) -> None:
    try:
        check_lengths(text)
    except ValueError:
        return
    assert isinstance(read_lengths("1", FLAG), Lengths)

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qs.tensors.numeric import compare, distributions, summarise, worst_item


def test_published_metrics_by_hand():
    row = compare(np.array([1.0, -2.0, 0.0, 4.0]), np.array([1.5, -2.0, 0.25, 3.0]))
    apart = [0.5, 0.0, 0.25, 1.0]
    assert row["Mean Diff"] == pytest.approx(0.4375)
    assert row["Std Diff"] == pytest.approx(np.std(apart))
    assert row["Max Diff"] == 1.0
    assert row["Max Rel-Diff"] == 0.5  # 0.5/1; where the reference is 0: 0.25/1
    assert row["Mean Rel-Diff"] == pytest.approx((0.5 + 0 + 0.25 + 0.25) / 4)
    assert row["Cosine Similarity"] == pytest.approx(
        17.5 / (math.sqrt(21) * math.sqrt(2.25 + 4 + 0.0625 + 9))
    )
    assert (row["NaN Count"], row["Inf Count"], row["failed"]) == (0, 0, None)


@pytest.mark.parametrize(
    ("reference", "other", "nan", "inf", "reason"),
    [
        ([1, 2, 3], [1, math.nan, 3], 1, 0, "1 NaN of 3 values"),
        ([1, 2, 3], [math.inf, 2, -math.inf], 0, 2, "2 infinite of 3 values"),
        ([1, 2], [math.nan, math.inf], 1, 1, "1 NaN, 1 infinite of 2 values"),
        ([math.nan, 2], [1, 2], 0, 0, "1 not finite in the reference itself of 2 values"),
        ([], [], 0, 0, None),
        ([1, 2], [], 0, 0, "shape [0], but the reference has [2]"),
        ([1, 2, 3], [1, 2], 0, 0, "shape [2], but the reference has [3]"),
    ],
)
def test_what_fails(reference, other, nan, inf, reason):
    row = compare(np.array(reference, dtype=np.float32), np.array(other, dtype=np.float32))
    assert (row["NaN Count"], row["Inf Count"], row["failed"]) == (nan, inf, reason)


def test_nan_is_not_zero():
    """The published code replaces NaN by 0: where the truth is 0, a NaN would agree perfectly."""
    row = compare(np.zeros(4), np.full(4, np.nan))
    assert row["failed"] and row["Mean Diff"] is None


def test_relative_differences_have_no_sign():
    row = compare(np.array([-2.0, 4.0]), np.array([-1.0, 4.0]))
    assert (row["Max Rel-Diff"], row["Mean Rel-Diff"]) == (0.5, 0.25)


def test_other_types():
    assert compare(np.array([True, False]), np.array([1, 0]))["Max Diff"] == 0
    assert compare(np.array(["a"]), np.array(["a"]))["failed"] is None
    text = compare(np.array(["a", "c"], object), np.array(["a", "b"]))
    assert text["failed"] == "1 of 2 texts differ; the first is 'b', the reference has 'c'"
    assert text["Cosine Similarity"] is None and text["Elements"] == 2
    assert "numbers, but" in compare(np.array(["a"]), np.ones(1))["failed"]
    integers = compare(np.ones(2, np.float32), np.ones(2, np.int8))
    assert integers["failed"] == "int8 values, but the reference has float32"
    assert compare(np.ones(2, np.float32), np.ones(2, np.float16))["failed"] is None
    assert compare(np.ones(2, np.int64), np.ones(2, np.int32))["failed"] is None
    assert (
        compare(np.array([200], dtype=np.uint8), np.array([250], dtype=np.uint8))["Max Diff"] == 50
    )


def test_zero_vectors():
    assert compare(np.zeros(3), np.zeros(3))["Cosine Similarity"] == 1.0
    assert compare(np.zeros(3), np.ones(3))["Cosine Similarity"] is None


@given(
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-(2.0**100), 2.0**100, width=32))
)
def test_an_array_agrees_with_itself(array):
    row = compare(array, array.copy())
    assert row["failed"] is None and row["Max Diff"] == row["Mean Rel-Diff"] == 0
    assert row["Cosine Similarity"] == pytest.approx(1.0)


@given(hnp.arrays(np.float64, (2, 30), elements=st.floats(-1e6, 1e6)))
def test_bounds(pair):
    row = compare(pair[0], pair[1])
    assert 0 <= row["Mean Diff"] <= row["Max Diff"] * (1 + 1e-12)
    assert row["Std Diff"] <= row["Max Diff"]
    assert row["Cosine Similarity"] is None or -1 <= row["Cosine Similarity"] <= 1


def test_summary_equals_one_comparison_of_everything():
    rng = np.random.default_rng(0)
    reference, other = rng.normal(size=(2, 100))
    whole = compare(reference, other)
    summary = summarise(
        {"a": compare(reference[:30], other[:30]), "b": compare(reference[30:], other[30:])}
    )
    for key in ("Mean Diff", "Std Diff", "Max Diff", "Max Rel-Diff", "Mean Rel-Diff"):
        assert summary[key] == pytest.approx(whole[key]), key


def test_summary_names_the_output_that_failed():
    good, bad = compare(np.ones(2), np.ones(2)), compare(np.ones(2), np.array([1, np.nan]))
    summary = summarise({"start": good, "end": bad})
    assert summary["failed"] == "end: 1 NaN of 2 values" and summary["NaN Count"] == 1
    assert summarise({})["failed"]


@pytest.mark.parametrize(
    ("other", "failed"),
    [
        (lambda want: want * 1.02 + 0.01, False),  # reduced precision, roughly
        (lambda want: want[::-1], True),
        (lambda want: -want, True),
        (lambda want: np.zeros_like(want), True),
    ],
)
def test_other_answers_fail_and_other_rounding_does_not(other, failed):
    want = np.random.default_rng(0).normal(size=500).astype(np.float32)
    assert bool(compare(want, other(want))["failed"]) is failed


@pytest.mark.parametrize(
    ("want", "got", "dtype", "ulp"),
    [
        ([1.0, 2.0], [1.0, 2.0], np.float32, 0),
        ([1.0], [np.nextafter(np.float32(1), np.float32(2))], np.float32, 1),
        ([0.0], [-0.0], np.float32, 0),
        ([np.float32(1e-45)], [-np.float32(1e-45)], np.float32, 2),
        ([1.0], [2.0], np.float32, 1 << 23),
        ([1.0, math.nan], [1.0, 1.0], np.float32, 0),
        ([1.0], [2.0], np.float64, None),
    ],
)
def test_ulp_counts_the_float32_values_between(want, got, dtype, ulp):
    assert compare(np.array(want, dtype=dtype), np.array(got, dtype=dtype))["Max ULP"] == ulp


@pytest.mark.parametrize(
    ("want", "got", "agree"),
    [
        ([[1, 2], [3, 1]], [[1, 5], [2, 1]], 1.0),
        ([[1, 2], [3, 1]], [[5, 1], [2, 1]], 0.5),
        ([[1, 2], [3, 1]], [[math.nan, 2], [2, 1]], 0.5),
        ([1, 2], [1, 2], None),
        ([[1], [2]], [[1], [2]], None),
    ],
)
def test_top_1_agreement(want, got, agree):
    assert (
        compare(np.array(want, np.float32), np.array(got, np.float32))["Top-1 Agreement"] == agree
    )


@pytest.mark.parametrize(
    ("want", "got", "items", "expected"),
    [
        ([[0, 0], [0, 0], [0, 0]], [[0, 1], [0, -3], [2, 0]], 3, {"item": 1, "max_diff": 3.0}),
        (
            [[0], [0], [0], [0]],
            [[0], [1], [2], [0]],
            2,
            {"item": 1, "max_diff": 2.0},
        ),  # two rows an item
        ([[0], [0]], [[9], [math.nan]], 2, {"item": 1, "max_diff": None}),
        ([[0], [0], [0]], [[0], [0], [0]], 2, None),
        ([[0], [0]], [[0]], 2, None),
    ],
)
def test_the_worst_item_is_named(want, got, items, expected):
    assert worst_item(np.array(want, np.float32), np.array(got, np.float32), items) == expected


@pytest.mark.parametrize("values", [[0.0], [1e30, -1e30], [1e-40, 2e-40], [3.0, 3.0, 3.0]])
def test_every_finite_element_is_in_the_distributions(values):
    want = np.array([*values, math.nan], np.float32)
    panels = distributions(want, want)
    assert {name: int(panel["counts"].sum()) for name, panel in panels.items()} == dict.fromkeys(
        panels, len(values)
    )
    assert distributions(want, want[:1]) is None

"""Histograms hold what the HdrHistogram library would hold, and say only what counts support."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from qs.engine.record.histogram import (
    COUNTS,
    HIGHEST_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
    TRACKABLE_LIMIT_NS,
    Histogram,
    highest_value_of,
    index_of,
    indices_of,
    lowest_value_of,
    samples_needed,
)

# Every edge of the layout: around powers of two, sub-bucket edges of several buckets, and both ends
# of the range.
EDGES = sorted(
    {
        0,
        1,
        2,
        2047,
        2048,
        2049,
        4095,
        4096,
        4097,
        HIGHEST_NS - 1,
        HIGHEST_NS,
        HIGHEST_NS + 1,
        TRACKABLE_LIMIT_NS - 1,
    }
    | {(1 << bit) + by for bit in range(1, 42) for by in (-1, 0, 1)}
    | {(1 << bit) * 3 // 2 + by for bit in range(11, 41) for by in (-1, 0, 1)}
)
PERCENTILES = (0, 0.1, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100)

trackable = st.integers(0, TRACKABLE_LIMIT_NS - 1) | st.integers(0, 5_000) | st.sampled_from(EDGES)
drawn = st.lists(trackable, max_size=200)


def theirs(values) -> HdrHistogram:
    hdr = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    for value in values:
        hdr.record_value(int(value))
    return hdr


def ours(values) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values, np.int64))
    return histogram


def same_counts(histogram: Histogram, hdr: HdrHistogram) -> bool:
    return bool(np.array_equal(histogram.counts, np.ctypeslib.as_array(hdr.counts)))


def state(histogram: Histogram) -> tuple:
    return (
        histogram.counts.tobytes(),
        histogram.count,
        histogram.min_ns,
        histogram.max_ns,
        histogram.sum_ns,
        histogram.out_of_range,
    )


def test_layout_is_the_library_s():
    hdr = theirs([])
    assert hdr.counts_len == COUNTS
    assert hdr.get_highest_equivalent_value(highest_value_of(COUNTS - 1)) == TRACKABLE_LIMIT_NS - 1
    assert hdr.record_value(TRACKABLE_LIMIT_NS - 1)
    assert not hdr.record_value(TRACKABLE_LIMIT_NS)


def test_counts_at_every_edge_are_record_value_s():
    assert same_counts(ours(EDGES), theirs(EDGES))


@given(drawn)
@settings(max_examples=40)
def test_counts_are_record_value_s(values):
    assert same_counts(ours(values), theirs(values))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_counts_of_many_values_are_record_value_s(seed):
    """Large arrays take another way through `record` than small ones."""
    random = np.random.default_rng(seed)
    values = np.exp(random.uniform(0, np.log(TRACKABLE_LIMIT_NS), 1_000)).astype(np.int64)
    assert same_counts(ours(values), theirs(values))


@given(trackable)
@settings(max_examples=50)
def test_index_of_one_equals_that_of_many(value):
    index = index_of(value)
    assert indices_of(np.array([value], np.int64)).tolist() == [index]
    assert lowest_value_of(index) <= value <= highest_value_of(index)
    hdr = theirs([value])
    assert hdr.get_lowest_equivalent_value(value) == lowest_value_of(index)
    assert hdr.get_highest_equivalent_value(value) == highest_value_of(index)


def test_three_digits_hold_everywhere():
    for value in EDGES:
        index = index_of(value)
        assert highest_value_of(index) - lowest_value_of(index) <= value / 1_000


@pytest.mark.parametrize("size", [3, 3_000])
def test_what_does_not_fit_is_counted_and_nowhere_else(size):
    good = list(range(1, size + 1))
    histogram = ours([*good, -1, -(10**12), TRACKABLE_LIMIT_NS, 2**62])
    assert histogram.out_of_range == 4
    assert state(histogram)[:5] == state(ours(good))[:5]


def test_only_values_that_do_not_fit():
    histogram = ours([-5, TRACKABLE_LIMIT_NS])
    assert (histogram.count, histogram.out_of_range, histogram.min_ns, histogram.max_ns) == (
        0,
        2,
        0,
        0,
    )
    assert histogram.percentile_ns(50) == 0


def test_empty():
    histogram = ours([])
    assert (histogram.count, histogram.mean_ns, histogram.percentile_ns(99)) == (0, 0.0, 0)
    assert histogram.reported_ns(100) is None
    assert histogram.to_hdr().total_count == 0


@given(
    st.lists(
        st.lists(trackable | st.sampled_from([-1, TRACKABLE_LIMIT_NS]), max_size=40), max_size=5
    )
)
@settings(max_examples=40)
def test_merged_equals_whole(parts):
    merged = Histogram()
    for part in parts:
        merged.merge(ours(part))
    assert state(merged) == state(ours([value for part in parts for value in part]))


@given(st.lists(trackable, min_size=1, max_size=60))
@settings(max_examples=20)
def test_percentiles_are_the_library_s_within_minimum_and_maximum(values):
    histogram = ours(values)
    library = theirs(values).get_percentile_to_value_dict(list(PERCENTILES))
    found = [histogram.percentile_ns(percentile) for percentile in PERCENTILES]
    expected = [
        min(max(library[percentile], min(values)), max(values)) for percentile in PERCENTILES
    ]
    assert found == expected
    assert found == sorted(found)
    assert min(values) <= found[0] and found[-1] == max(values)


def test_one_value_is_every_percentile():
    histogram = ours([1_234_567])
    assert {histogram.percentile_ns(percentile) for percentile in PERCENTILES} == {1_234_567}


@given(drawn)
@settings(max_examples=40)
def test_minimum_maximum_and_mean_are_exact(values):
    histogram = ours(values)
    if values:
        assert (histogram.min_ns, histogram.max_ns) == (min(values), max(values))
        assert histogram.mean_ns == sum(values) / len(values)


@pytest.mark.parametrize(
    ("percentile", "needed"),
    [
        (50, 5),
        (90, 29),
        (95, 59),
        (99, 299),
        (99.9, 2_995),
        (99.99, 29_956),
        (5, 59),
        (1, 299),
        (0, 1),
        (100, 1),
    ],
)
def test_samples_needed(percentile, needed):
    assert samples_needed(percentile) == needed


@pytest.mark.parametrize(("count", "reported"), [(298, None), (299, 7)])
def test_a_percentile_without_samples_is_not_reported(count, reported):
    histogram = ours([7] * count)
    assert histogram.reported_ns(99) == reported
    assert histogram.percentile_ns(99) == 7


@given(st.lists(trackable, min_size=1, max_size=60))
@settings(max_examples=15)
def test_to_hdr_is_what_the_library_would_hold(values):
    converted, direct = ours(values).to_hdr(), theirs(values)
    assert same_counts(ours(values), converted) and same_counts(ours(values), direct)
    assert (converted.total_count, converted.min_value, converted.max_value) == (
        len(values),
        min(values),
        max(values),
    )
    assert converted.encode() == direct.encode()
    assert HdrHistogram.decode(converted.encode()).get_value_at_percentile(
        99
    ) == direct.get_value_at_percentile(99)


def test_recording_again_adds():
    histogram = ours([5, 3_000])
    histogram.record(np.array([1, 9_999_999], np.int64))
    assert state(histogram) == state(ours([5, 3_000, 1, 9_999_999]))


@given(st.lists(trackable, min_size=1, max_size=50))
@settings(max_examples=50)
def test_what_an_index_stands_for_is_the_same_for_one_and_for_many(found):
    index = np.array([index_of(value) for value in found], np.uint16)
    lowest, highest = Histogram.bottoms_ns(index), Histogram.tops_ns(index)
    assert lowest.dtype == highest.dtype == np.int64
    assert lowest.tolist() == [lowest_value_of(int(at)) for at in index]
    assert highest.tolist() == [highest_value_of(int(at)) for at in index]
    assert Histogram.middles_ns(index).tolist() == ((lowest + highest) / 2).tolist()
    assert [Histogram.width_ns_at(value) for value in found] == (highest - lowest).tolist()

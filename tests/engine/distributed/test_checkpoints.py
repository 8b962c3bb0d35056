"""Checkpoints: what a node tells while it runs comes back as it was, a lying one is found out, and
of a lost one everything until then is kept and everything after is accounted for.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import (
    Histogram,
)
from qs.engine.distributed.results.checkpoints import (
    plain_checkpoint,
    plain_snapshot,
    snapshot_of,
)
from qs.engine.distributed.results.counts import (
    filled_of,
    histogram_of,
    intervals_of,
    packed,
    plain_histogram,
    unpacked,
)
from qs.engine.record.histogram import COUNTS
from qs.engine.record.intervals import Interval
from tests.engine.distributed.snapshots import histogram, snapshot
from tests.engine.distributed.test_merging import same_histogram
from tests.fakes import MS, S

LIES = (ValueError, TypeError)


@given(st.lists(st.lists(st.integers(0, (1 << 62) - 1), max_size=50), max_size=4))
def test_numbers_come_back(lists):
    arrays = [np.array(each, np.int64) for each in lists]
    back = unpacked(packed(*arrays), len(arrays))
    assert [each.tolist() for each in back] == lists


@given(st.lists(st.integers(-1, 1 << 44), max_size=300))
def test_a_histogram_comes_back(values):
    one = histogram(values)
    back = histogram_of(plain_histogram(one))
    assert same_histogram(one, back)
    assert one.summary() == back.summary()
    again = histogram_of(plain_histogram(back))
    assert same_histogram(one, again)
    both = Histogram()
    both.merge(back)
    both.merge(again)
    assert (both.count, both.sum_ns) == (2 * one.count, 2 * one.sum_ns)


def test_what_is_kept_is_not_written_to():
    back = histogram_of(plain_histogram(histogram([5, 6])))
    with pytest.raises(ValueError, match="read-only"):
        back.counts[7] = 1


@pytest.mark.parametrize("torn", [{"sum_ns": 5}, {"min_ns": 900}, {"count": 1}])
def test_a_histogram_that_is_written_to_meanwhile_is_told_by_its_counts(torn):
    one = histogram([1_000, 2_000])
    one.out_of_range = 3
    for name, value in torn.items():
        setattr(one, name, value)
    back = histogram_of(plain_histogram(one))
    assert (back.count, back.min_ns, back.max_ns, back.out_of_range) == (2, 1_000, 2_000, 3)


def test_the_sum_of_hours_is_exact():
    one = histogram(np.full(3_000_000, 3_600_000_000_000))
    one.sum_ns = 3_000_000 * 3_600_000_000_000
    assert one.sum_ns > 1 << 62
    assert histogram_of(plain_histogram(one)).sum_ns == one.sum_ns


intervals_drawn = st.lists(
    st.tuples(
        st.integers(0, 1_000),
        st.dictionaries(st.integers(0, COUNTS - 1), st.integers(1, 1 << 40), max_size=20),
        st.integers(0, 5),
    ),
    max_size=20,
    unique_by=lambda each: each[0],
)


def interval(number, counts, failed=0):
    index = np.array(sorted(counts), np.int64)
    return Interval.compact(
        number, index, np.array([counts[at] for at in sorted(counts)], np.int64), failed
    )


@given(intervals_drawn)
def test_intervals_come_back(drawn):
    found = [interval(*each) for each in sorted(drawn, key=lambda each: each[0])]
    back = intervals_of(plain_checkpoint(enumerate(found)), 1_000)
    assert [(each.number, each.failed) for each in back] == [
        (each.number, each.failed) for each in found
    ]
    for one, other in zip(found, back):
        assert np.array_equal(one.index, other.index) and np.array_equal(one.counts, other.counts)


def test_intervals_of_several_workers_are_one_each():
    found = [(0, interval(3, {5: 1}, 1)), (1, interval(2, {9: 1})), (1, interval(3, {4: 1, 5: 1}))]
    back = intervals_of(plain_checkpoint(found), 3)
    assert [
        (each.number, each.index.tolist(), each.counts.tolist(), each.failed) for each in back
    ] == [
        (2, [9], [1], 0),
        (3, [4, 5], [1, 2], 1),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut off"),
        (b"nothing", "none"),
        (7, "int for packed numbers"),
        (packed(np.arange(3)), "missing"),
        (packed(*[np.arange(3)] * 6), "more than was to be packed"),
        (zlib.compress(b"\x03" + bytes(8)), "no size"),
        (zlib.compress(b"\x08" + (1 << 60).to_bytes(8, "little")), "no size"),
        (zlib.compress(bytes(200 << 20), 9), "too many"),  # a bomb
        (packed(np.array([1]), *[np.zeros(0, np.int64)] * 4), "no order"),
        (packed(*map(np.array, ([5], [0], [1], [1], [1]))), "last there can be"),
        (packed(*map(np.array, ([1], [0], [1], [COUNTS], [1]))), "no histogram"),
        (packed(*map(np.array, ([1], [0], [1], [1], [0]))), "nothing"),
        (packed(*map(np.array, ([1], [0], [2], [1, 0], [1, 1]))), "no order"),
        (packed(*map(np.array, ([1], [0], [2], [1], [1]))), "belong"),
        (packed(*map(np.array, ([2, 1], [0, 0], [1, 1], [1, 1], [1, 1]))), "no order"),
    ],
)  # fmt: skip
def test_intervals_that_cannot_be_are_refused(data, why):
    with pytest.raises(LIES, match=why):
        intervals_of(data, 4)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, packed(np.array([1]), np.array([9])), "not that of its values"),
        (0, packed(np.array([0]), np.array([2])), "least or greatest"),
        (0, packed(np.array([1, 0]), np.array([1, 1])), "no order"),
        (0, packed(np.array([1, COUNTS]), np.array([1, 1])), "no order|no histogram"),
        (0, packed(np.array([1]), np.array([1, 1])), "belong"),
        (1, 3, "not that of its values"),
        (1, -2, "number from"),
        (1, 2.0, "number from"),
        (1, True, "number from"),
        (2, 900, "least or greatest"),
        (3, 1, "least or greatest"),
        (4, -1, "number from"),
        (5, "1", "number from"),
        (4, float("nan"), "number from"),
        (4, 1 << 200, "number from"),
        (4, 1, "sum"),
        (4, 10**12, "sum"),
    ],
)
def test_a_histogram_that_no_values_make_is_refused(at, value, why):
    plain = list(plain_histogram(histogram([1_000, 2_000])))
    plain[at] = value
    with pytest.raises(LIES, match=why):
        histogram_of(plain)


@pytest.mark.parametrize("plain", [None, 5, "histogram", (), {}, [b""] * 6, (1,) * 7])
def test_something_else_is_no_histogram(plain):
    with pytest.raises(LIES):
        histogram_of(plain)


def test_a_snapshot_comes_back():
    one = snapshot([MS, 2 * MS], {"dropped": 3}, lateness=histogram([1]))
    back = snapshot_of(plain_snapshot(one))
    assert (back.now_ns, back.start_ns, back.completed, back.errors_by_kind) == (
        3 * S,
        0,
        2,
        {"dropped": 3},
    )
    assert same_histogram(one.response, back.response) and back.service is back.response
    assert same_histogram(one.lateness, back.lateness)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, -1),
        (2, 3),
        (3, {"dropped": -1}),
        (3, {7: 1}),
        (3, {"x" * 500: 1}),
        (3, {str(each): 1 for each in range(5_000)}),
        (3, [1]),
        (4, None),
        (5, b"no"),
        (6, ()),
    ],
)
def test_a_snapshot_that_cannot_be_is_refused(at, value):
    plain = list(plain_snapshot(snapshot()))
    plain[at] = value
    with pytest.raises(LIES):
        snapshot_of(plain)
    with pytest.raises(LIES):
        snapshot_of(plain[:-1])


def test_a_checkpoint_of_a_second_is_small():
    """1,000 requests of 1 to 20 ms a second, told in ten intervals, and all of a minute."""
    draw = np.random.default_rng(1)
    times = draw.gamma(4.0, 1.5 * MS, 60_000).astype(np.int64)
    ten = []
    for number in range(10):
        one = histogram(times[number * 100 : number * 100 + 100])
        index, counts = filled_of(one)
        ten.append((0, Interval.compact(number, index, counts, 0)))
    assert len(plain_checkpoint(ten)) < 2_500
    assert len(plain_histogram(histogram(times))[0]) < 7_000


# What is left of a node that was lost.

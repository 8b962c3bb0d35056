"""The early-stopping bound equals the exact binomial sum, and LoadGen's published numbers; so does
the beta function behind it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine.judging.scenarios.early_stopping import (
    count_over,
    estimate_ns,
    may_be_over,
    queries_needed,
)
from qs.engine.record.histogram import Histogram, highest_value_of, index_of
from qs.engine.statistics.beta import binomial_at_most, regularized_beta, student_t


def exactly_at_most(count: int, trials: int, probability: float) -> float:
    return math.fsum(
        math.comb(trials, hits) * probability**hits * (1 - probability) ** (trials - hits)
        for hits in range(count + 1)
    )


@given(st.integers(1, 300), st.data())
def test_the_binomial_sum(trials, data):
    count = data.draw(st.integers(0, trials))
    probability = data.draw(st.floats(0.001, 0.999))
    assert binomial_at_most(count, trials, probability) == pytest.approx(
        exactly_at_most(count, trials, probability), abs=1e-10
    )


@pytest.mark.parametrize(
    ("x", "a", "b", "value"),
    [
        (0.0, 2, 3, 0.0),
        (1.0, 2, 3, 1.0),
        (0.25, 1, 1, 0.25),  # uniform
        (0.5, 7, 7, 0.5),  # symmetric
        (0.3, 1, 4, 1 - 0.7**4),  # the least of four
        (0.3, 4, 1, 0.3**4),  # the greatest of four
    ],
)
def test_the_beta_function_where_it_is_known(x, a, b, value):
    assert regularized_beta(x, a, b) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("degrees", "t"), [(1, 12.7062), (2, 4.3027), (9, 2.2622), (30, 2.0423), (1_000, 1.9623)]
)
def test_students_t_of_the_tables(degrees, t):
    assert student_t(0.95, degrees) == pytest.approx(t, abs=5e-5)


# h_min + t of LoadGen: 459 queries for Server's p99, and what SingleStream and MultiStream ask for
# at least (MLPerf's 64 and 662).
@pytest.mark.parametrize(
    ("over", "percentile", "needed"),
    [(0, 99, 459), (1, 99, 662), (0, 90, 44), (1, 90, 64), (0, 99.9, 4_603), (0, 50, 7)],
)
def test_the_least_number_of_queries(over, percentile, needed):
    assert queries_needed(over, percentile) == needed


@pytest.mark.parametrize(
    ("queries", "percentile", "discarded"),
    [
        (64, 90, 0),
        (100, 90, 2),
        (1_000, 90, 77),
        (12_345, 90, 1_156),
        (662, 99, 0),
        (5_000, 99, 32),
        (20_000, 99, 166),
    ],
)
def test_as_many_are_discarded_as_by_loadgen(queries, percentile, discarded):
    """What LoadGen 6.0.17 wrote in its summaries ("Would discard ... highest latency queries") for
    runs of so many queries.
    """
    assert may_be_over(queries, percentile) - 1 == discarded


@given(st.integers(0, 60), st.sampled_from([50.0, 90.0, 95.0, 97.0, 99.0]))
def test_needed_is_the_least_that_is_enough(over, percentile):
    needed = queries_needed(over, percentile)
    share = 1 - percentile / 100
    assert binomial_at_most(over, needed, share) <= 0.01 < binomial_at_most(over, needed - 1, share)


@given(st.integers(1, 20_000), st.sampled_from([50.0, 90.0, 99.0, 99.9]))
def test_may_be_over_is_the_inverse_of_needed(queries, percentile):
    over = may_be_over(queries, percentile)
    assert over == -1 or queries_needed(over, percentile) <= queries
    assert queries_needed(over + 1, percentile) > queries


def test_large_runs_are_answered_at_once():
    over = may_be_over(100_000_000, 99)
    assert 990_000 < over < 1_000_000


def recorded(values) -> Histogram:
    histogram = Histogram()
    histogram.record(np.array(values, np.int64))
    return histogram


def test_the_estimate_is_an_order_statistic():
    values = list(range(1_000, 2_000))  # below 2,048 each value has a bin of its own
    discarded = may_be_over(1_000, 90) - 1
    assert discarded == 77  # 78 of 1,000 may be over: P(Bin(1000, 0.1) <= 78) = 0.0099
    assert estimate_ns(recorded(values), 90) == sorted(values)[-discarded - 1]


def test_failed_requests_are_the_highest_of_all():
    values = list(range(1_000, 1_990))
    assert estimate_ns(recorded(values), 90, failed=10) == sorted(values)[-(77 - 10) - 1]
    assert estimate_ns(recorded(values), 90, failed=200) is None


@pytest.mark.parametrize("count", [0, 1, 63])
def test_too_few_queries_have_no_estimate(count):
    assert estimate_ns(recorded(range(1_000, 1_000 + count)), 90) is None


def test_with_the_least_number_the_estimate_is_the_maximum():
    assert estimate_ns(recorded(range(1_000, 1_064)), 90) == 1_063


def test_the_estimate_holds_as_often_as_it_says():
    random = np.random.Generator(np.random.PCG64(1))
    true_p90 = -math.log(0.1) * 1e6
    below = sum(
        estimate_ns(recorded(random.exponential(1e6, 400)), 90) < true_p90 for _ in range(1_000)
    )
    assert below <= 20  # 1 % of 1,000, and three standard deviations


def test_values_above_a_bound_are_counted_to_a_bin():
    histogram = recorded([1_000, 1_001, 5_000_000, 9_990_000, 10_001_000, 20_000_000])
    assert count_over(histogram, 1_000) == 5
    assert count_over(histogram, 20_000_000) == 0
    straddling = highest_value_of(index_of(10_001_000)) - 1
    assert count_over(histogram, straddling) == 2
    assert count_over(recorded([1_000, 5_000_000]), 5_000_000) == 0

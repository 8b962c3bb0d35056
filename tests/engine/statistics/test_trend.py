"""Drift and growth: found when they are there, and not when noise looks like them."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine.statistics.trend import batch_means, drift, growth


@pytest.mark.parametrize("change", [-0.3, -0.1, 0.1, 0.3])
def test_a_step_under_noise_is_found(change):
    random = np.random.default_rng(7)
    series = np.r_[np.full(30, 100.0), np.full(30, 100.0 * (1 + change))] + random.normal(0, 3, 60)
    found = drift(series)
    assert found is not None
    assert found.change == pytest.approx(change, abs=0.03)


def test_pure_noise_is_hardly_ever_a_drift():
    random = np.random.default_rng(1)
    alarms = sum(drift(random.normal(100, 30, 40)) is not None for _ in range(500))
    assert alarms < 15  # 1 % expected


def test_noise_that_resembles_its_neighbour_is_not_taken_for_many_samples():
    """An autoregressive series of 400 values: a test that took them for independent would see drift
    in most of them.
    """
    random = np.random.default_rng(2)
    alarms = naive = 0
    for _ in range(100):
        values = np.empty(400)
        values[0] = random.normal()
        for number, step in enumerate(random.normal(0, 1, 399), 1):
            values[number] = 0.9 * values[number - 1] + step
        values = 20 + values
        alarms += drift(values) is not None
        first, second = values[:200], values[200:]
        error = np.sqrt(first.var(ddof=1) / 200 + second.var(ddof=1) / 200)
        naive += abs(first.mean() - second.mean()) > max(2.6 * error, 0.05 * first.mean())
    assert naive > 20
    assert alarms < naive / 2


@pytest.mark.parametrize(
    ("series", "found"),
    [
        ([], False),
        ([100.0] * 3 + [50.0] * 3, False),  # too few
        ([100.0] * 4 + [50.0] * 4, True),
        ([100.0] * 4 + [7.0] + [50.0] * 4, True),  # the one in the middle is in neither half
        ([100.0] * 4 + [96.0] * 4, False),  # real, and below the least that matters
        ([0.0] * 4 + [50.0] * 4, False),  # nothing to compare with
        ([100.0] * 8, False),
    ],
)
def test_edges(series, found):
    assert (drift(series) is not None) is found


def test_the_least_change_is_the_callers_to_choose():
    assert drift([100.0] * 4 + [96.0] * 4, least=0.03).change == pytest.approx(-0.04)


@pytest.mark.parametrize("size", [4, 9, 10, 11, 25, 199])
def test_batches_are_of_equal_length_and_leave_less_than_a_batch_out(size):
    means = batch_means(np.arange(size, dtype=float))
    length = max(size // 10, 1)
    assert means.size == size // length
    assert np.allclose(np.diff(means), length)
    assert means[-1] == size - 1 - (length - 1) / 2


@pytest.mark.parametrize(
    ("series", "grown"),
    [
        ([0, 10, 20], 20),
        ([5, 15, 24, 36, 45], 40),
        ([10, 10, 10, 10], None),
        ([30, 20, 10], None),
        ([0, 50, 0, 60, 10, 5], None),
        ([0, 0, 0, 0, 0, 90], None),  # one jump is no line
        ([0, 10], None),
        ([], None),
    ],
)
def test_growth(series, grown):
    found = growth(series)
    assert found == (None if grown is None else pytest.approx(grown, rel=0.05))


def test_a_queue_at_seventy_percent_load_does_not_grow():
    """Backlogs of a real queue (Lindley's recursion), read once a second: they swing, and do not
    grow beyond a handful.
    """
    random = np.random.default_rng(3)
    for _ in range(50):
        waiting, read = 0.0, []
        for _ in range(60):
            for arrivals in random.poisson(7, 10):
                waiting = max(waiting + arrivals - 10, 0)
            read.append(waiting)
        assert (growth(read) or 0) < 14

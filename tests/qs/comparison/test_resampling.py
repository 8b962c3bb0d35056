"""The stationary bootstrap: its blocks, their length, and that its spread is the spread of repeated
runs.
"""

from __future__ import annotations

import numpy as np
import pytest

from qs.comparison.measured import METRICS, ComparedMetric, ones
from qs.comparison.noise import block_length, draw, weights_of
from qs.result.columns import BY_SHORT
from qs.result.logs import Series

BY_NAME = {metric.name: metric for metric in METRICS}


def correlated(rng: np.random.Generator, cells: int, rho: float) -> np.ndarray:
    values = rng.normal(size=cells)
    for at in range(1, cells):
        values[at] = rho * values[at - 1] + np.sqrt(1 - rho**2) * values[at]
    return values


def test_each_replicate_draws_as_many_cells_as_there_are():
    weights = draw(np.random.default_rng(1), 40, 3.0, 200)
    assert weights.shape == (200, 40)
    assert (weights.sum(axis=1) == 40).all()
    # Circular: no cell is drawn less often because it lies at an end.
    assert weights.mean(axis=0) == pytest.approx(np.ones(40), abs=0.35)


def test_blocks_are_as_long_as_asked():
    cells, block = 1_000, 10.0
    weights = draw(np.random.default_rng(2), cells, block, 1)
    alone = draw(np.random.default_rng(2), cells, 1.0, 1)
    # Neighbours are drawn together: how often one is drawn says how often the next is.
    assert np.corrcoef(weights[0, :-1], weights[0, 1:])[0, 1] > 0.8
    assert abs(np.corrcoef(alone[0, :-1], alone[0, 1:])[0, 1]) < 0.15


def test_block_length_grows_with_correlation_and_has_a_floor():
    rng = np.random.default_rng(3)
    lengths = {
        rho: np.mean([block_length([correlated(rng, 200, rho)]) for _ in range(30)])
        for rho in (0.0, 0.5, 0.9)
    }
    assert 200 ** (1 / 3) <= lengths[0.0] < lengths[0.5] < lengths[0.9] <= 3 * np.sqrt(200)
    assert block_length([np.zeros(27)]) == pytest.approx(3.0)


@pytest.mark.parametrize(("rho", "least", "most"), [(0.0, 0.8, 1.25), (0.6, 0.55, 1.0)])
def test_its_standard_error_is_the_spread_of_runs_measured_again(rho, least, most):
    """Mean of 100 cells, 200 runs: the mean of the bootstrap's variances against the variance of
    the means.

    Of correlated cells it is up to 40 % less: blocks cut correlations off, and a run's own mean
    takes some of its slow noise away. What makes up for that is Student's t with the degrees of
    freedom of so few blocks; test_false_alarms.py looks at the whole.
    """
    rng = np.random.default_rng(4)
    means, variances = [], []
    for _ in range(200):
        values = 10.0 + correlated(rng, 100, rho)
        means.append(values.mean())
        block = block_length([values - values.mean()])
        variances.append((draw(rng, 100, block, 200) @ values / 100).var())
    assert least < np.mean(variances) / np.var(means) < most


def series(counts: np.ndarray, values: np.ndarray) -> Series:
    return Series(
        np.ones(counts.shape[0]), counts.astype(float), values.astype(float), values.astype(float)
    )


@pytest.mark.parametrize("percentile", [1.0, 50.0, 90.0, 99.0, 99.9])
def test_percentiles_of_replicates_are_those_of_their_merged_counts(percentile):
    rng = np.random.default_rng(5)
    counts = rng.poisson(3.0, size=(12, 37)) * (rng.random((12, 37)) < 0.5)
    values = np.cumsum(rng.integers(1, 9, 37))
    found = series(counts, values)
    weights = draw(rng, 12, 2.0, 50)
    metric = ComparedMetric("p", BY_SHORT["p99"], percentile)
    for weight, value in zip(weights, metric.of(found, weights)):
        merged = weight @ counts
        expanded = np.repeat(values, merged.astype(int))
        rank = max(int(percentile * expanded.size / 100 + 0.5), 1)
        assert value == expanded[rank - 1]


def test_influences_add_up_to_nothing():
    """At the figure itself, what cells add to its error cancels out."""
    rng = np.random.default_rng(6)
    found = series(rng.poisson(5.0, size=(20, 50)), np.arange(1, 51))
    for name in ("throughput", "mean"):
        metric = BY_NAME[name]
        value = float(metric.of(found, ones(found))[0])
        assert metric.influence(found, value).sum() == pytest.approx(0.0, abs=1e-6)


def test_runs_are_resampled_each_for_itself():
    values = np.arange(1.0, 4.0)
    found = Series(np.ones(30), np.ones((30, 3)), values, values, (0, 10))
    weights = weights_of(np.random.default_rng(7), found, 2.0, 40)
    assert (weights[:, :10].sum(axis=1) == 10).all()
    assert (weights[:, 10:].sum(axis=1) == 20).all()


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("throughput", 20),
        ("mean", 20),
        ("p50", 20),
        ("p90", 100),
        ("p99", 1_000),
        ("p99.9", 10_000),
    ],
)
def test_queries_that_a_figure_needs(name, needed):
    assert BY_NAME[name].queries_needed == needed

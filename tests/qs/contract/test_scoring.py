from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from qs.contract.scoring import ROUNDS, auc, bootstrap_mean, take_share, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),
        (10, 10, 0.72247, 1.0),
        (8, 10, 0.49016, 0.94332),
        (50, 100, 0.40383, 0.59617),
    ],
)
def test_wilson_by_table(right, count, low, high):
    assert wilson(right, count) == [pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5)]


@pytest.mark.parametrize(("right", "count"), [(1, 0), (3, 2), (-1, 2)])
def test_a_proportion_must_be_one(right, count):
    with pytest.raises(ValueError):
        wilson(right, count)


def test_wilson_covers_as_often_as_it_says():
    random = np.random.default_rng(0)
    inside = [
        low <= 0.9 <= high
        for low, high in (wilson(each, 200) for each in random.binomial(200, 0.9, 2000))
    ]
    assert 0.93 < np.mean(inside) < 0.97


def test_bootstrap_covers_the_mean():
    random = np.random.default_rng(1)
    inside = 0
    for number in range(60):
        low, high = bootstrap_mean(random.exponential(1.0, 100), seed=number)
        inside += low <= 1.0 <= high
    assert inside >= 49
    assert bootstrap_mean(np.full(9, 0.5)) == [0.5, 0.5]


@pytest.mark.parametrize("count", [1, 7, 99, 9_000])
def test_rounds_drawn_together_are_those_drawn_one_by_one(count):
    values = np.random.default_rng(2).exponential(1.0, count)
    random = np.random.default_rng(3)
    means = [values[random.integers(0, count, count)].mean() for _ in range(ROUNDS)]
    assert bootstrap_mean(values, seed=3) == np.percentile(means, [2.5, 97.5]).tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_scikit_learns(pairs):
    scores, labels = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    if labels.all() or not labels.any():
        with pytest.raises(ValueError):
            auc(scores, labels)
        return
    area, (low, high) = auc(scores, labels)
    assert area == pytest.approx(roc_auc_score(labels, scores))
    assert 0 <= low <= area + 1e-12 and area - 1e-12 <= high <= 1


def test_the_interval_of_auc_covers_as_often_as_it_says():
    random, inside, truth = (
        np.random.default_rng(2),
        0,
        0.760250,
    )  # the area between N(0, 1) and N(1, 1): Phi(1 / sqrt 2)
    labels = np.arange(200) % 2
    for _ in range(400):
        _, (low, high) = auc(random.normal(labels, 1.0), labels)
        inside += low <= truth <= high
    assert 0.92 < inside / 400 < 0.98


def test_scores_that_are_not_finite_have_no_auc():
    with pytest.raises(ValueError, match="not finite"):
        auc(np.array([np.nan, 1.0]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("count", "percent", "seed", "expected", "kind"),
    [
        (10, 100, 0, 10, "whole"),
        (10, 30, None, 3, "leading"),
        (10, 30, 0, 3, "random"),
        (3, 1, 0, 1, "random"),
        (5, None, 0, 5, "whole"),
    ],
)
def test_shares(count, percent, seed, expected, kind):
    chosen, share = take_share(count, percent, seed)
    assert (len(chosen), share.kind) == (expected, kind)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert chosen.tolist() == take_share(count, percent, seed)[0].tolist()
    if kind == "leading":
        assert chosen.tolist() == [0, 1, 2]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 99), st.integers(0, 9))
def test_a_stratified_share_is_even_to_within_one(classes, percent, seed):
    strata = np.array(classes)
    chosen, share = take_share(len(strata), percent, seed, strata)
    assert share.kind == "stratified" and len(chosen) == max(1, round(len(strata) * percent / 100))
    for each in np.unique(strata):
        wanted = (strata == each).sum() * len(chosen) / len(strata)
        assert abs((strata[chosen] == each).sum() - wanted) <= 1 + 1e-9


def test_other_seeds_draw_other_items():
    assert take_share(100, 20, 1)[0].tolist() != take_share(100, 20, 2)[0].tolist()

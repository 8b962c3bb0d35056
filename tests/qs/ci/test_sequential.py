"""Looking again and again keeps the risk that was stated, whatever drifts meanwhile."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from qs.ci.sequential import (
    FEWEST,
    RISK,
    Mean,
    is_look,
    number_of_look,
    orders,
    risk_of,
    rounds_needed,
)


def test_when_one_looks():
    looks = [rounds for rounds in range(1, 200) if is_look(rounds)]
    assert looks == [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192]
    assert [number_of_look(each) for each in looks] == list(range(1, 13))
    with pytest.raises(ValueError, match="no look after 5"):
        risk_of(5, False)


def test_all_looks_together_spend_no_more_than_the_risk():
    interim = sum(risk_of(rounds, False) for rounds in range(4, 100_000) if is_look(rounds))
    assert 0.9 * RISK / 2 < interim < RISK / 2
    assert interim + risk_of(5, True) < RISK


def test_either_order_is_as_likely_and_each_two_rounds_are_balanced():
    found = list(islice(orders(3), 400))
    assert all({*each} == {(0, 1), (1, 0)} for each in zip(found[::2], found[1::2]))
    assert 0.4 < np.mean([first for first, _ in found[::2]]) < 0.6
    assert found == list(islice(orders(3), 400)) != list(islice(orders(4), 400))


def test_the_mean_of_rounds():
    mean = Mean.of([0.1, 0.2, 0.3, 0.2])
    assert mean is not None and mean.value == pytest.approx(0.2) and mean.freedom == 3
    low, high = mean.interval(0.025)
    assert (low, high) == pytest.approx((0.07009, 0.32991), abs=1e-4)  # t(0.975, 3) = 3.1824
    assert mean.above(low) == pytest.approx(0.025, rel=1e-4)
    assert mean.above(high) == pytest.approx(0.975, rel=1e-4)
    assert mean.above(float("inf")) == 1.0 and mean.above(float("-inf")) == 0.0
    assert Mean.of([0.1]) is None and Mean.of([0.1, float("nan")]) is None
    assert Mean.of([0.1] * 5).error > 0.0  # no histogram knows a percentile exactly


def test_how_many_rounds_would_decide():
    mean = Mean.of([0.0, 0.02, -0.02, 0.0])
    assert mean is not None
    few, many = rounds_needed(mean, 0.2, 0.0125), rounds_needed(mean, 0.01, 0.0125)
    assert few == 5.0 and many > 50
    assert rounds_needed(mean, mean.value, 0.0125) is None


def drifting(rng: np.random.Generator, gates: int, rounds: int) -> np.ndarray:
    """(gates, rounds) differences of equal sides: blocks whose speed wanders (an autoregression
    that lasts for ten blocks, on a trend), each with noise of its own; the order is ours.
    """
    noise = rng.normal(0.0, 0.02, (gates, 2 * rounds))
    steps = rng.normal(0.0, 0.03, (gates, 2 * rounds))
    level = np.zeros(gates)
    for at in range(2 * rounds):
        level = 0.9 * level + steps[:, at]
        noise[:, at] += level + 0.002 * at
    pairs = noise.reshape(gates, rounds, 2)
    differences = pairs[:, :, 1] - pairs[:, :, 0]
    signs = [[1 - 2 * first for first, _ in islice(orders(seed), rounds)] for seed in range(gates)]
    return differences * np.asarray(signs)


def test_false_alarms_of_equal_sides_that_drift():
    """At the bound itself, where it is hardest: the true difference is what the condition says, and
    an interval at any look may exclude it in 2.5 % of all gates in either direction.
    """
    gates, rounds = 2000, 32
    found = drifting(np.random.default_rng(0), gates, rounds)
    above, below = np.zeros(gates, bool), np.zeros(gates, bool)
    for count in (*filter(is_look, range(FEWEST, rounds)), rounds):
        part = found[:, :count]
        risk = risk_of(count, count == rounds)
        half = Mean(0.0, 1.0, count - 1).half(risk) * part.std(axis=1, ddof=1) / np.sqrt(count)
        above |= part.mean(axis=1) - half > 0.0
        below |= part.mean(axis=1) + half < 0.0
    # 0.035: 2.5 % and three standard errors of 2,000 gates.
    assert above.mean() < 0.035 and below.mean() < 0.035
    assert (above | below).mean() > 0.0  # it can fail: the risk is spent


def test_what_is_slower_is_found():
    found = drifting(np.random.default_rng(1), 300, 32) + np.log(1.10)
    told = 0
    for logs in found:
        mean = Mean.of(list(logs))
        assert mean is not None
        told += mean.interval(risk_of(32, True))[0] > np.log(1.05)
    assert told / 300 > 0.6

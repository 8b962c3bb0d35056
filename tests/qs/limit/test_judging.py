"""Verdicts on one goal: right in the clear cases, careful in the others, and wrong no more often
than they say.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from qs.engine.record.histogram import highest_value_of, index_of
from qs.engine.statistics.beta import binomial_at_most
from qs.limit.counts import BatchCounts, Waits
from qs.limit.goals import Goal, parse_goal
from qs.limit.judging import FAILS, HOLDS, UNCLEAR, judge
from qs.limit.trial_plan import SEARCH, TrialPlan
from tests.qs.limit.queues import Queue, recorded, true_limit

P99 = parse_goal("p99=20ms")


def alone(requests: int, missed: int, batches: int = 20) -> tuple[BatchCounts, Waits]:
    """A trial whose requests are independent of each other, the missed ones spread as evenly as
    they can be.
    """
    of = np.full(batches, requests / batches)
    over = np.array(
        [missed * (at + 1) // batches - missed * at // batches for at in range(batches)], np.float64
    )
    # Response times that vary among themselves and hardly from batch to batch: nothing crowds.
    return BatchCounts(of, over), Waits(
        of, of * 1e6 * (1 + 1e-3 * (-1.0) ** np.arange(batches)), requests * 2e12
    )


@pytest.mark.parametrize(
    ("requests", "missed", "verdict"),
    [
        (1_000, 0, HOLDS),
        (1_000, 2, HOLDS),
        (1_000, 9, UNCLEAR),
        (1_000, 11, UNCLEAR),
        (1_000, 30, FAILS),
        (20, 0, UNCLEAR),
        (20, 20, FAILS),
        (200, 0, UNCLEAR),
        (100_000, 900, HOLDS),
        (100_000, 1_100, FAILS),
    ],
)
def test_a_share_is_tested_and_not_only_compared(requests, missed, verdict):
    assert judge(P99, [[alone(requests, missed)]], 0.95).verdict(0.95) == verdict


def test_independent_requests_are_tested_as_a_binomial_share():
    """Many batches, nothing crowded: what is left is the textbook's test."""
    found = judge(P99, [[alone(4_000, 25, batches=400)]], 0.95)
    assert found.effective == pytest.approx(4_000, rel=0.01)
    assert found.by_chance_holds == pytest.approx(binomial_at_most(25, 4_000, 0.01), rel=0.1)


def test_requests_that_miss_together_say_less_than_as_many_that_do_not():
    spread, crowd = alone(2_000, 40), alone(2_000, 40)
    crowd[0].missed[:] = 0
    crowd[0].missed[7] = 40
    assert judge(P99, [[spread]], 0.95).verdict(0.95) == FAILS
    found = judge(P99, [[crowd]], 0.95)
    assert found.verdict(0.95) == UNCLEAR
    assert found.effective < 100


def test_waits_that_crowd_keep_a_clean_trial_from_proving_anything():
    """No request over the bound, but the waits come in long waves: this may be one lucky wave."""
    tally, _ = alone(1_000, 0)
    waves = Waits(
        tally.requests, tally.requests * 1e6 * (1 + np.repeat([0.0, 1.0], 10)), 1_000 * 2.6e12
    )
    assert judge(P99, [[alone(1_000, 0)]], 0.95).verdict(0.95) == HOLDS
    assert judge(P99, [[(tally, waves)]], 0.95).verdict(0.95) == UNCLEAR


def test_one_batch_proves_nothing():
    assert judge(P99, [[alone(100_000, 0, batches=1)]], 0.95).verdict(0.95) == UNCLEAR


def test_nothing_seen_is_unclear():
    found = judge(P99, [[alone(0, 0)]], 0.95)
    assert found.verdict(0.95) == UNCLEAR
    assert found.interval(0.95) is None


@pytest.mark.parametrize(
    ("mean_ms", "verdict"), [(9.0, HOLDS), (9.99, UNCLEAR), (10.01, UNCLEAR), (11.0, FAILS)]
)
def test_a_mean_is_tested_over_batches(mean_ms, verdict):
    random = np.random.default_rng(1)
    of = np.full(30, 50.0)
    total = of * (mean_ms + random.normal(0, 0.5, 30)) * 1e6
    total *= mean_ms * 1e6 / (total.sum() / of.sum())
    found = judge(
        parse_goal("mean=10ms"), [[(BatchCounts(of, total), Waits(of, total, 1.0))]], 0.95
    )
    assert found.verdict(0.95) == verdict
    low, high = found.interval(0.95)
    assert low < mean_ms * 1e6 < high
    assert high - low == pytest.approx(2 * 1.699 * 0.5e6 / 30**0.5, rel=0.3)


def test_where_none_may_fail_one_failure_is_enough():
    goal = parse_goal("errors=0")
    assert judge(goal, [[alone(1_000, 1)]], 0.95).verdict(0.95) == FAILS
    assert judge(goal, [[alone(1_000, 0)]], 0.95).verdict(0.95) == HOLDS


def test_the_interval_is_clopper_and_pearsons():
    """10 of 1,000: 0.0054 and 0.0169 by their charts' formula, each end at 95 %."""
    low, high = judge(P99, [[alone(1_000, 10, batches=500)]], 0.95).interval(0.95)
    assert low == pytest.approx(0.00543, rel=0.05)
    assert high == pytest.approx(0.01688, rel=0.05)


@pytest.mark.parametrize(
    ("servers", "waits"), [(1, 10), *(pytest.param(n, 4, marks=pytest.mark.slow) for n in (2, 4))]
)
def test_at_the_very_edge_verdicts_are_wrong_no_more_often_than_they_say(servers, waits):
    """A queue at the rate where p99 just meets its bound: with 95 % confidence no more than one
    verdict in twenty may be "holds", nor "fails". 150 trials each; ten or fewer are within chance
    (binomial, 1 in 10 below 5 %, with room for the estimate of crowding).
    """
    service_s = 0.005
    bound_s = waits * service_s
    edge = true_limit(
        lambda took: float((took > bound_s).mean()) <= 0.01,
        servers,
        service_s,
        servers / service_s,
        200_000,
    )
    goal = parse_goal(f"p99={bound_s * 1e3:g}ms")
    verdicts = []
    for seed in range(150):
        plan = TrialPlan(0, SEARCH, edge, 15.0, seed, (goal,))
        trial = asyncio.run(Queue(servers, service_s).trial(plan))
        verdicts.append(
            judge(goal, [[(trial.tallies[goal.name], trial.waits)]], 0.95).verdict(0.95)
        )
    assert verdicts.count(HOLDS) <= 12
    assert verdicts.count(FAILS) <= 12


def test_a_histogram_bin_that_straddles_the_bound_counts_as_over():
    for bound_ns in (1_000, 2_047, 2_048, 20_000_000, 50_000_001, 1_000_000_000):
        goal = Goal("p99", 0.01, bound_ns)
        index = index_of(bound_ns)
        straddles = highest_value_of(index) > bound_ns
        below, at, above = (
            recorded(
                TrialPlan(0, SEARCH, 1.0, 1.0, 0, (goal,)),
                np.array([0.5]),
                np.array([highest_value_of(index + step) / 1e9]),
                np.array([False]),
            )
            for step in (-1, 0, 1)
        )
        over = [trial.tallies["p99"].missed.sum() for trial in (below, at, above)]
        assert over == [0, straddles, 1]

"""Shares of a plan: all together make exactly the requests of one machine, each once."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import (
    AllAtOnce,
    Batching,
    Bound,
    ClosedLoop,
    ConstantRate,
    Gamma,
    Measure,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Sessions,
    Stage,
    Stages,
    Stop,
)
from qs.engine.distributed.splitting import cuts
from qs.engine.distributed.splitting.cuts import first_of
from qs.engine.distributed.splitting.shares import faults_over, shares_of, whole_of, words_of
from qs.engine.load.schedule import Schedule
from qs.engine.workers.share import PlanShare, iterations_of, turns_of
from qs.engine.workers.target import Target
from tests.engine.distributed.due import due_times
from tests.engine.load.test_schedules import kolmogorov_smirnov

STEPS = (Stage(2, 100), Stage(1, 0), Stage(3, 50), Stage(2, 400, ramp=True))
RECORDED = tuple(np.random.default_rng(1).exponential(3.0, 999).tolist())


@dataclass(frozen=True)
class Fibonacci(Schedule):
    """Somebody's own schedule, whose shards are no stripes."""

    def blocks(self) -> Iterator[np.ndarray]:
        due, following = 1_000, 2_000
        for _ in range(50):
            yield np.array([due, due, due + 1])
            due, following = following, due + following

    def shard(self, index: int, of: int) -> Schedule:
        raise AssertionError("a shard of its own need not keep its samples in step")

    def faults(self) -> list[str]:
        return []

    @property
    def ends(self) -> bool:
        return True

    @property
    def planned(self) -> int:
        return 150


EXACT = [
    ConstantRate(333.3),
    Stages(STEPS),
    Stages(STEPS, seed=3),
    Gamma(150, 0.3, seed=1),
    Replay(RECORDED),
    Replay(np.array(RECORDED), speed=3.0),
    AllAtOnce(1_000),
    Fibonacci(),
]


STOPS = [
    Stop(duration_s=4.0),
    Stop(iterations=71),
    Stop(duration_s=4.0, iterations=71),
    Stop(duration_s=1.5, iterations=1_000_000),
    Stop(iterations=700, max_duration_s=2.0),
]


def requests(plan: RunPlan) -> list[tuple[int, int]]:
    """When each request is due, and its sample, as the event loop of a started target has them."""
    samples = Target(print, range(10**9))
    feed = PlanShare(plan, 1, started=True).feed(samples)
    return [(due, next(feed)) for due in due_times(plan).tolist()]


def together(plan: RunPlan, of: int) -> list[tuple[int, int]]:
    return sorted(each for share in shares_of(plan, of) for each in requests(share))


# -- open loop


@pytest.mark.parametrize("of", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("load", EXACT, ids=lambda load: type(load).__name__)
def test_all_shares_together_are_the_requests_of_one_machine(load, stop, of):
    """Their due times to the nanosecond, and their samples."""
    plan = RunPlan(load=load, stop=stop, pool=Pool("async"))
    assert together(plan, of) == sorted(requests(plan))
    assert sum(share.planned or 0 for share in shares_of(plan, of)) == (plan.planned or 0)


@given(
    st.integers(1, 9),
    st.floats(0.5, 300),
    st.one_of(st.none(), st.integers(40, 500)),
    st.one_of(st.none(), st.floats(20, 50)),
)
def test_a_constant_rate_is_striped_whatever_ends_it(of, rate, iterations, duration):
    stop = Stop(duration_s=duration, iterations=iterations or (None if duration else 40))
    plan = RunPlan(load=ConstantRate(rate), stop=stop, pool=Pool("async"))
    if not faults_over(plan, of):
        assert together(plan, of) == sorted(requests(plan))


def test_requests_of_shares_go_out_in_turn():
    """None makes a burst that one machine would not."""
    plan = RunPlan(load=ConstantRate(100), stop=Stop(iterations=9))
    assert [due_times(share).tolist()[:2] for share in shares_of(plan, 3)] == [
        [0, 30_000_000],
        [10_000_000, 40_000_000],
        [20_000_000, 50_000_000],
    ]


def test_each_node_is_sent_its_own_part_of_a_recording():
    plan = RunPlan(load=Replay(tuple(np.arange(90_000) / 1e3)))
    whole, *parts = (len(pickle.dumps(each)) for each in [plan, *shares_of(plan, 3)])
    assert sum(parts) < 1.01 * whole


@pytest.mark.parametrize("of", [2, 3, 10])
def test_parts_of_a_poisson_process_are_one_again(of):
    """Gaps of all together are exponential, and so are those of each part."""
    plan = RunPlan(load=Poisson(3_000, seed=11), stop=Stop(duration_s=30))
    shares = shares_of(plan, of)
    own = [due_times(share) for share in shares]
    for due, rate in [(np.sort(np.concatenate(own)), 3_000), *((due, 3_000 / of) for due in own)]:
        gaps = np.diff(due, prepend=0) / 1e9
        assert kolmogorov_smirnov(gaps, lambda gap, rate=rate: 1 - np.exp(-rate * gap)) < 1.63
        # gaps that follow each other know nothing of each other
        assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 4 / math.sqrt(gaps.size)
    assert sum(share.load.rate_per_s for share in shares) == pytest.approx(3_000)


def test_parts_of_a_poisson_process_know_nothing_of_each_other():
    plan = RunPlan(load=Poisson(4_000, seed=5), stop=Stop(duration_s=50))
    counts = [
        np.bincount(due_times(share) // 10_000_000, minlength=5_000) for share in shares_of(plan, 4)
    ]
    for one in range(4):
        for other in range(one):
            correlation = np.corrcoef(counts[one], counts[other])[0, 1]
            assert abs(correlation) < 4 / math.sqrt(5_000)


@pytest.mark.parametrize("of", [2, 3, 50])
@pytest.mark.parametrize("count", [1_000, 40_000])
def test_a_count_cuts_a_poisson_process_where_it_cuts_all_together(count, of):
    plan = RunPlan(load=Poisson(1_000, seed=4), stop=Stop(iterations=count))
    shares = shares_of(plan, of)
    assert sum(share.stop.iterations for share in shares) == count
    endless = [replace(share, stop=Stop(duration_s=2 * count / 1_000)) for share in shares]
    first = np.sort(np.concatenate([due_times(share) for share in endless]))[:count]
    assert np.array_equal(np.sort(np.concatenate([due_times(each) for each in shares])), first)


def test_a_count_that_the_duration_does_not_reach_is_still_the_count():
    plan = RunPlan(load=Poisson(1_000, seed=4), stop=Stop(duration_s=1.0, iterations=10**6))
    shares = shares_of(plan, 3)
    assert sum(share.stop.iterations for share in shares) == 10**6
    endless = [replace(share, stop=Stop(duration_s=1.0)) for share in shares]
    for share, other in zip(shares, endless):
        assert np.array_equal(due_times(share), due_times(other))


def test_the_end_of_a_process_is_looked_for_further_out_where_it_is_not_expected(monkeypatch):
    shards = tuple(Poisson(100, seed=9).shard(index, 3) for index in range(3))
    right = first_of(shards, 5_000)
    monkeypatch.setattr(cuts, "_DEVIATIONS", 0.0)
    monkeypatch.setattr(cuts, "_SLACK", 0.01)
    first_of.cache_clear()
    assert first_of(shards, 5_000) == right
    assert sum(right[0]) == 5_000


def test_a_million_requests_of_a_thousand_nodes_are_cut_with_little_memory():
    import tracemalloc

    plan = RunPlan(load=Poisson(1e6, seed=2), stop=Stop(iterations=1_000_000))
    tracemalloc.start()
    try:
        shares = shares_of(plan, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    counts = [share.stop.iterations for share in shares]
    assert sum(counts) == 1_000_000
    assert np.std(counts) == pytest.approx(math.sqrt(1_000), rel=0.15)


@pytest.mark.slow
def test_a_hundred_million_requests_of_a_thousand_nodes_are_cut():
    import resource

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan = RunPlan(load=Poisson(1e6, seed=2), stop=Stop(iterations=10**8))
    assert sum(share.stop.iterations for share in shares_of(plan, 1_000)) == 10**8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_beyond_what_can_be_drawn_counts_are_equal(monkeypatch):
    monkeypatch.setattr("qs.engine.distributed.splitting.shares.MOST_DRAWN", 100)
    plan = RunPlan(load=Poisson(1_000, seed=2), stop=Stop(iterations=101))
    assert [share.stop.iterations for share in shares_of(plan, 3)] == [34, 34, 33]


def test_a_seed_that_is_drawn_is_that_of_all():
    plan = RunPlan(load=Poisson(100, seed=None), stop=Stop(duration_s=1))
    shares = shares_of(plan, 3)
    assert len({share.load.seed for share in shares}) == 1
    assert shares[0].load.seed is not None
    whole = whole_of(plan, 3)
    assert [share.load for share in shares_of(whole, 3)] == [
        whole.load.shard(index, 3) for index in range(3)
    ]


# -- closed loop and conversations


@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(1, 50)),
    st.one_of(st.none(), st.integers(1, 700)),
)
def test_clients_make_what_they_would_make_on_one_machine(clients, of, each, total):
    load = ClosedLoop(clients, each, think_time_s=0.5)
    plan = RunPlan(load=load, stop=Stop(iterations=total, duration_s=9.0))
    if faults_over(plan, of):
        return
    alone = [iterations_of(PlanShare(plan, clients), load, number) for number in range(clients)]
    spread = []
    for share in shares_of(plan, of):
        assert share.part.first == len(spread)
        assert share.load.think_time_s == 0.5
        spread += [
            iterations_of(PlanShare(share, share.load.clients), share.load, number)
            for number in range(share.load.clients)
        ]
    assert spread == alone


def test_every_client_begins_with_its_own_sample():
    plan = RunPlan(load=ClosedLoop(5, 1))
    samples = Target(print, range(100))
    found = [
        next(samples.feed(PlanShare(share, 1).place + number))
        for share in shares_of(plan, 2)
        for number in range(share.load.clients)
    ]
    assert found == [0, 1, 2, 3, 4]


def test_users_and_their_turns_are_split():
    plan = RunPlan(load=Sessions(users=5), stop=Stop(iterations=23), pool=Pool("async"))
    shares = shares_of(plan, 2)
    assert [share.load.users for share in shares] == [3, 2]
    assert [turns_of(PlanShare(share, 1)) for share in shares] == [15, 8]  # 5 5 5, 4 4
    assert words_of(shares[1], plan) == "users 4 to 5 of 5"


def test_arrivals_of_conversations_are_split_and_their_turns_as_well():
    load = Sessions(arrivals=ConstantRate(10), think_time_s=1.0)
    plan = RunPlan(load=load, stop=Stop(iterations=23), pool=Pool("async"))
    shares = shares_of(plan, 3)
    assert [share.stop.iterations for share in shares] == [8, 8, 7]
    due = [next(share.load.arrivals.blocks())[0] for share in shares]
    assert due == [0, 100_000_000, 200_000_000]
    assert all(share.load.think_time_s == 1.0 for share in shares)


# -- the rest of a plan


def test_what_needs_the_whole_is_in_no_part():
    stop = Stop(
        duration_s=60.0,
        max_duration_s=70.0,
        min_duration_s=10.0,
        min_queries=100,
        until_stable=0.01,
        stable_percentile=95.0,
        until_known=0.02,
        max_errors=3,
        max_error_rate=0.1,
    )
    for share in shares_of(RunPlan(load=Poisson(100), stop=stop), 3):
        assert share.stop == Stop(duration_s=60.0, max_duration_s=70.0, stable_percentile=95.0)
        assert share.faults() == []


def test_caps_are_split_and_what_each_worker_has_is_kept():
    plan = RunPlan(
        load=Poisson(1_000),
        stop=Stop(duration_s=1),
        pool=Pool("thread", 7, 5, [(0,), (1,)], intra_op_threads=2, spin="never"),
        batching=Batching(8, 500.0),
        max_backlog=100,
        warmup_iterations=3,
        warmup_s=1.0,
        percentiles=(50.0, 99.0),
    )
    shares = shares_of(plan, 3)
    assert [share.pool.workers for share in shares] == [3, 2, 2]
    assert [share.pool.instances for share in shares] == [2, 2, 1]
    assert [share.max_backlog for share in shares] == [34, 33, 33]
    assert [share.part.first for share in shares] == [0, 3, 5]
    for share in shares:
        assert replace(share, load=plan.load, stop=plan.stop, max_backlog=100, part=None) == (
            replace(plan, pool=share.pool)
        )
        assert share.pool.affinity == [(0,), (1,)] and share.pool.spin == "never"


@pytest.mark.parametrize(
    "whole, parts", [(None, [None] * 3), (0, [0, 0, 0]), (1, [1, 1, 1]), (4, [2, 1, 1])]
)
def test_a_cap_on_the_line_is_no_lower_than_one_each_unless_it_is_none(whole, parts):
    plan = RunPlan(load=Poisson(100), stop=Stop(duration_s=9), max_backlog=whole)
    assert [share.max_backlog for share in shares_of(plan, 3)] == parts


def test_requests_in_flight_and_samples_are_split():
    plan = RunPlan(
        load=Poisson(100),
        stop=Stop(duration_s=9),
        pool=Pool("async", max_in_flight=10),
        measures=(Measure("words"),),
        bounds=(Bound("words", 3),),
        sample_requests=4,
    )
    shares = shares_of(plan, 3)
    assert [share.pool.max_in_flight for share in shares] == [4, 3, 3]
    assert [share.sample_requests for share in shares] == [2, 1, 1]
    assert all(share.measures == plan.measures for share in shares)
    assert all(share.bounds == plan.bounds for share in shares)


def test_a_share_has_no_faults_though_it_has_no_end():
    for load in (Poisson(10), ClosedLoop(5)):
        plan = RunPlan(load=load, stop=Stop(min_queries=100))
        assert [share.faults() for share in shares_of(plan, 3)] == [[], [], []]


def test_one_node_runs_the_plan_as_it_is():
    for load in (Poisson(100), ConstantRate(100), ClosedLoop(2), Replay(RECORDED)):
        plan = RunPlan(load=load, stop=Stop(iterations=10, duration_s=2))
        (share,) = shares_of(plan, 1)
        assert replace(share, part=None) == plan
        assert words_of(share, plan) == "all"


def test_shares_can_be_sent():
    for load in [*EXACT, Poisson(10), ClosedLoop(7)]:
        for share in shares_of(RunPlan(load=load, stop=Stop(iterations=70)), 3):
            again = pickle.loads(pickle.dumps(share))
            assert again.part == share.part and again.stop == share.stop


# -- scenarios

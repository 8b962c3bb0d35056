"""What is left of a share from an instant on: all that was to come, each request once and with its
own sample, and nothing of what has passed.
"""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    Gamma,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Sessions,
    Stages,
    Stop,
)
from qs.engine.conduct.offered import due_before
from qs.engine.distributed.splitting.late import rest_of
from qs.engine.distributed.splitting.shares import shares_of, words_of
from qs.engine.workers.share import PlanShare, iterations_of, turns_of
from tests.engine.distributed.due import due_times
from tests.engine.distributed.test_shares import RECORDED, STEPS, STOPS, Fibonacci, requests

SCHEDULES = [
    ConstantRate(333.3),
    Stages(STEPS, seed=3),
    Gamma(150, 0.3, seed=1),
    Replay(RECORDED),
    Poisson(100, seed=2),
    Fibonacci(),
]


@pytest.mark.parametrize("from_s", [0.0, 0.5, 1.999999999, 2.0])
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("load", SCHEDULES, ids=lambda load: type(load).__name__)
def test_what_is_left_of_a_schedule_is_what_falls_due_from_then_on(load, stop, from_s):
    plan = RunPlan(load=load, stop=stop, pool=Pool("async"))
    for share in shares_of(plan, 3):
        left = [each for each in requests(share) if each[0] >= from_s * 1e9]
        rest = rest_of(share, 0, from_s)
        assert (requests(rest) if rest else []) == left
        if rest is not None:
            assert due_before(share, int(from_s * 1e9)) + len(left) == len(requests(share))
            assert rest.faults() == [] and rest.part.of == 3
            assert words_of(rest) == words_of(share)
            assert requests(pickle.loads(pickle.dumps(rest))) == left


def test_what_is_left_can_be_lost_again():
    share = shares_of(RunPlan(load=Poisson(100), stop=Stop(iterations=900)), 3)[1]
    once = rest_of(share, 0, 3.0)
    twice = rest_of(rest_of(share, 0, 1.0), 0, 3.0)
    assert requests(once) == requests(twice)


def test_what_is_left_is_split_over_processes():
    share = shares_of(RunPlan(load=ConstantRate(100), stop=Stop(duration_s=9.0)), 3)[1]
    rest = rest_of(share, 0, 4.0)
    parts = [next(rest.load.shard(index, 2).blocks()).tolist() for index in range(2)]
    together = sorted(due for part in parts for due in part if due < 9e9)
    assert together == due_times(rest).tolist()


def test_after_the_end_nothing_is_left():
    for load in (*SCHEDULES, ClosedLoop(3), AllAtOnce(100)):
        (share, *_) = shares_of(RunPlan(load=load, stop=Stop(duration_s=5.0)), 3)
        assert rest_of(share, 0, 5.0) is None
        assert rest_of(share, 0, 60.0) is None


@given(st.integers(3, 40), st.integers(1, 30), st.integers(0, 500))
def test_clients_go_on_with_what_their_node_had_left(clients, iterations, done):
    """Each as nearly as many as the others, and no request more than the share had."""
    plan = RunPlan(load=ClosedLoop(clients, iterations, think_time_s=0.1))
    for share in shares_of(plan, 3):
        rest = rest_of(share, done, 2.0)
        left = share.planned - done
        if left <= 0:
            assert rest is None
            continue
        counts = [
            iterations_of(PlanShare(rest, rest.load.clients), rest.load, number)
            for number in range(rest.load.clients)
        ]
        assert sum(counts) == left and max(counts) - min(counts) <= 1
        assert rest.load.clients == share.load.clients and rest.load.think_time_s == 0.1


def test_clients_without_a_count_go_on_until_the_end():
    share = shares_of(RunPlan(load=ClosedLoop(4), stop=Stop(duration_s=9.0)), 2)[0]
    assert rest_of(share, 1_000, 3.0) == share


def test_what_was_due_at_once_and_is_not_done_is_left():
    """Offline: nobody's time has passed as long as nobody has taken it."""
    share = shares_of(RunPlan(load=AllAtOnce(100), pool=Pool("async")), 3)[0]
    rest = rest_of(share, 10, 5.0)
    assert requests(rest) == requests(share)[10:]
    assert rest_of(share, 34, 5.0) is None


def test_users_go_on_with_the_turns_that_are_left():
    plan = RunPlan(load=Sessions(users=4), stop=Stop(iterations=40), pool=Pool("async"))
    share = shares_of(plan, 2)[0]
    rest = rest_of(share, 13, 5.0)
    assert rest.load.users == 2 and turns_of(PlanShare(rest, 2)) == 7
    assert rest_of(share, 20, 5.0) is None


def test_conversations_that_are_still_to_arrive_are_left():
    load = Sessions(arrivals=ConstantRate(10))
    plan = RunPlan(load=load, stop=Stop(duration_s=9.0), pool=Pool("async"))
    share = shares_of(plan, 2)[1]
    rest = rest_of(share, 13, 5.0)
    assert next(rest.load.arrivals.blocks())[0] == 5_100_000_000
    arrivals = Sessions(arrivals=Replay((1.0, 2.0)))
    share = shares_of(RunPlan(load=arrivals, pool=Pool("async")), 2)[1]
    assert rest_of(share, 1, 1.5).load.ends
    assert rest_of(share, 1, 2.5) is None

"""Plans over nodes as wholes: how scenarios end there, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    MultiStream,
    Offline,
    PlanError,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Server,
    Sessions,
    SingleStream,
    Stop,
)
from qs.engine.distributed.splitting.shares import faults_over, shares_of, whole_of, words_of
from tests.engine.distributed.due import due_times


def test_offline_is_split_and_judged_as_a_whole():
    plan = Offline(min_samples=1_000, min_duration_s=1).plan(pool=Pool("thread", 4))
    shares = shares_of(plan, 3)
    assert [share.load.count for share in shares] == [334, 333, 333]
    assert [share.scenario for share in shares] == [None] * 3


def test_a_server_runs_until_both_minimums_of_all_together():
    """The due times of independent parts are others than those of one machine: to cut them where
    one machine's end would make a result too short, or leave out what is due.
    """
    for seed in range(20):
        server = Server(200, bound_s=1.0, min_duration_s=5.0, seed=seed)
        plan = whole_of(server.plan(), 3)
        due = np.sort(np.concatenate([due_times(share) for share in shares_of(plan, 3)]))
        assert due.size == plan.stop.iterations == plan.planned
        assert due[-1] >= 5e9 > due[-2]
        assert due[-1] / 1e9 < plan.stop.duration_s < due[-1] / 1e9 + 2e-6
        assert shares_of(server.plan(), 3) == shares_of(plan, 3)
        assert whole_of(plan, 3) == plan


def test_a_server_makes_its_least_number_of_queries():
    plan = whole_of(Server(200, bound_s=1.0, min_duration_s=1.0, min_queries=500).plan(), 3)
    due = np.sort(np.concatenate([due_times(share) for share in shares_of(plan, 3)]))
    assert due.size == 500 and due[-1] / 1e9 < plan.stop.duration_s


def test_a_server_whose_end_was_set_by_hand_keeps_it():
    plan = Server(200, bound_s=1.0, min_duration_s=1.0).plan()
    short = replace(plan, stop=replace(plan.stop, iterations=300))
    assert whole_of(short, 3) == short
    budget = replace(plan, stop=replace(plan.stop, max_errors=3, max_duration_s=60.0))
    assert whole_of(budget, 3).stop.max_errors == 3
    assert whole_of(budget, 3).stop.iterations == whole_of(plan, 3).stop.iterations


# -- what cannot be split


@pytest.mark.parametrize(
    "plan, words",
    [
        (SingleStream().plan(), "scenario: SingleStream is not allowed over 3 nodes, it means one"),
        (MultiStream().plan(), "scenario: MultiStream is not allowed over 3 nodes, it means one"),
        (
            RunPlan(load=ClosedLoop(2, 9)),
            "clients: 2 is not allowed over 3 nodes, each needs at least one; give 3 or more",
        ),
        (
            RunPlan(load=Sessions(users=1), stop=Stop(duration_s=1), pool=Pool("async")),
            "users: 1 is not allowed over 3 nodes",
        ),
        (
            RunPlan(load=Poisson(9), stop=Stop(duration_s=9), pool=Pool("thread", 2)),
            "pool workers: 2 is not allowed over 3 nodes",
        ),
        (
            RunPlan(load=Poisson(9), stop=Stop(duration_s=9), pool=Pool("thread", 3, 1)),
            "pool instances: 1 is not allowed over 3 nodes",
        ),
        (
            RunPlan(load=Poisson(9), stop=Stop(duration_s=9), pool=Pool("async", max_in_flight=2)),
            "pool max_in_flight: 2 is not allowed over 3 nodes",
        ),
        (
            RunPlan(load=ConstantRate(9), stop=Stop(duration_s=9), pool=Pool("inline")),
            "pool kind: 'inline' is not allowed over 3 nodes",
        ),
        (
            RunPlan(load=ClosedLoop(6), stop=Stop(iterations=4)),
            "iterations: 4 is not allowed over 3 nodes, a node would have none",
        ),
        (
            RunPlan(load=Poisson(900), stop=Stop(iterations=2)),
            "iterations: 2 is not allowed over 3 nodes, a node would have none",
        ),
        (
            RunPlan(load=AllAtOnce(2)),
            "load: too few requests for 3 nodes, none would fall due on 1 of them",
        ),
        (RunPlan(load=Replay((1.0,))), "none would fall due on 2 of them"),
        (
            RunPlan(load=ConstantRate(1), stop=Stop(duration_s=1.5)),
            "none would fall due on 1 of them",
        ),
        (
            RunPlan(load=Poisson(0.001), stop=Stop(duration_s=1.5)),
            "none would fall due on 3 of them",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_plans_that_cannot_be_split_are_refused_with_the_reason(plan, words):
    assert plan.faults() == []
    (fault,) = faults_over(plan, 3)
    assert words in fault and "\n" not in fault
    assert faults_over(plan, 1) == []
    with pytest.raises(PlanError):
        shares_of(plan, 3)


def test_all_that_is_too_few_is_told_at_once():
    plan = RunPlan(load=ClosedLoop(2, 9), pool=Pool("process", 1, 1))
    assert len(faults_over(plan, 3)) == 3


def test_a_number_of_nodes_is_at_least_one():
    assert faults_over(RunPlan(load=ClosedLoop(2, 9)), 0) == [
        "nodes: 0 is not allowed, it must be at least 1"
    ]


def test_shares_in_words():
    closed = RunPlan(load=ClosedLoop(8, 1))
    assert [words_of(share, closed) for share in shares_of(closed, 3)] == [
        "clients 1 to 3 of 8",
        "clients 4 to 6 of 8",
        "clients 7 to 8 of 8",
    ]
    small = RunPlan(load=ClosedLoop(3, 1))
    assert words_of(shares_of(small, 3)[1], small) == "client 2 of 3"
    opened = RunPlan(load=Poisson(9), stop=Stop(duration_s=9))
    assert [words_of(share) for share in shares_of(opened, 2)] == ["part 1 of 2", "part 2 of 2"]

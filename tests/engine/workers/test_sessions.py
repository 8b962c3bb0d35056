"""Conversations through whole runs, on real event loops: due times, what ends them, what a cap
holds back, and what becomes of a run whose conversations are none.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from qs.engine import (
    ConstantRate,
    Ending,
    Factory,
    Gamma,
    HostError,
    PlanError,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Sessions,
    Stop,
    run,
    run_async,
)
from qs.engine.outcome import BEGUN, COMPLETED, CUT, FAILED, HELD_BACK, HELD_BACK_MS
from tests.fakes import StartedTarget

ASYNC = Pool("async")
MS = 1_000_000


class Talk:
    """A conversation whose requests are (name, turn)."""

    def __init__(self, name: int, *think_ms: int):
        self.name, self.think_ms = name, think_ms

    def turns(self):
        for turn, think_ms in enumerate(self.think_ms):
            call = yield (self.name, turn), think_ms * MS
            assert call.last_ns


ONCE = Stop()


def plan_of(load: Sessions, stop: Stop = ONCE, **options) -> RunPlan:
    options = {"pool": ASYNC, "calibrate": False} | options
    return RunPlan(load, stop, **options)


def outcome(result) -> list[int]:
    """Conversations begun, completed, failed, cut."""
    return [result.counts[name] for name in (BEGUN, COMPLETED, FAILED, CUT)]


USERS = plan_of(Sessions(users=3), Stop(iterations=60))
ARRIVE = plan_of(Sessions(arrivals=Replay(np.arange(20) / 1_000)))
BOTH = pytest.mark.parametrize("plan", [USERS, ARRIVE], ids=["users", "arrivals"])


@BOTH
def test_every_turn_is_a_request_and_every_conversation_is_counted(plan):
    target = StartedTarget()
    result = run(plan, target, [Talk(1, 0, 0, 0), Talk(2, 0, 0, 0)])
    assert (result.completed, result.errors, result.verdict) == (60, 0, "VALID"), result.reasons
    begun, completed, failed, cut = outcome(result)
    assert begun == completed + cut and failed == 0
    assert begun == 20 if plan is ARRIVE else 20 <= begun <= 22
    assert target.events == [f"open {3 if plan is USERS else 0}", "close"]
    assert result.clients == (3 if plan is USERS else None)
    assert result.ended_by is Ending.PLAN
    assert result.offered_per_s is None
    assert json.dumps(result.to_dict())
    for name in (1, 2):
        turns = [turn for each, turn in target.seen if each == name]
        assert abs(turns.count(0) - turns.count(2)) <= 3


def test_a_turn_is_due_its_think_time_after_the_answer_and_response_counts_from_there():
    target = StartedTarget(pause_s=0.005)
    load = Sessions(arrivals=Replay((0.0,)))
    result = run(plan_of(load), target, [Talk(1, 0, 10, 0, 20)], keep_columns=True)
    due, completed = result.columns["due_ns"], result.columns["completed_ns"]
    assert (due[1:] - completed[:-1]).tolist() == [10 * MS, 0, 20 * MS]
    assert result.lateness.count == 4
    assert np.all(result.columns["issued_ns"] >= due)
    assert outcome(result) == [1, 1, 0, 0]


def test_users_pause_and_go_on_until_the_duration_and_no_turn_is_issued_after_it():
    load = Sessions(users=4, think_time_s=0.02)
    target = StartedTarget(pause_s=0.001)
    plan = plan_of(load, Stop(duration_s=0.3))
    result = run(plan, target, [Talk(1, 0, 0, 0)], keep_columns=True)
    assert result.ended_by is Ending.DURATION
    assert result.columns["due_ns"].max() < 300 * MS
    begun, completed, failed, cut = outcome(result)
    assert begun == completed + cut and failed == 0 and cut <= 4
    assert 8 <= result.completed <= 4 * 15
    assert target.most <= 4


def test_conversations_whose_next_turn_falls_due_after_the_end_are_cut():
    plan = plan_of(Sessions(users=4), Stop(duration_s=0.2))
    result = run(plan, StartedTarget(pause_s=0.001), [Talk(1, 0, 30_000)])
    assert outcome(result) == [4, 0, 0, 4]
    assert result.completed == 4 and result.ended_by is Ending.DURATION


def test_arrivals_keep_their_due_times_however_long_conversations_are():
    arrivals = Gamma(500, 0.5, seed=4)
    target = StartedTarget(pause_s=0.05)
    plan = plan_of(Sessions(arrivals=arrivals), Stop(duration_s=0.2))
    result = run(plan, target, [Talk(1, 0, 0)], keep_columns=True)
    seen = np.sort(result.columns["due_ns"])
    blocks = arrivals.blocks()
    first, rest = next(blocks), next(blocks)
    due = np.concatenate([first, rest])
    due = due[due < 200 * MS]
    assert np.isin(due, seen).all()
    assert outcome(result)[0] == due.size
    assert result.seed == 4


def test_a_failed_turn_ends_its_conversation():
    plan = plan_of(Sessions(arrivals=ConstantRate(200)), Stop(duration_s=0.1))
    target = StartedTarget(3, "failure", onward=True)
    result = run(plan, target, [Talk(1, 0, 0)])
    assert result.errors_by_kind == {"HTTP 503": result.errors}
    begun, completed, failed, cut = outcome(result)
    # Whether the first one's second turn is the target's second request is a matter of time.
    assert (begun, cut) == (20, 0) and completed <= 1 and failed == result.errors == 20 - completed


@pytest.mark.parametrize("what", ["raise", "within", "failure"])
def test_users_of_a_target_that_fails_or_answers_at_once_leave_the_loop_its_turn(what):
    plan = plan_of(Sessions(users=2), Stop(duration_s=0.2))
    result = run(plan, StartedTarget(1, what, onward=True), [Talk(1, 0, 0)])
    assert result.completed + result.errors > 50
    assert result.ended_by is Ending.DURATION
    assert outcome(result)[2] == (0 if what == "within" else result.errors)


def test_a_turn_past_its_time_out_ends_its_conversation_and_its_user_goes_on():
    plan = plan_of(Sessions(users=1), Stop(duration_s=0.6), timeout_s=0.1, drain_s=1.0)
    result = run(plan, StartedTarget(pause_s=60), [Talk(1, 0, 0)])
    assert set(result.errors_by_kind) == {"timeout"}
    assert outcome(result)[2] == result.errors >= 2


def test_a_turn_that_would_not_be_cancelled_is_hung_and_its_user_waits():
    plan = plan_of(Sessions(users=1), Stop(duration_s=2.0), timeout_s=0.1, drain_s=1.0)
    result = run(plan, StartedTarget(1, "hang whatever comes", True), [Talk(1, 0, 0)])
    assert result.errors_by_kind == {"hung": 1}
    assert outcome(result) == [1, 0, 1, 0]


def test_a_cap_holds_turns_back_and_counts_them():
    plan = plan_of(Sessions(users=8), Stop(iterations=80), pool=Pool("async", max_in_flight=2))
    target = StartedTarget(pause_s=0.005)
    result = run(plan, target, [Talk(1, 0, 0)])
    assert target.most == 2
    assert result.completed == 80
    assert result.counts[HELD_BACK] >= 60
    assert result.counts[HELD_BACK_MS] > 100
    assert result.lateness.mean_ns > 2 * MS


def test_a_turn_that_left_the_line_and_was_answered_within_its_own_start_has_a_next_one():
    """The run ended as if nothing more were to come, and was valid."""
    plan = plan_of(Sessions(users=3), Stop(iterations=60), pool=Pool("async", max_in_flight=1))
    target = StartedTarget(2, "within", onward=True, pause_s=0.05)
    result = run(plan, target, [Talk(1, 0, 0, 0)])
    assert (result.completed, result.ended_by) == (60, Ending.PLAN)
    assert result.counts[HELD_BACK] > 0
    assert outcome(result)[0] >= 20


def test_what_waits_in_line_when_the_run_is_cut_short_was_not_issued():
    plan = plan_of(
        Sessions(arrivals=ConstantRate(1_000)),
        Stop(duration_s=0.1),
        pool=Pool("async", max_in_flight=1),
        drain_s=0.1,
    )
    result = run(plan, StartedTarget(pause_s=0.02), [Talk(1, 0, 0)])
    assert result.errors_by_kind["not issued"] > 50
    begun, completed, failed, cut = outcome(result)
    assert begun == 100 and cut > 50 and failed == 0


def test_a_warm_up_asks_first_turns_and_the_first_samples_are_measured_first():
    target = StartedTarget()
    plan = replace(USERS, warmup_iterations=2)
    result = run(plan, target, [Talk(name, 0, 0, 0) for name in range(100)])
    warm, measured = target.seen[:6], target.seen[6:]
    assert [turn for _, turn in warm] == [0] * 6
    assert [name for name, turn in measured if not turn][:10] == list(range(10))
    assert result.warmup.completed == 6


@pytest.mark.parametrize("users", [None, 2])
@pytest.mark.parametrize("sample", [None, b"plain"])
def test_samples_that_are_no_conversations_end_the_run(sample, users):
    load = Sessions(users) if users else Sessions(arrivals=ConstantRate(100))
    with pytest.raises(HostError, match=r"a conversation's `turns`: AttributeError"):
        run(plan_of(load, Stop(duration_s=5)), StartedTarget(), [sample])


def test_an_interrupt_ends_conversations_in_order():
    async def inside():
        interrupt = asyncio.Event()
        plan = plan_of(Sessions(users=3, think_time_s=30.0), Stop(duration_s=60))
        talks = [Talk(1, 1, 0, 0)]

        def shown(progress):
            if progress.completed == 3:  # all users think
                interrupt.set()

        return await run_async(plan, StartedTarget(), talks, on_progress=shown, interrupt=interrupt)

    result = asyncio.run(inside())
    assert result.interrupted
    assert outcome(result) == [3, 0, 0, 3]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (plan_of(Sessions()), "exactly one of the two"),
        (plan_of(Sessions(users=2, arrivals=Poisson(3))), "exactly one of the two"),
        (plan_of(Sessions(users=0), Stop(iterations=1)), "users: 0"),
        (plan_of(Sessions(users=2)), "no end of its own"),
        (plan_of(Sessions(arrivals=Poisson(3))), "no end of its own"),
        (plan_of(Sessions(arrivals=Poisson(-3)), Stop(iterations=1)), "rate_per_s: -3"),
        (plan_of(Sessions(arrivals=3), Stop(iterations=1)), "must be a schedule"),
        (plan_of(Sessions(2, None, -1.0), Stop(iterations=1)), "think_time_s: -1.0"),
        (plan_of(Sessions(2), Stop(iterations=1), pool=Pool("thread")), "a started target"),
        (plan_of(Sessions(2), Stop(iterations=1), max_backlog=3), "neither max_backlog"),
        (plan_of(Sessions(2), Stop(iterations=1), samples_per_query=3), "samples_per_query"),
    ],
)
def test_what_means_nothing_is_a_fault_with_its_reason(plan, why):
    with pytest.raises(PlanError, match=why):
        run(plan, StartedTarget(), [Talk(1, 0)])


def test_a_target_that_is_only_called_takes_part_in_none():
    async def coroutine(sample):
        pass

    with pytest.raises(HostError, match="only a started target takes part in conversations"):
        run(plan_of(Sessions(1), Stop(iterations=1)), coroutine, [Talk(1, 0)])


@pytest.mark.slow
@pytest.mark.parametrize("load", [Sessions(users=5), Sessions(arrivals=ConstantRate(400))])
def test_processes_share_users_arrivals_and_turns(load):
    plan = plan_of(load, Stop(iterations=61), pool=Pool("async", workers=3))
    samples = [Talk(name, 0, 0) for name in range(9)]
    result = run(plan, Factory("tests.fakes:StartedTarget"), samples)
    assert (result.completed, result.errors) == (61, 0)
    begun, completed, failed, cut = outcome(result)
    assert begun == completed + cut and failed == 0

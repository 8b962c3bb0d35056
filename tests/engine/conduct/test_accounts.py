"""Totals, intervals and the histogram log of a run agree, whatever became of its workers."""

from __future__ import annotations

import asyncio
import time

import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    RunResult,
    Stop,
    run,
)
from tests.fakes import Nth


def dying(every: int, what: str = "exit") -> Factory:
    return Factory("tests.fakes:make_nth", {"nth": every, "what": what, "pause_s": 0.002})


def agrees(result: RunResult) -> None:
    """The log is written from the counts of the intervals."""
    assert sum(row.completed for row in result.intervals) == result.completed
    assert sum(row.errors for row in result.intervals) == result.errors
    assert result.response.count == result.completed
    assert sum(int(row.counts.sum()) for row in result.intervals) == result.completed


CLOSED = RunPlan(ClosedLoop(clients=2, iterations=40), pool=Pool("process"), calibrate=False)


@pytest.mark.parametrize(
    ("every", "what"), [pytest.param(4, "exit", marks=pytest.mark.slow), (30, "kill")]
)
def test_processes_that_die_leave_their_intervals(every, what):
    result = run(CLOSED, dying(every, what))
    agrees(result)
    assert result.completed + result.errors == result.planned == 80
    assert result.verdict == "INVALID"
    if every == 4:  # the replacements are used up
        assert result.ended_by is Ending.LOST
        assert result.not_issued > 0
        assert any("not issued" in reason for reason in result.reasons)


@pytest.mark.parametrize("interval_s", [0.05, pytest.param(1.0, marks=pytest.mark.slow)])
def test_what_a_process_had_counted_before_it_died_is_in_its_intervals(interval_s):
    stop = Stop(duration_s=600)
    plan = RunPlan(ClosedLoop(), stop, Pool("process"), interval_s=interval_s, calibrate=False)
    result = run(plan, dying(200))
    agrees(result)
    assert result.completed == 199 * result.errors_by_kind["died"]
    assert result.ended_by is Ending.LOST
    assert result.wall_s < 500
    ends = max(row.start_s + row.length_s for row in result.intervals if row.completed)
    assert ends <= result.wall_s + interval_s


def test_an_open_loop_whose_processes_die_says_what_had_no_turn():
    pool = Pool("process", workers=2)
    plan = RunPlan(ConstantRate(100), Stop(iterations=200), pool, calibrate=False)
    result = run(plan, dying(4))
    agrees(result)
    assert result.completed + result.errors == 200
    assert result.ended_by is Ending.LOST


def slow(sample):
    time.sleep(0.002)


async def slow_awaited(sample):
    await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("pool", "target"),
    [
        (Pool("thread"), slow),
        (Pool("process"), slow),
        (Pool("async", max_in_flight=1), slow_awaited),
    ],
    ids=["thread", "process", "async"],
)
def test_dropped_requests_are_in_the_intervals(pool, target):
    load, stop = ConstantRate(2_000), Stop(duration_s=0.5)
    result = run(RunPlan(load, stop, pool, max_backlog=3, calibrate=False), target)
    agrees(result)
    assert result.dropped > 0


@pytest.mark.parametrize(
    "pool", [Pool("thread"), Pool("thread", workers=2), Pool("process", workers=2)]
)
def test_requests_that_were_not_issued_are_in_the_intervals(pool):
    load, stop = ConstantRate(5_000), Stop(duration_s=0.3)
    result = run(RunPlan(load, stop, pool, drain_s=0.0, calibrate=False), slow)
    agrees(result)
    assert result.not_issued > 0


def test_a_hung_worker_of_a_plan_leaves_what_it_was_to_send_in_a_count():
    plan = RunPlan(ClosedLoop(iterations=40), timeout_s=0.2, calibrate=False)
    result = run(plan, Nth(5, "hang"))
    agrees(result)
    assert result.errors_by_kind == {"hung": 1, "not issued": 35}
    assert (result.completed, result.ended_by) == (4, Ending.LOST)


def test_requests_that_the_drain_cuts_off_are_in_the_intervals():
    plan = RunPlan(ClosedLoop(), Stop(duration_s=0.3), drain_s=0.0, calibrate=False)
    result = run(plan, Nth(5, "hang", pause_s=0.01))
    agrees(result)
    assert (result.completed, result.errors_by_kind) == (4, {"cut off": 1})


@pytest.mark.parametrize(
    ("load", "word"),
    [
        (Poisson(0.001, seed=1), "fell due"),
        (Replay((100.0,)), "fell due"),
        (ClosedLoop(think_time_s=60), "think time"),
    ],
    ids=["poisson", "replay", "think time"],
)
def test_a_run_in_which_nothing_fell_due_says_so(load, word):
    result = run(RunPlan(load, Stop(duration_s=0.2)), slow)
    assert any(word in reason for reason in result.reasons), result.reasons
    assert (result.completed, result.errors) == (0, 0)
    assert result.wall_s == 0.2
    assert result.ended_by is Ending.DURATION

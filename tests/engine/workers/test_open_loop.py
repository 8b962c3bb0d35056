"""Open loop: due times are kept when late, the line is first come first served, and what is cut off
is counted.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Factory,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Stage,
    Stages,
    Stop,
    run,
)
from tests.fakes import MS, Counter, Nth, S, Service, VirtualClock

INLINE = Pool("inline")


def fifo(due: np.ndarray, takes_ns: int, servers: int = 1) -> np.ndarray:
    """Response times of a first-come first-served line before as many servers, each request taking
    the same.
    """
    free = [0] * servers
    found = []
    for moment in due.tolist():
        free.sort()
        free[0] = max(free[0], moment) + takes_ns
        found.append(free[0] - moment)
    return np.array(found)


@pytest.mark.parametrize("rate", [900, 1_100])
def test_response_times_are_those_of_a_line_before_one_server(rate):
    """Poisson arrivals before a server of 1 ms, below and above what it can serve, against an exact
    simulation.
    """
    clock = VirtualClock()
    load = Poisson(rate, seed=3)
    due = next(load.blocks())[:5_000]
    plan = RunPlan(load, Stop(iterations=5_000), INLINE)
    result = run(plan, Service(clock, MS), clock=clock, keep_columns=True)
    columns = result.columns
    assert np.array_equal(columns["due_ns"], due)
    assert np.array_equal(columns["completed_ns"] - columns["due_ns"], fifo(due, MS))
    assert result.response.max_ns == fifo(due, MS).max()
    assert result.lateness.max_ns == (fifo(due, MS) - MS).max()
    assert (result.completed, result.planned, result.ended_by) == (5_000, 5_000, "plan")


def test_a_late_request_keeps_its_due_time_and_is_issued_at_once():
    clock = VirtualClock()
    plan = RunPlan(Replay((0.0, 0.001, 0.002, 0.5)), pool=INLINE)
    columns = run(plan, Service(clock, 100 * MS), clock=clock, keep_columns=True).columns
    assert (columns["due_ns"] / MS).tolist() == [0, 1, 2, 500]
    assert (columns["issued_ns"] / MS).tolist() == [0, 100, 200, 500]


def test_no_request_is_issued_before_it_is_due():
    plan = RunPlan(Poisson(2_000, seed=1), Stop(duration_s=0.5), Pool("thread", workers=2))
    result = run(plan, Counter(), keep_columns=True)
    assert (result.columns["issued_ns"] >= result.columns["due_ns"]).all()
    assert result.completed == np.count_nonzero(next(Poisson(2_000, seed=1).blocks()) < S // 2)
    assert result.ended_by == "duration"


@pytest.mark.parametrize("kind", ["thread", pytest.param("process", marks=pytest.mark.slow)])
def test_workers_share_every_due_time_once(kind):
    plan = RunPlan(ConstantRate(3_000), Stop(iterations=1_500), Pool(kind, workers=2))
    target = Factory("tests.fakes:make_nothing")
    result = run(plan, target, samples=[1, 2, 3], keep_columns=True)
    assert (result.completed, result.errors, result.workers) == (1_500, 0, 2)
    due = np.sort(result.columns["due_ns"])
    assert np.array_equal(due, next(ConstantRate(3_000).blocks())[:1_500])
    assert result.verdict == "VALID", result.reasons


def test_unseeded_processes_agree_on_one_schedule():
    """Each drew a schedule of its own and they shared only its numbers: requests came in bursts
    that nobody asked for.
    """
    plan = RunPlan(Poisson(1_000, seed=None), Stop(iterations=400), Pool("process", workers=2))
    result = run(
        plan,
        Factory("tests.fakes:make_nth", {"nth": 0, "what": "", "pause_s": 0.001}),
        keep_columns=True,
    )
    due, worker = result.columns["due_ns"], result.columns["worker"]
    order = np.argsort(due, kind="stable")
    assert due.size == 400
    assert len(set(worker.tolist())) == 2
    # Claims are in the order of the one schedule: a due time taken by one process lies between its
    # neighbours of the other.
    issued = result.columns["issued_ns"][order]
    assert np.all(np.diff(due[order]) >= 0)
    assert np.all(issued >= due[order])


def test_stages_and_replay_end_by_themselves():
    clock = VirtualClock()
    stages = Stages((Stage(1, 100), Stage(1, 0), Stage(1, 50)))
    result = run(RunPlan(stages, pool=INLINE), Service(clock, MS), clock=clock)
    assert (result.completed, result.ended_by) == (150, "plan")
    assert [row.completed for row in result.intervals] == [100, 0, 50]


def test_duration_cuts_the_schedule_not_what_is_under_way():
    clock = VirtualClock()
    result = run(
        RunPlan(ConstantRate(10), Stop(duration_s=1), INLINE), Service(clock, 150 * MS), clock=clock
    )
    assert (result.completed, result.ended_by) == (10, "duration")
    assert result.wall_s == pytest.approx(1.5)


def test_a_duration_that_falls_between_two_requests_still_ended_the_run():
    clock = VirtualClock()
    plan = RunPlan(ConstantRate(10), Stop(max_duration_s=1.05), INLINE)
    result = run(plan, Service(clock, MS), clock=clock)
    assert (result.completed, result.ended_by) == (11, "time limit")


@pytest.mark.parametrize("raised", ["StopIteration", "SystemExit", "ValueError"])
def test_whatever_a_target_raises_is_counted_by_kind(raised):
    plan = RunPlan(ConstantRate(5_000), Stop(iterations=200), Pool("thread", workers=2))
    result = run(plan, Nth(20, raised))
    assert (result.completed, result.errors_by_kind) == (199, {raised: 1})
    assert result.response.count == result.lateness.count == 199


def test_a_target_that_fails_from_its_seventh_call_on():
    result = run(
        RunPlan(ConstantRate(5_000), Stop(iterations=100), INLINE),
        Nth(7, "RuntimeError", onward=True),
    )
    assert (result.completed, result.errors_by_kind) == (6, {"RuntimeError": 94})
    assert sum(row.errors for row in result.intervals) == 94


def test_what_takes_longer_than_the_time_out_is_an_error_and_in_no_percentile():
    clock = VirtualClock()
    target = Service(clock, MS, stall_at_ns=100 * MS, stall_ns=3 * S)
    result = run(
        RunPlan(ConstantRate(100), Stop(iterations=50), INLINE, timeout_s=2), target, clock=clock
    )
    assert (result.completed, result.errors_by_kind) == (49, {"timeout": 1})
    assert result.service.max_ns == MS
    assert result.response.max_ns == pytest.approx(3 * S, rel=0.02)


def test_what_the_drain_limit_cuts_off_is_counted():
    """1,000 are due in half a second; one worker of 10 ms serves some 80 until the drain limit. The
    rest must not vanish.
    """
    plan = RunPlan(
        ConstantRate(2_000), Stop(duration_s=0.5), Pool("thread", workers=1), drain_s=0.3
    )
    began = time.monotonic()
    result = run(plan, Nth(0, "", pause_s=0.01))
    assert time.monotonic() - began < 20
    assert 0 < result.completed < 200
    assert result.completed + result.errors == 1_000
    assert set(result.errors_by_kind) <= {"not issued", "cut off"}
    assert result.verdict == "INVALID"


def test_a_drain_limit_that_suffices_cuts_nothing_off():
    plan = RunPlan(ConstantRate(200), Stop(duration_s=0.2), Pool("thread", workers=1), drain_s=60)
    result = run(plan, Nth(0, "", pause_s=0.01))
    assert (result.completed, result.errors) == (40, 0)


def test_the_backlog_cap_drops_and_counts():
    clock = VirtualClock()
    plan = RunPlan(ConstantRate(1_000), Stop(duration_s=1), INLINE, max_backlog=5)
    result = run(plan, Service(clock, 10 * MS), clock=clock, keep_columns=True)
    assert result.completed + result.errors == 1_000
    assert set(result.errors_by_kind) == {"dropped"}
    assert result.completed == pytest.approx(100, abs=6)
    # Six due requests behind one are more than the cap, so none that was served had waited more
    # than 6 ms, but for the last six, behind which no more come.
    took = result.columns["completed_ns"] - result.columns["due_ns"]
    assert took[:-6].max() <= 16 * MS
    assert took.max() <= 6 * 10 * MS + 6 * MS


def test_a_cap_that_is_never_reached_drops_nothing():
    clock = VirtualClock()
    plan = RunPlan(ConstantRate(1_000), Stop(duration_s=1), INLINE, max_backlog=0)
    result = run(plan, Service(clock, MS // 2), clock=clock)
    assert (result.completed, result.errors) == (1_000, 0)


def test_a_stop_by_minimums_serves_the_line_that_waits():
    """Two thousand a second before workers of 10 ms: those that wait in line when the minimum is
    reached belong to the result.
    """
    plan = RunPlan(ConstantRate(400), Stop(min_queries=40), Pool("thread", workers=2), drain_s=30)
    result = run(plan, Nth(0, "", pause_s=0.01))
    assert result.errors == 0
    assert result.completed >= 40
    assert result.ended_by == "minimums reached"


def test_waiting_is_not_hanging():
    plan = RunPlan(Replay((0.0, 0.9)), pool=Pool("thread"), timeout_s=0.3)
    assert run(plan, Counter()).errors == 0


def test_a_worker_that_waits_for_a_far_due_time_stops_when_told():
    stopped = threading.Event()
    plan = RunPlan(Replay((0.0, 3_600.0)), Stop(max_duration_s=0.3), Pool("thread"))
    result = run(plan, lambda sample: stopped.set())
    assert (result.completed, result.errors) == (1, 0)


def test_closed_loop_has_no_lateness_and_says_so():
    plain = run(RunPlan(ClosedLoop(iterations=5)), Counter()).to_dict()
    assert plain["lateness"] is None
    assert plain["open_loop"] is False

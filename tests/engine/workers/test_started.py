"""Started targets: the same counts and faults as of other targets, the parts of their times, and
what becomes of a run whose target does what none may.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    HostError,
    PlanError,
    Poisson,
    Pool,
    RunPlan,
    Stop,
    Target,
    joined,
    run,
    run_async,
)
from tests.fakes import TIMES, StartedTarget

PARTS = ("wait", "first_byte", "transfer")
ASYNC = Pool("async")
CLOSED = RunPlan(ClosedLoop(4, 25), pool=ASYNC, calibrate=False)
OPEN = RunPlan(ConstantRate(2_000), Stop(iterations=100), pool=ASYNC, calibrate=False)
BOTH = pytest.mark.parametrize("plan", [CLOSED, OPEN], ids=["closed", "open"])


def agrees(result) -> None:
    assert result.response.count == result.completed
    assert sum(row.completed for row in result.intervals) == result.completed
    assert sum(row.errors for row in result.intervals) == result.errors
    assert all(part.count <= result.completed for part in result.parts.values())


@BOTH
def test_every_request_is_answered_and_the_target_is_opened_and_closed(plan):
    target = StartedTarget()
    result = run(plan, target, samples=["a", "b"])
    assert (result.completed, result.errors, result.verdict) == (100, 0, "VALID"), result.reasons
    assert target.seen == ["a", "b"] * 50
    assert target.events == [f"open {4 if plan is CLOSED else 0}", "close"]
    assert result.counts == {"started": 100, "never": 0}
    agrees(result)


def test_the_pool_is_async_by_itself_and_a_target_may_be_put_together():
    fake = StartedTarget()
    assert run(replace(CLOSED, pool=Pool()), fake).completed == 100
    target = Target(call=print, start=fake.start, open=fake.open)
    assert run(CLOSED, target).completed == 100
    assert fake.events[-1] == "open 4"


@BOTH
def test_parts_are_told_apart_and_kept(plan):
    result = run(replace(plan, parts=PARTS), StartedTarget(), keep_columns=True)
    assert {name: part.count for name, part in result.parts.items()} == dict.fromkeys(PARTS, 100)
    columns = result.columns
    whole = columns["completed_ns"] - columns["issued_ns"]
    assert np.array_equal(sum(columns[f"{part}_ns"] for part in PARTS), whole)
    assert sum(part.sum_ns for part in result.parts.values()) == whole.sum()
    twice = joined([result, result])
    assert {name: part.count for name, part in twice.parts.items()} == dict.fromkeys(PARTS, 200)
    assert twice.counts == {"started": 200, "never": 0}


def test_a_part_whose_stamp_is_missing_is_in_no_histogram():
    class Target(StartedTarget):
        def start(self, sample, done):
            def ended(call):
                call.first_ns = 0
                done(call)

            return super().start(sample, ended)

    result = run(replace(CLOSED, parts=PARTS), Target(), keep_columns=True)
    assert [result.parts[part].count for part in PARTS] == [100, 0, 0]
    assert (result.columns["transfer_ns"] == -1).all()
    assert (result.completed, result.verdict) == (100, "VALID")


def test_parts_are_those_of_a_started_target():
    with pytest.raises(PlanError, match="parts: 'tokens' is not allowed"):
        run(replace(CLOSED, parts=("tokens",)), StartedTarget())
    with pytest.raises(PlanError, match="parts: calls that bring their own times"):
        run(RunPlan(ClosedLoop(), Stop(iterations=1), parts=PARTS), print)

    async def coroutine(sample):
        pass

    with pytest.raises(HostError, match="only a started target"):
        run(replace(CLOSED, parts=PARTS), coroutine)


@pytest.mark.slow
@BOTH
def test_processes_have_equal_shares(plan):
    shared = replace(plan, pool=Pool("async", workers=2), parts=PARTS)
    result = run(shared, Factory("tests.fakes:StartedTarget"), keep_columns=True)
    assert (result.completed, result.errors, result.verdict) == (100, 0, "VALID"), result.reasons
    assert np.unique(result.columns["worker"], return_counts=True)[1].tolist() == [50, 50]
    assert result.counts == {"started": 100, "never": 0}
    assert result.parts["wait"].count == 100


@pytest.mark.slow
@BOTH
def test_what_a_process_had_measured_before_it_died_is_kept(plan):
    shared = replace(plan, pool=Pool("async", workers=2), parts=PARTS)
    result = run(shared, Factory("tests.fakes:StartedTarget", {"nth": 20, "what": "die"}))
    agrees(result)
    assert result.completed + result.errors == 100
    assert result.errors_by_kind["died"] >= 2
    assert 0 < result.parts["wait"].count == result.completed


# -- failures


@BOTH
@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        ("failure", "HTTP 503", "HTTP 503: overloaded"),
        ("raise", "ValueError", "as asked"),
        ("not issued", "not issued", "not issued"),  # a word of the engine's own
    ],
)
def test_a_failed_request_is_counted_by_its_word_and_has_a_row(plan, what, kind, says):
    result = run(plan, StartedTarget(7, what), keep_columns=True)
    assert (result.completed, result.errors_by_kind) == (99, {kind: 1})
    assert says in result.first_fault
    assert np.bincount(result.columns["outcome"]).tolist() == [99, 1]
    agrees(result)


@BOTH
def test_a_target_that_always_raises_neither_spins_nor_hangs(plan):
    result = run(plan, StartedTarget(1, "raise", onward=True))
    assert (result.completed, result.errors_by_kind) == (0, {"ValueError": 100})


@BOTH
def test_an_answer_within_start_counts(plan):
    result = run(plan, StartedTarget(1, "within", onward=True))
    assert (result.completed, result.errors) == (100, 0)
    plan = replace(plan, pool=Pool("async", max_in_flight=1))
    assert run(plan, StartedTarget(5, "within", onward=True)).completed == 100


@BOTH
@pytest.mark.parametrize("what", TIMES)
def test_times_that_cannot_be_are_no_answer(plan, what):
    if what in ("a float", "far too large"):
        with pytest.raises(HostError, match="does not bring what it must"):
            run(plan, StartedTarget(7, what))
        return
    result = run(replace(plan, parts=PARTS), StartedTarget(7, what), keep_columns=True)
    assert (result.completed, result.errors_by_kind) == (99, {"impossible times": 1})
    assert "perf_counter_ns" in result.first_fault
    assert (np.diff(result.columns["completed_ns"]) >= 0).all()
    assert result.wall_s < 60
    agrees(result)


@BOTH
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("twice", "not in hand"),
        ("thread", "another thread"),
        ("None", "returned None"),
        ("raise after done", "raised after its call was done"),
        ("another within", "another call"),
        ("no stamps", "issued_ns"),
    ],
)
def test_what_no_target_may_do_ends_the_run_and_is_told(plan, what, says):
    with pytest.raises(HostError, match=says):
        run(plan, StartedTarget(7, what))


def test_calls_that_end_in_another_order_than_they_are_told_are_put_in_order():
    class Target(StartedTarget):
        """Keeps calls back, and says last first that they are done."""

        held: list = []

        def start(self, sample, done):
            def hold(call):
                self.held.append(call)
                if len(self.held) == 4:
                    while self.held:
                        done(self.held.pop())

            return super().start(sample, hold)

    result = run(CLOSED, Target(), keep_columns=True)
    assert result.completed == 100
    columns = result.columns
    assert (np.diff(columns["completed_ns"]) >= 0).all()
    assert (columns["completed_ns"] >= columns["issued_ns"]).all()
    agrees(result)


@BOTH
def test_a_request_past_the_time_out_is_cancelled(plan):
    result = run(replace(plan, timeout_s=0.3), StartedTarget(5, "hang"), keep_columns=True)
    assert (result.completed, result.errors_by_kind) == (99, {"timeout": 1})
    assert np.bincount(result.columns["outcome"]).tolist() == [99, 0, 1]
    agrees(result)


@pytest.mark.slow
@BOTH
def test_a_request_that_would_not_be_cancelled_is_given_up(plan):
    result = run(replace(plan, timeout_s=0.3), StartedTarget(5, "hang whatever comes"))
    assert result.errors_by_kind == {"hung": 1}
    assert result.completed == 99 if plan is OPEN else 75 <= result.completed < 99
    agrees(result)


def test_kinds_of_failures_are_bounded():
    class Target(StartedTarget):
        def start(self, sample, done):
            call = super().start(sample, done)
            self.loop.call_soon(call.end, f"failure {len(self.seen)}")
            return call

    result = run(RunPlan(ClosedLoop(4, 500), pool=ASYNC, calibrate=False), Target(pause_s=9))
    assert (result.errors, len(result.errors_by_kind)) == (2_000, 1_001)
    assert result.errors_by_kind["other kinds of failures"] == 1_000


# -- limits and endings


def test_requests_wait_in_line_and_keep_their_due_times():
    target = StartedTarget(pause_s=0.02)
    plan = RunPlan(ConstantRate(400), Stop(iterations=80), Pool("async", max_in_flight=2))
    result = run(replace(plan, calibrate=False), target, keep_columns=True)
    assert (result.completed, result.errors, target.most) == (80, 0, 2)
    due = np.sort(result.columns["due_ns"])
    assert np.array_equal(due, next(ConstantRate(400).blocks())[:80])
    assert target.events[0] == "open 2"
    assert result.wall_s >= 0.75


def test_more_than_may_wait_are_dropped():
    plan = RunPlan(
        ConstantRate(2_000), Stop(iterations=200), Pool("async", max_in_flight=1), max_backlog=3
    )
    result = run(replace(plan, calibrate=False), StartedTarget(pause_s=0.005))
    assert result.dropped > 0
    assert result.completed + result.dropped == 200
    agrees(result)


def test_what_the_drain_limit_cuts_off_is_counted():
    plan = RunPlan(ConstantRate(400), Stop(duration_s=0.3), ASYNC, drain_s=0.1, calibrate=False)
    for target in (StartedTarget(pause_s=60), StartedTarget(1, "hang whatever comes", True)):
        result = run(plan, target)
        assert result.errors_by_kind == {"cut off": 120}
        agrees(result)


@BOTH
def test_an_error_budget_ends_the_run_at_once(plan):
    stop = replace(plan.stop, max_errors=3)
    result = run(replace(plan, stop=stop), StartedTarget(5, "failure", onward=True))
    assert result.ended_by is Ending.ERROR_BUDGET
    # Those in flight as well, and what fell due while the loop was busy.
    assert result.errors_by_kind["HTTP 503"] <= 50
    agrees(result)


@pytest.mark.parametrize("load", [ClosedLoop(2), Poisson(200)], ids=["closed", "open"])
def test_an_interrupt_ends_the_run_in_order(load):
    async def inside():
        target = StartedTarget(50, "interrupt", pause_s=0.001)
        target.interrupt = asyncio.Event()
        plan = RunPlan(load, Stop(duration_s=600), ASYNC, calibrate=False)
        return target, await run_async(plan, target, interrupt=target.interrupt)

    target, result = asyncio.run(inside())
    assert result.interrupted
    assert result.completed == result.response.count > 0
    assert set(result.errors_by_kind) <= {"not issued", "cut off"}
    assert target.events[-1] == "close"


def test_thinking_ends_with_the_run():
    plan = RunPlan(ClosedLoop(2, 2, think_time_s=0.05), pool=ASYNC, calibrate=False)
    assert run(plan, StartedTarget()).completed == 4
    plan = RunPlan(ClosedLoop(2, think_time_s=1_000), Stop(duration_s=0.2), ASYNC, calibrate=False)
    assert run(plan, StartedTarget()).completed == 0


def test_cancelling_the_run_closes_the_target():
    async def inside():
        target = StartedTarget(2, "hang", pause_s=0.001)
        plan = RunPlan(ClosedLoop(3), Stop(duration_s=600), ASYNC, calibrate=False)
        task = asyncio.ensure_future(run_async(plan, target))
        while len(target.seen) < 10:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert target.events[-1] == "close"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(inside())


def test_a_failure_is_not_the_first_answer():
    result = run(RunPlan(ClosedLoop(1, 3), pool=ASYNC), StartedTarget(1, "failure", pause_s=0.02))
    assert (result.completed, result.errors) == (2, 1)
    assert result.first_ns > 15_000_000


def test_warm_up_is_apart():
    target = StartedTarget()
    result = run(replace(CLOSED, warmup_iterations=5), target)
    assert (len(target.seen), result.completed, result.warmup.completed) == (120, 100, 20)


# -- beside the requests


@pytest.mark.parametrize("fault", [OSError("refused"), SystemExit(3)])
def test_a_target_that_cannot_be_opened_is_told(fault):
    class Target(StartedTarget):
        async def open(self, clients):
            raise fault

    target = Target()
    with pytest.raises(HostError, match=type(fault).__name__):
        run(CLOSED, target)
    assert target.events == ["close"]
    assert gc.isenabled()


@pytest.mark.parametrize("fault", [OSError("gone"), SystemExit(3)])
def test_a_target_that_cannot_be_closed_keeps_what_was_measured(fault):
    class Target(StartedTarget):
        async def close(self):
            raise fault

    result = run(CLOSED, Target())
    assert (result.completed, result.verdict) == (100, "INVALID")
    assert any(type(fault).__name__ in warning for warning in result.warnings)


@pytest.mark.parametrize(
    "counts", [None, {"a": -1}, {"a": 1.5}, {7: 1}, {str(n): n for n in range(500)}]
)
def test_counts_that_are_none_are_told(counts):
    class Target(StartedTarget):
        def counts(self):
            return counts

    result = run(CLOSED, Target())
    assert (result.completed, result.counts) == (100, {})
    assert any("`counts`" in warning for warning in result.warnings)


def test_a_start_that_is_a_coroutine_function_is_refused():
    class Target(StartedTarget):
        async def start(self, sample, done):
            pass

    with pytest.raises(HostError, match="`start` is a coroutine function"):
        run(CLOSED, Target())


def collector_is_put_back(frozen: bool) -> None:
    """In a process of its own: with all that tests have in memory a collection takes seconds."""
    seen = []

    class Target(StartedTarget):
        def start(self, sample, done):
            seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
            return super().start(sample, done)

    if frozen:
        gc.freeze()
    before = len(gc.callbacks)
    result = run(OPEN, Target())
    assert gc.isenabled() and len(gc.callbacks) == before
    assert bool(gc.get_freeze_count()) == frozen
    assert set(seen) == {(False, True)}
    assert result.collections == 0


@pytest.mark.parametrize("frozen", [False, True])
def test_the_collector_is_put_back(frozen):
    code = f"from {__name__} import collector_is_put_back; collector_is_put_back({frozen})"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code], env=env, timeout=120, check=True)


def test_a_program_that_collects_by_itself_is_seen():
    class Target(StartedTarget):
        def start(self, sample, done):
            gc.collect(0)
            return super().start(sample, done)

    result = run(CLOSED, Target())
    assert result.collections >= 100
    assert result.longest_collection_ns > 0
    gc.disable()
    try:
        assert run(CLOSED, StartedTarget()).completed == 100
        assert not gc.isenabled()
    finally:
        gc.enable()

"""Coroutine targets: the same counts and faults as blocking ones, in closed and open loop, here and
in processes.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Factory,
    HostError,
    Poisson,
    Pool,
    RunPlan,
    Stop,
    run,
    run_async,
)
from tests.fakes import MS, S


class Target:
    """A coroutine target that sleeps, and in its `nth` call, or from it on, does `what`."""

    def __init__(self, nth: int = 0, what: str = "", onward: bool = False, pause_s: float = 0.0):
        self.nth, self.what, self.onward, self.pause_s = nth, what, onward, pause_s
        self.calls = self.now = self.most = 0

    async def __call__(self, sample):
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.calls == self.nth or (self.onward and self.calls > self.nth):
                await self.misbehave()
            await asyncio.sleep(self.pause_s)
        finally:
            self.now -= 1

    async def misbehave(self):
        if self.what == "interrupt":
            self.interrupt.set()
        elif self.what == "hang":
            await asyncio.Event().wait()
        elif self.what == "hang whatever comes":
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass
        elif self.what == "CancelledError":
            raise asyncio.CancelledError
        elif self.what == "SystemExit":
            raise SystemExit(0)
        else:
            raise ValueError("as asked")


def make(**options):
    return Target(**options)


@pytest.mark.parametrize("clients", [1, 8])
def test_every_client_makes_its_iterations(clients):
    target = Target()
    result = run(RunPlan(ClosedLoop(clients, 500)), target)
    assert (result.completed, result.errors, target.calls) == (clients * 500, 0, clients * 500)
    assert target.most == clients
    assert (result.pool, result.clients, result.verdict) == ("async", clients, "VALID"), (
        result.reasons
    )
    assert result.response.count == clients * 500
    assert sum(row.completed for row in result.intervals) == clients * 500


def test_a_plain_coroutine_function_is_a_target_and_samples_are_cycled():
    seen = []

    async def target(sample):
        seen.append(sample)

    run(RunPlan(ClosedLoop(iterations=5)), target, samples=["a", "b"])
    assert seen == ["a", "b", "a", "b", "a"]


def test_a_total_is_split_over_the_clients():
    assert run(RunPlan(ClosedLoop(3), Stop(iterations=10)), Target()).completed == 10


@pytest.mark.parametrize("load", [ClosedLoop(4, 25), ConstantRate(2_000)], ids=["closed", "open"])
@pytest.mark.parametrize("what", ["ValueError", "SystemExit", "CancelledError"])
def test_whatever_a_target_raises_is_counted_by_kind(load, what):
    """A CancelledError of the target's own ended its client without a word."""
    stop = Stop(iterations=None if isinstance(load, ClosedLoop) else 100)
    result = run(RunPlan(load, stop), Target(7, what))
    assert (result.completed, result.errors_by_kind) == (99, {what: 1})


@pytest.mark.parametrize("load", [ClosedLoop(2, 10), ConstantRate(200)], ids=["closed", "open"])
@pytest.mark.parametrize(
    ("what", "kind"),
    [("hang", "timeout"), pytest.param("hang whatever comes", "hung", marks=pytest.mark.slow)],
)
def test_a_request_that_hangs_is_counted_and_the_run_ends(load, what, kind):
    """One that would not be cancelled kept the run alive for ever."""
    stop = Stop(iterations=None if isinstance(load, ClosedLoop) else 20)
    began = time.monotonic()
    result = run(RunPlan(load, stop, timeout_s=0.5, drain_s=10), Target(5, what))
    assert time.monotonic() - began < 25
    assert result.errors_by_kind == {kind: 1}
    if kind == "hung" and isinstance(load, ClosedLoop):
        assert 10 <= result.completed < 19  # what the hung client had left is not made
    else:
        assert result.completed == 19


def test_open_loop_keeps_due_times_and_bounds_what_is_in_flight():
    target = Target(pause_s=0.02)
    plan = RunPlan(ConstantRate(400), Stop(iterations=80), Pool("async", max_in_flight=2))
    result = run(plan, target, keep_columns=True)
    assert (result.completed, result.errors) == (80, 0)
    assert target.most == 2
    assert np.array_equal(np.sort(result.columns["due_ns"]), next(ConstantRate(400).blocks())[:80])
    assert (result.columns["issued_ns"] >= result.columns["due_ns"]).all()
    # Two places of 20 ms serve 100/s: the last of 80 requests, due at 0.2 s, cannot have been
    # answered before 0.8 s.
    assert result.response.max_ns >= 0.55 * S
    assert result.wall_s >= 0.75


def test_unbounded_requests_do_not_wait_for_each_other():
    target = Target(pause_s=0.3)
    result = run(RunPlan(ConstantRate(100), Stop(iterations=20)), target)
    assert result.completed == 20
    assert target.most >= 15
    assert result.service.min_ns >= 295 * MS


def test_what_the_drain_limit_cuts_off_is_counted():
    plan = RunPlan(
        ConstantRate(400), Stop(duration_s=0.5), Pool("async", max_in_flight=1), drain_s=0.3
    )
    result = run(plan, Target(pause_s=0.02))
    assert 0 < result.completed < 100
    assert result.completed + result.errors == 200
    assert set(result.errors_by_kind) <= {"not issued", "cut off"}


def test_thinking_is_not_hanging_and_ends_with_the_run():
    """A client that thought for longer than the time-out was cancelled without a word."""
    plan = RunPlan(ClosedLoop(2, 2, think_time_s=0.6), timeout_s=0.3)
    result = run(plan, Target())
    assert (result.completed, result.errors) == (4, 0)
    began = time.monotonic()
    result = run(RunPlan(ClosedLoop(2, think_time_s=1_000), Stop(duration_s=0.3)), Target())
    assert time.monotonic() - began < 15
    assert (result.completed, result.errors_by_kind) == (0, {})


def test_warm_up_is_apart():
    target = Target()
    result = run(RunPlan(ClosedLoop(2, 10), warmup_iterations=5), target)
    assert (target.calls, result.completed, result.warmup.completed) == (30, 20, 10)


def test_a_warm_up_call_over_the_timeout_is_a_doubt():
    class Cold:
        calls = 0

        async def __call__(self, query):
            self.calls += 1
            if self.calls == 1:
                await asyncio.Event().wait()

    result = run(RunPlan(ClosedLoop(1, 10), warmup_iterations=2, timeout_s=0.2), Cold())
    assert result.warmup.completed <= 1 <= result.warmup.timed_out
    assert "slow_warm_up" in result.warning_codes


def test_duration_ends_the_run():
    result = run(RunPlan(ClosedLoop(3), Stop(duration_s=0.3)), Target(pause_s=0.001))
    assert (result.ended_by, result.errors) == ("duration", 0)
    assert 0.25 <= result.wall_s < 10


def test_an_interrupt_ends_the_run_in_order():
    async def inside(load):
        interrupt = asyncio.Event()
        target = Target(50, "interrupt", pause_s=0.001)
        target.interrupt = interrupt
        return await run_async(RunPlan(load, Stop(duration_s=600)), target, interrupt=interrupt)

    for load in (ClosedLoop(2), Poisson(200)):
        result = asyncio.run(inside(load))
        assert result.interrupted
        assert result.completed == result.response.count > 0
        assert set(result.errors_by_kind) <= {"not issued", "cut off"}


def test_cancelling_the_run_leaves_no_task():
    async def inside():
        target = Target(2, "hang", pause_s=0.001)
        task = asyncio.ensure_future(
            run_async(RunPlan(ClosedLoop(3), Stop(duration_s=600)), target)
        )
        while target.calls < 10:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(inside())


@pytest.mark.slow
@pytest.mark.parametrize("load", [ClosedLoop(4, 50), ConstantRate(1_000)], ids=["closed", "open"])
def test_event_loops_in_several_processes(load):
    stop = Stop(iterations=200)
    result = run(
        RunPlan(load, stop, Pool("async", workers=2)),
        Factory("tests.engine.workers.test_async:make", {"pause_s": 0.001}),
    )
    assert (result.completed, result.errors) == (200, 0)


@pytest.mark.slow
def test_a_coroutine_that_blocks_its_loop_for_ever_is_ended_with_its_process():
    plan = RunPlan(ClosedLoop(2, 30), pool=Pool("async", workers=2), timeout_s=0.3, drain_s=1)
    began = time.monotonic()
    result = run(plan, Factory("tests.engine.workers.test_async:make_blocking"))
    assert time.monotonic() - began < 30
    # Each of two processes blocks at its 20th call; those that replace them make the ten that were
    # left.
    assert (result.completed, result.errors_by_kind) == (58, {"hung": 2})
    assert result.verdict == "INVALID"


def make_blocking():
    calls = []

    async def target(sample):
        calls.append(sample)
        if len(calls) == 20:
            time.sleep(1_000)
        await asyncio.sleep(0.001)

    return target


class GaveUp(BaseException):
    """As gevent's Timeout and the outcomes of test runners are."""


@pytest.mark.parametrize("kind", [GaveUp, GeneratorExit, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    "plan",
    [
        RunPlan(ClosedLoop(clients=2, iterations=20)),
        RunPlan(ConstantRate(2_000), Stop(iterations=40)),
    ],
    ids=["closed loop", "open loop"],
)
def test_whatever_a_coroutine_raises_is_counted_and_nothing_is_lost(plan, kind):
    async def target(sample):
        await asyncio.sleep(0)
        if sample == 4:
            raise kind("five")

    result = run(plan, target, list(range(5)))
    assert result.completed + result.errors == 40 and result.errors >= 8
    assert result.errors_by_kind == {kind.__name__: result.errors}
    assert result.verdict == "INVALID"


def never_made():
    raise GaveUp("no target")


def test_whatever_a_factory_raises_is_a_host_error():
    plan = RunPlan(ClosedLoop(iterations=5), pool=Pool("async"))
    with pytest.raises(HostError, match="GaveUp: no target"):
        run(plan, Factory(f"{__name__}:never_made"))

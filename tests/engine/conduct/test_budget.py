"""An error budget ends a run within some failures, however fast they come."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from qs.engine import (
    Batching,
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    Pool,
    RunPlan,
    Stop,
    run,
)
from tests.fakes import Nth

BUDGET = Stop(duration_s=600, max_errors=10)
RATE = Stop(duration_s=600, max_error_rate=0.1)
FAST = ConstantRate(20_000)


def refusing(sample):
    raise ConnectionError


async def refusing_awaited(sample):
    raise ConnectionError


def busy(sample):
    time.sleep(0.002)


@pytest.mark.parametrize(
    ("plan", "target"),
    [
        (RunPlan(ClosedLoop()), refusing),
        (RunPlan(ClosedLoop(clients=8)), refusing),
        (RunPlan(ClosedLoop(), pool=Pool("inline")), refusing),
        (RunPlan(ClosedLoop(clients=10)), refusing_awaited),
        (RunPlan(FAST), refusing),
        (RunPlan(FAST, pool=Pool("thread", workers=4)), refusing),
        (RunPlan(FAST, batching=Batching(4)), refusing),
        (RunPlan(FAST), refusing_awaited),
        (RunPlan(FAST, max_backlog=0), busy),
        (RunPlan(FAST, max_backlog=0, pool=Pool("thread", workers=4)), busy),
        (RunPlan(ClosedLoop(), timeout_s=0.001), busy),
    ],
)
@pytest.mark.parametrize("stop", [BUDGET, RATE], ids=["errors", "rate"])
def test_a_budget_ends_the_run_within_a_hundred_failures(plan, target, stop):
    result = run(replace(plan, stop=stop, calibrate=False), target)
    assert result.ended_by is Ending.ERROR_BUDGET
    assert result.verdict == "INVALID"
    failed = result.errors - result.not_issued
    assert (11 if stop is BUDGET else 1) <= failed <= 100
    assert sum(row.errors for row in result.intervals) == result.errors


@pytest.mark.parametrize("stop", [BUDGET, RATE], ids=["errors", "rate"])
def test_the_budget_is_that_of_all_processes_together(stop):
    plan = RunPlan(ClosedLoop(clients=4), stop, Pool("process"), calibrate=False)
    target = Factory("tests.fakes:make_nth", {"nth": 1, "what": "RuntimeError", "onward": True})
    result = run(plan, target)
    assert result.ended_by is Ending.ERROR_BUDGET
    assert (11 if stop is BUDGET else 1) <= result.errors <= 100


def test_a_rate_counts_what_was_answered_in_the_slice_in_progress():
    """A failure is counted at once, an answer at the end of its slice."""
    stop = Stop(iterations=400, max_error_rate=0.2)
    result = run(RunPlan(ConstantRate(1e6), stop, calibrate=False), Every(10))
    assert (result.ended_by, result.completed, result.errors) == (Ending.PLAN, 360, 40)
    assert result.verdict == "VALID", result.reasons


class Every:
    """A target of which every n-th call fails."""

    def __init__(self, nth: int):
        self.nth = nth
        self.calls = 0

    def __call__(self, sample: object) -> None:
        self.calls += 1
        if self.calls % self.nth == 0:
            raise ConnectionError


def test_failures_within_the_budget_end_nothing():
    plan = RunPlan(ClosedLoop(iterations=200), Stop(max_errors=10), calibrate=False)
    result = run(plan, Nth(191, "RuntimeError", onward=True))
    assert (result.ended_by, result.completed, result.errors) == (Ending.PLAN, 190, 10)
    assert result.verdict == "VALID"

"""Started targets: the same counts and faults as of other targets, and the parts of their times."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import ClosedLoop, ConstantRate, Factory, Pool, RunPlan, Stop, run
from tests.fakes import StartedTarget

PARTS = ("wait", "first_byte", "transfer")
CLOSED = RunPlan(ClosedLoop(4, 25), pool=Pool("async"), calibrate=False)
OPEN = RunPlan(ConstantRate(2_000), Stop(iterations=100), pool=Pool("async"), calibrate=False)
BOTH = pytest.mark.parametrize("plan", [CLOSED, OPEN], ids=["closed", "open"])


@BOTH
def test_every_request_is_answered_and_the_target_is_opened_and_closed(plan):
    target = StartedTarget()
    result = run(plan, target, samples=["a", "b"])
    assert (result.completed, result.errors, result.verdict) == (100, 0, "VALID"), result.reasons
    assert target.seen == ["a", "b"] * 50
    assert target.events == [f"open {4 if plan is CLOSED else 0}", "close"]
    assert result.counts == {"started": 100, "never": 0}
    assert result.response.count == sum(row.completed for row in result.intervals) == 100


@BOTH
def test_parts_are_told_apart_and_kept(plan):
    from dataclasses import replace

    result = run(replace(plan, parts=PARTS), StartedTarget(), keep_columns=True)
    assert {name: part.count for name, part in result.parts.items()} == dict.fromkeys(PARTS, 100)
    columns = result.columns
    whole = columns["completed_ns"] - columns["issued_ns"]
    assert np.array_equal(sum(columns[f"{part}_ns"] for part in PARTS), whole)
    assert sum(part.sum_ns for part in result.parts.values()) == whole.sum()


@pytest.mark.slow
@BOTH
def test_processes_have_equal_shares(plan):
    from dataclasses import replace

    shared = replace(plan, pool=Pool("async", workers=2), parts=PARTS)
    factory = Factory("tests.fakes:StartedTarget")
    result = run(shared, factory, keep_columns=True)
    assert (result.completed, result.errors, result.verdict) == (100, 0, "VALID"), result.reasons
    assert np.unique(result.columns["worker"], return_counts=True)[1].tolist() == [50, 50]
    assert result.counts == {"started": 100, "never": 0}
    assert result.parts["wait"].count == 100

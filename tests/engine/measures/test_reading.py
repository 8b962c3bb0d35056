"""What a run measures of its requests beside their response times: read when nothing is measured
any more, counted as response times are, and never at the cost of the run.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qs.engine import (
    Bound,
    ClosedLoop,
    ConstantRate,
    Factory,
    Measure,
    Pool,
    RunPlan,
    Stop,
    run,
)
from tests.fakes import ReadTarget

MEASURES = (Measure("took"), Measure("number", "pieces"), Measure("gap", many=True))
ASYNC = Pool("async")
MORE = {
    "pool": ASYNC,
    "calibrate": False,
    "measures": MEASURES,
    "bounds": (Bound("number", 4),),
    "sample_requests": 20,
}
CLOSED = RunPlan(ClosedLoop(4, 25), **MORE)
OPEN = RunPlan(ConstantRate(2_000), Stop(iterations=100), **MORE)
BOTH = pytest.mark.parametrize("plan", [CLOSED, OPEN], ids=["closed", "open"])


def agrees(result, requests: int = 100) -> None:
    """What was found is what was there."""
    assert (result.completed, result.unread, result.misread) == (requests, 0, {}), result.warnings
    took, number, gap = (result.measures[each.name] for each in MEASURES)
    assert took.histogram.count == number.histogram.count == requests
    assert gap.histogram.count == 3 * requests
    assert np.array_equal(took.histogram.counts, result.service.counts)
    assert took.histogram.sum_ns == result.service.sum_ns
    assert gap.histogram.sum_ns == 3 * (took.histogram.sum_ns + requests)
    for measured in (took, number, gap):
        assert sum(row.completed for row in measured.intervals) == measured.histogram.count
    assert sum(result.good_by_interval) == result.good
    assert len(result.good_by_interval) == len(result.intervals)
    assert result.outcomes == {"stop": requests + result.errors}
    assert result.read == {"events": 3 * (requests + result.errors)}
    assert result.happened["tokens"].sum() == 7 * (requests + result.errors)
    assert not {"unread", "misread"} & set(result.warning_codes)


@BOTH
def test_requests_are_read_and_counted(plan):
    result = run(plan, ReadTarget(), keep_columns=True)
    agrees(result)
    assert result.verdict == "VALID"
    columns = result.columns
    assert np.array_equal(columns["took"], columns["completed_ns"] - columns["issued_ns"])
    assert np.bincount(columns["number"])[5:].sum() == 100 - result.good
    assert result.sampled["due_ns"].size == 20
    assert (np.diff(result.sampled["completed_ns"]) >= 0).all()
    assert result.to_dict()["measures"]["took"]["summary"]["count"] == 100


@pytest.mark.slow
@BOTH
def test_those_of_several_processes_add_up(plan):
    shared = replace(plan, pool=Pool("async", workers=2))
    result = run(shared, Factory("tests.fakes:ReadTarget"), keep_columns=True)
    agrees(result)
    assert np.unique(result.sampled["worker"]).size == 2
    columns = result.columns
    assert np.array_equal(columns["took"], columns["completed_ns"] - columns["issued_ns"])

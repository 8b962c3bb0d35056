"""Rows of `Performance`: real histograms in, the report's numbers out."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import ClosedLoop, Histogram, Pool, RunPlan, run
from qs.evaluate.rows import PERCENTILES, failed, latencies_ms, measured
from qs.result.row import Outcome, Verdict
from qs.settings.case import Case

CASE = Case("bs4-c2", 4, 4, 2, 50, None, None, "thread", 1, None, ())


def histogram(values_ms) -> Histogram:
    made = Histogram()
    made.record(np.array([round(value * 1e6) for value in values_ms], np.int64))
    return made


@pytest.mark.parametrize(
    ("count", "supported"),
    [
        (1, []),
        (59, ["p50_ms", "p90_ms", "p95_ms"]),
        (299, ["p50_ms", "p90_ms", "p95_ms", "p99_ms"]),
        (2995, ["p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms"]),
    ],
)
def test_a_percentile_needs_enough_samples(count, supported):
    found = latencies_ms(histogram(np.linspace(1, 2, count)))
    percentiles = [name for name in found if name in PERCENTILES and found[name] is not None]
    assert percentiles == supported
    assert found["min_ms"] == 1.0
    values = [found[name] for name in ("min_ms", *supported, "max_ms")]
    assert values == sorted(values)


def test_nothing_measured_is_null_everywhere():
    assert set(latencies_ms(Histogram()).values()) == {None}


def test_qps_counts_items_over_the_wall_time():
    plan = RunPlan(
        load=ClosedLoop(clients=2, iterations=50), pool=Pool("thread", instances=1), calibrate=False
    )
    result = run(plan, lambda sample: None)
    row = measured(CASE, result, "latency/x.hlog")
    assert row.completed == 100
    assert row.items_per_s == pytest.approx(4 * 100 / row.wall_s)
    assert row.items_per_s == pytest.approx(4 * row.queries_per_s)
    assert "Requested BS" not in row.to_dict()


def test_another_batch_size_than_asked_for_is_said():
    result = run(RunPlan(load=ClosedLoop(iterations=5), calibrate=False), lambda sample: None)
    row = measured(Case("bs4-c1", 8, 4, 1, 5, None, None, "thread", 1, None, ()), result)
    assert (row.batch_size, row.requested_batch_size) == (8, 4)


def test_a_failed_case_claims_no_number():
    row = failed(CASE, "load: no card", Outcome.NO_ROOM)
    assert (row.items_per_s, row.mean_ms, row.p99_ms, row.completed) == (None, None, None, 0)
    assert (row.verdict, row.reasons) == (Verdict.INVALID, ["load: no card"])
    assert row.outcome is Outcome.NO_ROOM
    assert "Outcome" not in failed(CASE, "load: no card").to_dict()

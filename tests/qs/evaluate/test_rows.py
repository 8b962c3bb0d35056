"""Rows of `Performance`: real histograms in, the report's numbers out."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import ClosedLoop, Histogram, Pool, RunPlan, run
from qs.evaluate.rows import failed, latencies_ms, measured
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
        (59, ["P50 Latency", "P90 Latency", "P95 Latency"]),
        (299, ["P50 Latency", "P90 Latency", "P95 Latency", "P99 Latency"]),
        (2995, ["P50 Latency", "P90 Latency", "P95 Latency", "P99 Latency", "P99.9 Latency"]),
    ],
)
def test_a_percentile_needs_enough_samples(count, supported):
    found = latencies_ms(histogram(np.linspace(1, 2, count)))
    percentiles = [name for name in found if name.startswith("P") and found[name] is not None]
    assert percentiles == supported
    assert found["Min Latency"] == 1.0
    values = [value for name, value in found.items() if name != "AVG Latency" and value is not None]
    assert values == sorted(values)


def test_nothing_measured_is_null_everywhere():
    assert set(latencies_ms(Histogram()).values()) == {None}


def test_qps_counts_items_over_the_wall_time():
    plan = RunPlan(
        load=ClosedLoop(clients=2, iterations=50), pool=Pool("thread", instances=1), calibrate=False
    )
    result = run(plan, lambda sample: None)
    row = measured(CASE, result, "latency/x.hlog")
    assert row["Completed"] == 100
    assert row["QPS"] == pytest.approx(4 * 100 / row["Wall Time"])
    assert row["QPS"] == pytest.approx(4 * row["Queries Per Second"])
    assert "Requested BS" not in row


def test_another_batch_size_than_asked_for_is_said():
    result = run(RunPlan(load=ClosedLoop(iterations=5), calibrate=False), lambda sample: None)
    row = measured(Case("bs4-c1", 8, 4, 1, 5, None, None, "thread", 1, None, ()), result, None)
    assert (row["BS"], row["Requested BS"]) == (8, 4)


def test_a_failed_case_claims_no_number():
    row = failed(CASE, "load: no card")
    assert [row[name] for name in ("QPS", "AVG Latency", "P99 Latency", "Completed")] == [
        None,
        None,
        None,
        0,
    ]
    assert (row["Verdict"], row["Reasons"]) == ("INVALID", ["load: no card"])

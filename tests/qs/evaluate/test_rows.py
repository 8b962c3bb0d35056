"""Rows of `Performance`: real histograms in, the report's numbers out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qs.engine import ClosedLoop, Histogram, Poisson, Pool, RunPlan, Stop, run
from qs.evaluate.rows import PERCENTILES, failed, latencies_ms, measured
from qs.result.row import Outcome, Verdict
from qs.settings.case import Case
from qs.settings.traffic import ScenarioSettings

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


SAVED = Path(__file__).parents[2] / "fixtures" / "results" / "result-v1-every-kind-of-row.json"
# What is added to a row after the engine's part.
ADDED = {"Verification", "Predict Timeout", "Peak Memory Bytes"}
# What no row had when the file was saved.
OFFERED = "Offered Queries Per Second"
SINCE = {"Doubts", OFFERED}
POISSON = ScenarioSettings("Poisson", rate_per_s=400.0, duration_s=0.3, seed=1)


def keys_of(plain: object) -> object:
    """The keys of plain data, all the way down; of lists, those of the first entry."""
    if isinstance(plain, dict):
        return {name: keys_of(value) for name, value in plain.items()}
    return keys_of(plain[0]) if isinstance(plain, list) and plain else None


@pytest.mark.parametrize(
    ("case", "load"),
    [
        (CASE, ClosedLoop(clients=2, iterations=50)),
        (replace(CASE, scenario=POISSON), Poisson(rate_per_s=400.0, seed=1)),
    ],
    ids=["closed loop", "Poisson"],
)
def test_a_row_has_the_keys_it_had_before_rows_were_typed(case, load):
    """The saved rows are those of real runs, made by the program when a row was a dict."""
    saved = [each for each in json.loads(SAVED.read_bytes())["Performance"] if "Pool" in each]
    scenario = case.scenario_name or "closed loop"
    before = next(each for each in saved if each["Scenario"] == scenario)
    result = run(
        RunPlan(load=load, stop=Stop(duration_s=0.3), pool=Pool("thread", instances=1)),
        lambda sample: None,
    )
    row = measured(case, result, "latency/x.hlog", load_s=0.1, samples=before["Samples"])
    made = json.loads(json.dumps(row.to_dict()))
    assert [name for name in made if name not in SINCE] == [
        name for name in before if name not in ADDED
    ]
    assert SINCE - made.keys() == (set() if made["Scenario"] == "Poisson" else {OFFERED})
    for name in SINCE & made.keys():
        del made[name]
    # Estimated and measured only since then.
    made["Confidence"].pop("P99.9 Latency")
    for group in made["CPU Use"]["groups"]:
        group.pop("delayed_s")
    for name in made:
        if name not in ("Settings", "Errors By Kind") and made[name] and before[name]:
            assert keys_of(made[name]) == keys_of(before[name]), name

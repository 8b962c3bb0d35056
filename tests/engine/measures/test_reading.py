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
    joined,
    run,
)
from tests.fakes import ReadTarget, StartedTarget

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


# -- what is made of it


@pytest.mark.slow
def test_confidence_is_that_of_the_response_time_where_both_are_the_same():
    plan = replace(CLOSED, load=ClosedLoop(2), stop=Stop(duration_s=1.6))
    result = run(plan, ReadTarget(pause_s=0.001))
    took = result.measures["took"]
    assert list(took.confidence) == [50.0, 90.0, 95.0, 99.0, 99.9]
    for percentile in (50.0, 90.0, 99.0, 99.9):
        assert took.confidence[percentile] == result.confidence.response[percentile]
    bounds = (Bound("response", 1 << 62),)
    everybody = run(replace(plan, bounds=bounds, measures=()), ReadTarget(pause_s=0.001))
    assert everybody.good == everybody.completed
    assert everybody.good_per_s == everybody.confidence.throughput


def test_of_a_short_run_the_reason_names_what_is_too_few():
    result = run(replace(CLOSED, load=ClosedLoop(2, 3)), ReadTarget())
    assert "shorter than one interval" in result.measures["gap"].confidence[99.0].why
    plan = replace(CLOSED, load=ClosedLoop(1), stop=Stop(duration_s=1.4))
    result = run(plan, ReadTarget(pause_s=0.03))
    assert result.measures["gap"].confidence[99.9].why == "fewer than 2995 values"
    assert result.measures["took"].confidence[99.9].why == "fewer than 2995 requests"


def test_failed_requests_are_in_outcomes_and_in_no_measure():
    result = run(CLOSED, ReadTarget(nth=11, what="failure", onward=True), keep_columns=True)
    assert (result.completed, result.errors) == (10, 90)
    assert result.measures["took"].histogram.count == 10
    assert result.measures["gap"].histogram.count == 30
    assert result.outcomes == {"stop": 100} and result.unread == 0
    assert result.good == 5
    columns = result.columns
    assert (columns["took"][columns["outcome"] == 0] > 0).all()
    assert (columns["took"][columns["outcome"] == 1] == -1).all()
    assert set(result.sampled["outcome"].tolist()) == {0, 1}


def test_what_the_run_counts_as_failed_is_told_to_the_reader():
    plan = replace(CLOSED, timeout_s=0.2, load=ClosedLoop(1, 3))
    target = ReadTarget(nth=2, what="hang")
    target.misbehave = lambda call: None  # it is never answered, and may be cancelled
    result = run(plan, target)
    assert result.errors_by_kind == {"timeout": 1}
    assert sorted(str(each.failure) for batch in target.batches for each in batch) == [
        "None",
        "None",
        "timeout",
    ]
    assert set(result.sampled["outcome"].tolist()) == {0, 2}


@BOTH
def test_a_bound_of_the_response_time_alone_needs_no_reader(plan):
    plan = replace(plan, measures=(), bounds=(Bound("response", 1 << 62),), sample_requests=7)
    result = run(plan, StartedTarget())
    assert result.good == result.completed == 100
    assert result.sampled["due_ns"].size == 7
    assert (result.measures, result.outcomes, result.happened) == ({}, {}, {})


def test_warm_up_requests_are_not_kept():
    target = ReadTarget()
    agrees(run(replace(CLOSED, warmup_iterations=10), target))
    assert len(target.seen) == 140
    assert sum(map(len, target.batches)) == 100


def test_a_measure_has_a_log_of_its_own(tmp_path):
    from hdrh.log import HistogramLogReader

    result = run(CLOSED, ReadTarget())
    for name, unit in (("took", "took in ns"), ("number", "number in pieces")):
        path = tmp_path / f"{name}.hlog"
        result.write_hlog(path, name)
        assert f"[{unit}]" in path.read_text()
        reader = HistogramLogReader(str(path), result.response.to_hdr())
        total, highest = 0, 0
        while (hdr := reader.get_next_interval_histogram()) is not None:
            total += hdr.get_total_count()
            highest = max(highest, hdr.get_max_value())
        reader.close()
        assert total == 100
        most = result.measures[name].histogram.max_ns
        assert highest == pytest.approx(most, rel=0.002)
    with pytest.raises(ValueError, match="no measure 'tock'; it has took, number, gap"):
        result.write_hlog(tmp_path / "tock.hlog", "tock")


def test_columns_of_measures_are_in_the_file(tmp_path):
    result = run(CLOSED, ReadTarget(), keep_columns=True)
    result.write_columns(tmp_path / "columns.npz")
    with np.load(tmp_path / "columns.npz") as saved:
        assert set(saved) == {*result.columns} and "number" in saved and "gap" not in saved


def test_turns_of_one_plan_are_joined():
    parts = [run(CLOSED, ReadTarget()) for _ in range(3)]
    whole = joined(parts)
    assert whole.completed == 300 == whole.measures["took"].histogram.count
    assert whole.measures["gap"].histogram.count == 900
    for name, measured in whole.measures.items():
        assert measured.histogram.sum_ns == sum(
            each.measures[name].histogram.sum_ns for each in parts
        )
        rows = measured.intervals
        assert sum(row.completed for row in rows) == measured.histogram.count
        assert [row.start_s for row in rows] == sorted(row.start_s for row in rows)
    assert whole.good == sum(each.good for each in parts) == sum(whole.good_by_interval)
    assert len(whole.good_by_interval) == len(whole.intervals)
    assert whole.outcomes == {"stop": 300} and whole.read == {"events": 900}
    assert whole.happened["tokens"].sum() == 2_100
    assert whole.sampled["due_ns"].size == 20
    assert (np.diff(whole.sampled["completed_ns"]) >= 0).all()
    assert whole.sampled["completed_ns"].max() <= whole.wall_s * 1e9
    assert whole.to_dict()["good"] == whole.good
    missing = joined([parts[0], run(CLOSED, ReadTarget("short"))])
    assert set(missing.measures) == {"number", "gap"} and "took" in missing.misread
    assert missing.outcomes == {"stop": 200}
    for wrong in ("few words", "minus", "when"):
        there = joined([parts[0], run(CLOSED, ReadTarget(wrong))])
        gone = (there.outcomes, there.read, there.happened)
        assert [not each for each in gone] == [
            wrong == each for each in ("few words", "minus", "when")
        ]
    bounds = (Bound("took", 1 << 62),)
    told, untold = (
        run(replace(CLOSED, bounds=bounds), ReadTarget(wrong)) for wrong in ("", "short")
    )
    assert told.good == 100
    mixed = joined([told, untold])
    assert (mixed.good, mixed.good_per_s, mixed.good_by_interval) == (None, None, [])


# -- plans


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"measures": 7}, "measures: 7 is not allowed, it must be a list of Measure"),
        ({"measures": ("took",)}, "measures: 'took' is not allowed, it must be a Measure"),
        ({"measures": (Measure("a"), Measure("a"))}, "measure name: 'a' is not allowed"),
        ({"measures": (Measure("response"),)}, "measure name: 'response' is not allowed"),
        ({"measures": (Measure("outcome"),)}, "measure name: 'outcome' is not allowed"),
        ({"measures": (Measure("wait_ns"),)}, "measure name: 'wait_ns' is not allowed"),
        ({"measures": (Measure(""),)}, "measure name: '' is not allowed"),
        ({"measures": (Measure(7),)}, "measure name: 7 is not allowed"),
        ({"measures": (Measure("a", unit=None),)}, "measure 'a': unit: None is not allowed"),
        ({"measures": (Measure("a", scale=0),)}, "measure 'a': scale: 0 is not allowed"),
        ({"measures": (Measure("a", many=1),)}, "measure 'a': many: 1 is not allowed"),
        ({"bounds": (Bound("gap", 1),)}, "bound measure: 'gap' is not allowed, it must be one of"),
        ({"bounds": (Bound("tock", 1),)}, "one of response, took, number"),
        ({"bounds": (Bound("took", 1.5),)}, "bound limit: 1.5 is not allowed"),
        ({"bounds": ("took",)}, "bounds: 'took' is not allowed, it must be a Bound"),
        ({"sample_requests": -1}, "sample_requests: -1 is not allowed, it must be at least 0"),
        ({"sample_requests": 10**9}, "sample_requests: 1000000000 is not allowed, it must be at"),
        ({"pool": Pool("thread")}, "they are read from the calls of a started target"),
    ],
)
def test_what_a_plan_may_ask_for(change, says):
    faults = replace(CLOSED, **{"bounds": (), **change}).faults()
    assert len(faults) == 1 and says in faults[0], faults


def test_a_plan_tells_all_its_faults():
    plan = replace(
        CLOSED, measures=(Measure("a", scale=-1), Measure("")), bounds=(Bound("a", True),)
    )
    assert len(plan.faults()) == 3

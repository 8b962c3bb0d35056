"""Interval logs and raw columns: what other tools read back is what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from qs.engine import ClosedLoop, ConstantRate, Pool, RunPlan, Stop, run
from qs.engine.files import write_columns
from qs.engine.record.histogram import HIGHEST_NS, LOWEST_NS, SIGNIFICANT_DIGITS, Histogram
from tests.fakes import MS, Nth, S, Service, VirtualClock


@pytest.fixture(scope="module")
def result():
    """Four seconds of a line before one server that stalls once for half a second, one second of
    which has no answer.
    """
    clock = VirtualClock()
    target = Service(clock, MS // 2, stall_at_ns=S, stall_ns=1_500 * MS)
    return run(
        RunPlan(ConstantRate(500), Stop(duration_s=4), Pool("inline")),
        target,
        clock=clock,
        keep_columns=True,
    )


def empty() -> HdrHistogram:
    return HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)


def test_the_library_reads_the_same_percentiles_back(result, tmp_path):
    path = tmp_path / "run.hlog"
    result.write_hlog(path)
    whole = empty()
    reader = HistogramLogReader(str(path), whole)
    intervals = 0
    while reader.add_next_interval_histogram() is not None:
        intervals += 1
    reader.close()
    assert intervals == sum(row.completed > 0 for row in result.intervals) == 3
    assert whole.get_total_count() == result.completed == 2_000
    for percentile in (0, 10, 50, 90, 99, 99.9, 100):
        theirs = whole.get_value_at_percentile(percentile)
        ours = result.response.percentile_ns(percentile)
        assert min(max(theirs, result.response.min_ns), result.response.max_ns) == ours
        assert theirs == pytest.approx(ours, rel=1e-3)


def test_intervals_lie_where_they_were(result, tmp_path):
    path = tmp_path / "run.hlog"
    result.write_hlog(path)
    reader = HistogramLogReader(str(path), empty())
    found = []
    while (hdr := reader.get_next_interval_histogram()) is not None:
        start_s = hdr.get_start_time_stamp() / 1000 - reader.get_start_time_sec()
        found.append(
            (
                round(start_s, 3),
                round((hdr.get_end_time_stamp() - hdr.get_start_time_stamp()) / 1000, 3),
                hdr.total_count,
            )
        )
    reader.close()
    rows = [
        (row.start_s, round(row.length_s, 3), row.completed)
        for row in result.intervals
        if row.completed
    ]
    assert found == [
        (pytest.approx(start, abs=0.002), pytest.approx(length, abs=0.002), count)
        for start, length, count in rows
    ]
    assert abs(reader.get_start_time_sec() - result.started_at) < 0.002


def test_a_log_is_readable_by_others_and_leaves_nothing_beside(result, tmp_path):
    result.write_hlog(tmp_path / "run.hlog")
    write_columns(result.columns, tmp_path / "run.npz")
    assert {path.name for path in tmp_path.iterdir()} == {"run.hlog", "run.npz"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_a_log_that_cannot_be_written_leaves_nothing(result, tmp_path):
    with pytest.raises(OSError, match="absent"):
        result.write_hlog(tmp_path / "absent" / "run.hlog")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_an_answer_is_an_empty_log(tmp_path):
    failed = run(
        RunPlan(ClosedLoop(iterations=3), pool=Pool("inline")), Nth(1, "ValueError", onward=True)
    )
    failed.write_hlog(tmp_path / "run.hlog")
    reader = HistogramLogReader(str(tmp_path / "run.hlog"), empty())
    assert reader.get_next_interval_histogram() is None
    reader.close()


def test_columns_rebuild_the_histograms(result, tmp_path):
    write_columns(result.columns, tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as columns:
        good = columns["outcome"] == 0
        response = Histogram()
        response.record((columns["completed_ns"] - columns["due_ns"])[good])
        service = Histogram()
        service.record((columns["completed_ns"] - columns["issued_ns"])[good])
    for one, other in ((response, result.response), (service, result.service)):
        assert np.array_equal(one.counts, other.counts)
        assert (one.count, one.min_ns, one.max_ns, one.sum_ns) == (
            other.count,
            other.min_ns,
            other.max_ns,
            other.sum_ns,
        )


def test_columns_in_parquet(result, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_columns(result.columns, tmp_path / "run.parquet")
    table = parquet.read_table(tmp_path / "run.parquet")
    assert np.array_equal(table.column("due_ns").to_numpy(), result.columns["due_ns"])


def test_columns_of_another_kind_are_refused(result, tmp_path):
    with pytest.raises(ValueError, match=r"\.npz or \.parquet"):
        write_columns(result.columns, tmp_path / "run.csv")


def test_the_whole_as_hdr_histogram(result):
    hdr = result.response.to_hdr()
    assert (hdr.total_count, hdr.min_value, hdr.max_value) == (
        2_000,
        result.response.min_ns,
        result.response.max_ns,
    )


def test_plain_data_of_a_result_is_json_and_agrees(result):
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["completed"] == sum(row["completed"] for row in plain["intervals"]) == 2_000
    assert plain["response"]["p99_ns"] == result.response.percentile_ns(99)
    assert plain["response"]["p99.9_ns"] is None  # 2,000 requests do not carry it
    assert plain["response"]["min_ns"] <= plain["response"]["p50_ns"] <= plain["response"]["max_ns"]
    assert plain["lateness"]["count"] == 2_000
    assert plain["open_loop"] is True


@pytest.mark.parametrize("kind", ["thread", "async"])
@pytest.mark.parametrize(
    "load", [ClosedLoop(iterations=6), ConstantRate(500)], ids=["closed", "open"]
)
def test_a_request_that_failed_has_a_row_too(load, kind):
    """Also in closed loop, where only the columns that are kept say when it was issued."""
    made = 0

    def work(_sample):
        nonlocal made
        made += 1
        if made % 3 == 0:
            raise LookupError
        return made

    async def works(sample):
        return work(sample)

    stop = Stop() if isinstance(load, ClosedLoop) else Stop(iterations=6)
    target = works if kind == "async" else work
    columns = run(RunPlan(load, stop, Pool(kind)), target, [1], keep_columns=True).columns
    assert columns["outcome"].tolist().count(1) == 2 and columns["outcome"].size == 6
    assert (columns["issued_ns"] <= columns["completed_ns"]).all()
    assert (columns["due_ns"] <= columns["issued_ns"]).all()

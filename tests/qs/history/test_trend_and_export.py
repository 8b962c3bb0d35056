"""A figure from run to run, and the history as a table."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from qs.base.errors import UserError
from qs.history import record
from qs.history.entries import Wanted, moment, utc
from qs.history.exporting import export, table
from qs.history.trend import trends
from qs.result.saved import typed
from tests.qs.comparison.synthetic import Drawn, write_result

SHORT = Drawn(seconds=0.5, interval_s=0.1)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    return json.loads(
        write_result(
            tmp_path_factory.mktemp("r"),
            1,
            [SHORT, Drawn(batch_size=4, seconds=0.5, interval_s=0.1)],
        ).read_text()
    )


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch, result):
    """Four runs of two cases; the last is faster, the third INVALID in its second case."""
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    for day, qps in enumerate((100.0, 102.0, 98.0, 110.0), start=1):
        rows = [dict(row, QPS=qps * row["BS"]) for row in result["Performance"]]
        if day == 3:
            rows[1] = dict(rows[1], Verdict="INVALID", QPS=1.0)
        started = f"2026-11-0{day}T10:00:00+00:00"
        record(typed({**result, "Performance": rows, "Started": started}, "made"), None)
    other = {**result, "Backend": "GPU", "Started": "2026-11-09T10:00:00+00:00"}
    record(typed(other, "made"), None)


CPU = Wanted(task="bert-torch-fp32", hardware="CPU")


def test_a_line_for_each_case_from_the_oldest_to_the_newest():
    name, lines = trends(CPU)
    assert name == "QPS"
    assert [[point.value for point in line.points] for line in lines] == [
        [100.0, 102.0, 98.0, 110.0],
        [400.0, 408.0, 440.0],
    ]
    assert [line.points[0].entry.id for line in lines] == [1, 1]
    assert (lines[0].usual, lines[0].latest) == (100.0, 110.0)
    assert lines[0].change == pytest.approx(0.1)
    assert lines[0].title == "BS 1, closed loop, 1 client, pool thread, 1 instance"


def test_a_single_run_has_no_change():
    _, lines = trends(Wanted(task="bert-torch-fp32", hardware="CPU", limit=1))
    assert [(line.usual, line.change) for line in lines] == [(None, None)] * 2


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("QPS", "QPS"),
        ("throughput", "QPS"),
        ("p50", "P50 Latency"),
        ("avg latency", "AVG Latency"),
        ("Wall Time", "Wall Time"),
    ],
)
def test_figures_by_their_names(metric, name):
    assert trends(CPU, metric)[0] == name


def test_a_figure_that_no_row_has_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'P50 Latency'"):
        trends(CPU, "P50 Latenzy")


def test_no_run_is_no_line():
    assert trends(Wanted(task="absent")) == ("QPS", [])


def test_a_table_has_a_row_a_case_oldest_first(tmp_path):
    path = tmp_path / "h.csv"
    assert export(path) == 10
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["id"] for row in rows] == ["1", "1", "2", "2", "3", "3", "4", "4", "5", "5"]
    assert [float(row["items_per_s"]) for row in rows[:3]] == [100.0, 400.0, 102.0]
    assert (rows[0]["batch_size"], rows[1]["batch_size"], rows[5]["verdict"]) == (
        "1",
        "4",
        "INVALID",
    )
    assert float(rows[0]["mean_ms"]) == pytest.approx(2.0, rel=0.2)
    assert rows[0]["p99_9_ms"] == ""
    assert {row["hardware"] for row in rows} == {"CPU", "GPU"}


def test_a_table_of_some():
    assert len(table(Wanted(hardware="GPU"))) == 2


def test_parquet_holds_the_same(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "h.parquet"
    export(path)
    assert parquet.read_table(path).to_pylist() == table()


def test_an_empty_history_is_a_table_without_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_DATA", str(tmp_path / "none"))
    assert export(tmp_path / "h.csv") == 0
    assert (tmp_path / "h.csv").read_text().startswith("id,started,kind")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"quicksilver-perf\[parquet\]"):
        export(tmp_path / "h.parquet")
    assert not (tmp_path / "h.parquet").exists()


@pytest.mark.parametrize("name", ["h.xlsx", "h"])
def test_another_kind_of_file_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"\.csv or \.parquet"):
        export(tmp_path / name)


def test_moments():
    from datetime import datetime, timedelta, timezone

    now = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
    assert datetime.fromisoformat(moment("7d", now)) == now - timedelta(days=7)
    assert datetime.fromisoformat(moment("90m", now)) == now - timedelta(minutes=90)
    at_ten = datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)
    for text in ("2026-11-24T10:00+00:00", "2026-11-24T10:00Z", utc(at_ten.isoformat())):
        assert datetime.fromisoformat(moment(text)) == at_ten
        assert utc(moment(text)) == "2026-11-24T10:00:00.000000Z" == utc(text)
    assert datetime.fromisoformat(moment("2026-11-24")).hour == 0
    for text in ("yesterday", "", "5", "d", "Z", "2026-13-01"):
        with pytest.raises(ValueError):
            moment(text)

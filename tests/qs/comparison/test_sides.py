"""Finding the result that is meant: a file, its folder, or the folder of all reports."""

from __future__ import annotations

import json
import shutil

import pytest

from qs.base.errors import UserError
from qs.comparison.sides import from_path
from qs.result.keys import key_of, title_of
from qs.result.row import Row
from tests.qs.comparison.synthetic import Drawn, write_result

SHORT = Drawn(seconds=0.5, interval_s=0.1)
NOTHING_MEASURED = {
    "Model": "BERT",
    "Backend": "CPU",
    "Host Info": None,
    "Version": None,
    "Execution Date": "2026-11-29 12:00:00",
    "schema_version": 1,
    "Status": "failed",
    "Verdict": "INVALID",
    "Task": "bert",
    "Command": ["qs", "run"],
    "QS Version": "0.1.0",
    "Started": "2026-11-29T12:00:00+00:00",
}


def test_a_file_its_folder_and_the_folder_of_all_reports_are_one_result(tmp_path):
    path = write_result(tmp_path / "CPU" / "bert", 1, [SHORT])
    found = [from_path(str(each)) for each in (path, path.parent, path.parent.parent, tmp_path)]
    assert all(each.result == found[0].result for each in found)
    assert all(each.histogram(each.rows[0].histogram) for each in found)
    assert found[0].histogram("latency/absent.hlog") is None


def test_of_several_results_in_a_folder_the_newest_is_taken_and_named(tmp_path):
    for kind, day in (("sweep", 2), ("run", 1)):
        path = write_result(tmp_path, 1, [SHORT], kind=kind)
        started = {"Started": f"2026-11-0{day}T10:00:00+00:00"}
        path.write_text(json.dumps(json.loads(path.read_text()) | started))
    (tmp_path / "result-int8.json").write_text("{}")
    found = from_path(str(tmp_path))
    assert found.result.kind == "sweep"
    assert "holds 3 results; this is the newest, sweep-fp32.json" in found.notes[0]


def test_a_result_in_a_folder_wins_over_those_in_folders_below(tmp_path):
    write_result(tmp_path / "CPU" / "bert", 1, [SHORT])
    shutil.copy(tmp_path / "CPU" / "bert" / "result-fp32.json", tmp_path)
    assert from_path(str(tmp_path)).name == str(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a JSON file"),
        ("[]", "not a result"),
        ("{}", "not a result"),
        (json.dumps({"schema_version": 99, "Backend": "CPU"}), "schema_version"),
        (
            json.dumps({"schema_version": 1, "Backend": "CPU", "Status": "failed"}),
            "Command is missing",
        ),
        (json.dumps(NOTHING_MEASURED), "no measured case (failed)"),
        (json.dumps(NOTHING_MEASURED | {"Verdict": "MAYBE"}), "Verdict"),
        (b"\xff\xfe", "is not a JSON file"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, content, said):
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as refused:
        from_path(str(path))
    assert said in str(refused.value) and str(path) in str(refused.value)


@pytest.mark.parametrize(("name", "said"), [("absent", "no such file"), (".", "holds no result")])
def test_what_is_not_there_is_refused(tmp_path, name, said):
    with pytest.raises(UserError, match=said):
        from_path(str(tmp_path / name))


ROW = {
    "BS": 4,
    "Scenario": "Poisson",
    "Clients": 2,
    "Instances": 1,
    "Pool": "thread",
    "Intra-op Threads": 2,
}


UNMEASURED = {
    **dict.fromkeys(("BS", "QPS", "AVG Latency", "P99 Latency")),
    "Mode": "QS",
    "Verdict": "VALID",
    "Reasons": [],
    "Warnings": [],
}


def row_of(more: dict) -> Row:
    return Row.model_validate(UNMEASURED | ROW | more)


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({}, True),
        ({"Iterations": 500, "Duration": 10.0, "QPS": 3.0}, True),
        ({"Settings": {"seed": 4, "duration_s": 9.0}}, True),
        ({"Settings": {"percentile": None}}, True),
        ({"Batching": {"max_batch_size": None, "calls": 3}}, True),
        ({"Settings": {"target_qps": 100.0}}, False),
        ({"Batching": {"max_batch_size": 8, "calls": 3}}, False),
        ({"BS": 8}, False),
        ({"Clients": 1}, False),
        ({"Instances": 2}, False),
        ({"Pool": "process"}, False),
        ({"Intra-op Threads": 1}, False),
        ({"Scenario": "closed loop"}, False),
        ({"Mode": "vendor"}, False),
        ({"Mode": "audit"}, True),
    ],
)
def test_what_makes_a_case(more, same):
    assert (key_of(row_of(more)) == key_of(row_of({}))) is same


@pytest.mark.parametrize(
    ("row", "title"),
    [
        (ROW, "BS 4, Poisson, 2 clients, pool thread, 1 instance, 2 threads each"),
        ({"BS": 1, "Scenario": "closed loop", "Clients": 1}, "BS 1, closed loop, 1 client"),
        ({"BS": 1, "Mode": "vendor"}, "BS 1, timed by the backend"),
        (
            {
                "BS": 1,
                "Scenario": "Server",
                "Settings": {
                    "target_qps": 200.0,
                    "latency_slo_ms": 50.0,
                    "percentile": 99.0,
                    "seed": 1,
                },
            },
            "BS 1, Server 200/s 50 ms p99",
        ),
        (
            {"BS": 1, "Scenario": "Stages", "Settings": {"stages": [[1, 2, False]] * 3}},
            "BS 1, Stages of 3 stages",
        ),
        (
            {"BS": 2, "Scenario": "Poisson", "Batching": {"max_batch_size": 8}},
            "BS 2, Poisson, up to 8 queries a call",
        ),
    ],
)
def test_a_case_in_words(row, title):
    assert title_of(Row.model_validate(UNMEASURED | row)) == title

"""Whole evaluations of the digits task on the CPU backend, and what they leave on disk."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.qs.program import ROOT, command, environment, qs, qs_process
from tests.qs.results import read_result
from tests.waiting import wait_for, wait_for_line

TASK = "digits-cnn-onnx-fp32"
MEASURING = " queries/s"  # said once a case is past its load and its warm-up
PUBLISHED = {
    "": [
        "Model",
        "Backend",
        "Host Info",
        "Dataset",
        "Instance Count",
        "Device Count",
        "Version",
        "Execution Date",
    ],
    "Graph Compile": [
        "Compile Duration",
        "Compile Precision",
        "Subgraph Coverage",
        "Optimizations",
    ],
    "Accuracy": [
        "Data Percent",
        "Mean Diff",
        "Std Diff",
        "Max Diff",
        "Max Rel-Diff",
        "Mean Rel-Diff",
        "Diff Dist",
    ],
}


def asked(out: Path, *options: object) -> tuple[object, ...]:
    return ("run", "--task", TASK, "--hardware_type", "CPU", "--out", out, *options)


STARTED: list[subprocess.Popen[str]] = []


def start(out: Path, *options: object, **variables: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command(*asked(out, *options)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(**variables),
    )
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def none_goes_on():
    """What a failed test has started ends with it."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(out: Path, *options: object) -> tuple[int, str, str]:
    ran = qs(*asked(out, *options))
    return ran.returncode, ran.stdout, ran.stderr


def folder(out: Path) -> Path:
    return out / "CPU" / TASK


def result_in(out: Path) -> dict:
    return read_result(folder(out) / "result-fp32.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One evaluation with the workload's own values, as a process: its standard output is all that
    was written there.
    """
    out = tmp_path_factory.mktemp("whole") / "reports"
    ran = qs_process(
        *asked(out, "--json", "--seed", 0, "--iterations", 100),
        cwd=out.parent,
        QS_RUN_NO_PICTURE="0",
    )
    assert ran.returncode == 0, ran.stderr
    return out, ran.stdout, ran.stderr


def test_json_is_the_result_and_all_else_is_on_standard_error(whole):
    out, printed, said = whole
    assert json.loads(printed) == result_in(out)
    assert "verdict: VALID" in said


def test_the_published_keys_are_there(whole):
    result = result_in(whole[0])
    for section, keys in PUBLISHED.items():
        place = result[section] if section else result
        assert [key for key in keys if key not in place] == []
    assert (result["Model"], result["Backend"], result["Dataset"]) == (
        TASK.upper(),
        "CPU",
        "DIGITS",
    )
    assert result["Graph Compile"]["Subgraph Coverage"] == 100.0
    assert result["Version"].startswith("ONNX Runtime ")
    for row in result["Performance"]:
        assert {"BS", "QPS", "AVG Latency", "P99 Latency"} <= row.keys()


def test_the_picture_of_the_comparison_is_drawn_and_can_be_left_out(whole, tmp_path):
    picture = folder(whole[0]) / result_in(whole[0])["Accuracy"]["Diff Dist"]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    few = ("--batch_sizes", 1, "--iterations", 10, "--no_picture", "--quiet")
    assert run(tmp_path, *few)[0] == 0
    assert result_in(tmp_path)["Accuracy"]["Diff Dist"] is None
    assert not (folder(tmp_path) / picture.name).exists()


def test_every_row_did_what_the_workload_asks(whole):
    workload = json.loads((ROOT / "workloads" / f"{TASK}.json").read_text())
    rows = result_in(whole[0])["Performance"]
    assert [row["BS"] for row in rows] == workload["batch_sizes"]
    for row in rows:
        assert row["Completed"] == row["Clients"] * row["Iterations"] == workload["clients"] * 100
        assert (row["Errors"], row["Verdict"]) == (0, "VALID")
        order = [row[f"{name} Latency"] for name in ("Min", "P50", "P90", "P95", "P99", "Max")]
        assert order == sorted(order)
        assert row["Min Latency"] <= row["AVG Latency"] <= row["Max Latency"]
        assert row["P99.9 Latency"] is None  # 300 queries cannot tell
        assert row["QPS"] == pytest.approx(
            row["BS"] * row["Completed"] / row["Wall Time"], rel=1e-9
        )
        assert row["Samples"]["kind"] == "dataset"


def test_answers_are_right(whole):
    section = result_in(whole[0])["Accuracy"]
    assert section["Top-1"] == pytest.approx(0.98667, abs=0.005)
    assert section["Max Diff"] < 1e-4
    assert section["Cosine Similarity"] == pytest.approx(1.0, abs=1e-6)
    assert (section["NaN Count"], section["Inf Count"]) == (0, 0)


def test_histograms_read_back_to_the_same_percentiles(whole):
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    for row in result_in(whole[0])["Performance"]:
        total = HdrHistogram(1, 3_600_000_000_000, 3)
        reader = HistogramLogReader(str(folder(whole[0]) / row["Histogram"]), total)
        while (part := reader.get_next_interval_histogram()) is not None:
            total.add(part)
        reader.close()
        assert total.get_total_count() == row["Completed"]
        for name, percentile in (("P50", 50), ("P90", 90), ("P99", 99)):
            assert total.get_value_at_percentile(percentile) / 1e6 == pytest.approx(
                row[f"{name} Latency"], rel=1e-3
            )


def test_values_carry_their_origin_and_seed_zero_is_recorded(whole):
    values = result_in(whole[0])["Effective Values"]
    assert values["seed"] == {"value": 0, "origin": "command line"}
    assert values["clients"] == {"value": 3, "origin": "workload"}
    assert values["pool"]["origin"] == "QS config"
    assert values["warmup"]["origin"] == "default"


def test_events_tell_the_story_in_order(whole):
    events = [
        json.loads(line) for line in (folder(whole[0]) / "events.jsonl").read_text().splitlines()
    ]
    assert (events[0]["event"], events[-1]["event"]) == ("start", "end")
    stages = [event["stage"] for event in events if event["event"] == "stage begins"]
    assert stages == ["compile", "accuracy", "numeric", "performance"]
    assert [event["batch_size"] for event in events if event["event"] == "case ends"] == [
        1,
        8,
        32,
        64,
    ]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_nothing_half_written_stays(whole):
    assert [path for path in whole[0].rglob("*") if path.name.startswith(".")] == []


@pytest.mark.slow
def test_the_command_line_wins(tmp_path):
    status, _, said = run(
        tmp_path,
        "--clients",
        2,
        "--iterations",
        7,
        "--batch_sizes",
        "2,5",
        "--warmup",
        3,
        "--pool",
        "thread",
        "--instances",
        2,
        "--numeric_items",
        4,
        "--seed",
        7,
        "--quiet",
    )
    assert (status, said) == (0, "")
    result = result_in(tmp_path)
    assert [(row["BS"], row["Completed"]) for row in result["Performance"]] == [(2, 14), (5, 14)]
    assert all(
        row["Instances"] == 2 and row["Warm-up"]["Completed"] == 6 for row in result["Performance"]
    )
    assert result["Accuracy"]["Numeric"]["items"] == 4
    assert {
        result["Effective Values"][name]["origin"] for name in ("clients", "instances", "seed")
    } == {"command line"}


@pytest.mark.slow
def test_inline_and_in_process(tmp_path):
    options = ("--pool", "inline", "--clients", 1, "--iterations", 20, "--batch_sizes", 4)
    ran = qs_process(*asked(tmp_path, *options, "--in_process"))
    assert ran.returncode == 0, ran.stderr
    row = result_in(tmp_path)["Performance"][0]
    assert (row["Completed"], row["Pool"]) == (20, "inline")
    assert "4" in ran.stdout


@pytest.mark.slow
def test_a_time_limit_says_how_far_each_size_came(tmp_path):
    status, printed, said = run(
        tmp_path, "--iterations", 100_000_000, "--time_limit", "1s", "--batch_sizes", "1,64"
    )
    assert status == 0, said
    for row in result_in(tmp_path)["Performance"]:
        assert 0 < row["Completed"] < row["Planned"] == 300_000_000
        assert 0.9 < row["Wall Time"] < 30  # of about 30 minutes
        assert (row["Verdict"], row["Ended By"]) == ("VALID", "time limit")
        assert f"{row['Completed']:,} of 300,000,000" in printed
    assert "the limit is 1.0 s, about" in said


@pytest.mark.slow
def test_a_duration_takes_the_place_of_iterations(tmp_path):
    status, _, said = run(tmp_path, "--duration", "1s", "--batch_sizes", 8)
    assert status == 0, said
    row = result_in(tmp_path)["Performance"][0]
    assert row["Iterations"] is None
    assert 0.9 < row["Wall Time"] < 30


def test_compile_only_leaves_the_compile_result(tmp_path):
    status, printed, said = run(tmp_path, "--compile_only")
    assert status == 0, said
    compiled = json.loads((folder(tmp_path) / "compile-fp32.json").read_text())
    assert compiled["compile_status"] == "success"
    assert Path(compiled["segments"][0]["compiled_model"][0]["compiled_obj"]).is_file()
    result = result_in(tmp_path)
    assert result["Status"] == "compiled"
    assert "Performance" not in result and "Accuracy" not in result
    assert "compiled" in printed


def test_answers_are_checked_and_kept(tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text('{"intra_op_threads": 1, // one\n}')
    status, _, said = run(
        tmp_path / "r", "--answers", answers, "--no_input", "--iterations", 5, "--batch_sizes", 1
    )
    assert status == 0, said
    assert result_in(tmp_path / "r")["Answers"] == {
        "tune_batch_sizes": False,
        "intra_op_threads": 1,
    }
    answers.write_text('{"intra_op_thread": 1}')
    status, _, said = run(tmp_path / "wrong", "--answers", answers)
    assert status == 2
    assert "did you mean 'intra_op_threads'" in said


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_an_interrupt_writes_what_there_is(number, tmp_path, hangups_are_heard):
    process = start(tmp_path, "--iterations", 100_000_000, "--batch_sizes", "1,8", "--json")
    wait_for_line(process, MEASURING)
    process.send_signal(number)
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    result = result_in(tmp_path)
    assert json.loads(printed) == result
    assert (result["Status"], result["Verdict"]) == ("interrupted", "INVALID")
    (row,) = result["Performance"]
    assert row["Interrupted"] and row["Completed"] > 0
    assert "interrupted" in said and "Traceback" not in said


def test_an_interrupt_before_the_first_case_leaves_no_row(tmp_path):
    process = start(tmp_path)
    wait_for(folder(tmp_path) / "events.jsonl", "start", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert result_in(tmp_path)["Status"] == "interrupted"


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    asked = ("--iterations", 100_000_000, "--batch_sizes", 64, "--verify", "sample")
    process = start(tmp_path, *asked, TMPDIR=str(temporary))
    wait_for_line(process, MEASURING)
    assert {path.name[:7] for path in temporary.iterdir()} >= {"qs-run-", "qs-veri"}
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert result_in(tmp_path)["Status"] == "interrupted"
    assert not list(temporary.glob("qs-*"))


def test_a_killed_run_keeps_the_cases_that_had_ended(tmp_path):
    process = start(tmp_path, "--batch_sizes", "1,8", "--duration", "1s")
    wait_for(folder(tmp_path) / "events.jsonl", "case begins", process, times=2)
    process.kill()
    process.communicate(timeout=60)
    result = result_in(tmp_path)
    assert (result["Status"], result["Verdict"]) == ("running", "INVALID")
    assert [row["BS"] for row in result["Performance"]] == [1]

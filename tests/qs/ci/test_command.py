"""`qs ci` as a CI job runs it: old and new of a backend in two workspaces, saved baselines, and
everything that may go wrong on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from tests.qs.program import command, environment, qs, qs_process, refused
from tests.qs.small_backend import HARDWARE, PREDICT, TASK, arguments, write
from tests.waiting import wait_for_line

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"
SLOW = PREDICT.replace("0.0005", "0.02")
# Of a process that was started for the rounds: the first is that of the set-up.
CRASHING = PREDICT.replace(
    "time.sleep(0.0005)",
    """
    from pathlib import Path
    starts = Path(__file__).with_name("starts")
    if not hasattr(self, "counted"):
        self.counted = True
        with starts.open("a") as file:
            file.write("x")
    if len(starts.read_text()) > 3:
        os._exit(7)
    time.sleep(0.0005)
    """.strip(),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Workspaces old, slow and crashing, beside each other."""
    made = tmp_path_factory.mktemp("ci")
    write(made / "old")
    write(made / "slow", predict=SLOW)
    write(made / "crashing", predict=CRASHING)
    return made


def gate(place: Path, *typed: object, **variables: str):
    sides = ("--task", TASK, "--hardware_type", HARDWARE, "--out", place / "reports")
    ran = qs("ci", *sides, *typed, cwd=place, QS_DATA=str(place / "data"), **variables)
    assert "Traceback" not in ran.stderr
    return ran


@pytest.mark.slow
def test_a_slower_backend_is_found_and_told_in_every_form(place):
    """40 times slower: no noise hides that."""
    ran = gate(
        place,
        *("--old", "old", "--new", "slow", "--block", "0.2s", "--budget", "4m"),
        *("--md", "gate.md", "--junit", "gate.xml"),
        GITHUB_STEP_SUMMARY=str(place / "summary.md"),
    )
    assert ran.returncode == 3, ran.stderr
    assert "gate: failed: a condition holds" in ran.stdout
    text = (place / "gate.md").read_text()
    assert (place / "summary.md").read_text() == text
    assert "a condition holds" in text and "slower:5%" in text and str(place) not in text
    failures = [
        (case.get("name"), case.find("failure") is not None)
        for case in xml.parse(place / "gate.xml").iter("testcase")
    ]
    assert failures == [("measurement", False), ("fail_if slower:5%", True)]
    report = json.loads((place / "reports" / "ci" / "ci.json").read_text())
    assert report["interleaved"] and report["rounds"] == 4
    assert [each["Outcome"] for each in report["gates"]] == ["holds"]
    # Both sides keep every round, and can be compared as other results can.
    sides = [next((place / "reports" / "ci" / side).rglob("result-*.json")) for side in SIDES]
    rows = [json.loads(side.read_text())["Performance"] for side in sides]
    assert [len(each) for each in rows] == [4, 4]
    assert qs("compare", *sides).returncode == 0


SIDES = ("old", "new")


@pytest.mark.slow
def test_a_side_that_crashes_after_some_rounds_fails_the_gate_with_the_reason(place):
    ran = gate(
        place,
        *("--old", "old", "--new", "crashing", "--block", "0.2s", "--budget", "1m", "--json"),
    )
    assert ran.returncode == 3
    report = json.loads(ran.stdout)
    assert report["rounds"] == 2 and report["headline"].startswith("failed: new, BS 1: ")
    assert report["figures"][0]["old"] > 0


@pytest.mark.slow
def test_a_budget_shorter_than_a_round_cannot_tell_and_says_what_would(place):
    ran = gate(place, "--old", "old", "--block", "0.2s", "--budget", "10ms", "--workspace", "old")
    assert ran.returncode == 4
    assert "are needed at least; the budget of 10 ms was enough for 0" in ran.stdout
    assert "to decide: " in ran.stdout
    assert "old and new are the same" in ran.stdout


@pytest.fixture(scope="module")
def saved(place) -> Path:
    """A result of the main branch."""
    ran = qs(
        *arguments(place / "old", "run", "--clients", "1", "--iterations", "40", "--no_history"),
        cwd=place,
    )
    assert ran.returncode == 0, ran.stderr
    (file,) = (place / "old" / "reports").glob("*/*/result-*.json")
    return file


def changed(saved: Path, to: Path, **more: object) -> Path:
    to.write_text(json.dumps(json.loads(saved.read_text()) | more))
    return to


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Task": "another"}, ("of the task another",)),
        ({"Verdict": "OVERLOADED", "Reasons": ["behind"]}, ("OVERLOADED", "behind")),
        ({"Verdict": "INVALID", "Reasons": ["it was bad"]}, ("INVALID", "it was bad")),
        ({"Host": {"CPU": "Z80"}}, ("another processor, Z80",)),
    ],
)
def test_a_baseline_whose_numbers_say_nothing_is_refused(place, saved, tmp_path, more, words):
    file = changed(saved, tmp_path / "result-fp16.json", **more)
    found = json.loads(file.read_text())
    found["Found In"] = {}
    file.write_text(json.dumps(found))
    ran = gate(place, "--baseline", file, "--workspace", place / "old", "--quiet")
    refused(ran, "--baseline", *words, "--old PATH --new PATH")


@pytest.mark.slow
def test_a_baseline_without_logs_and_intervals_cannot_tell(place, saved, tmp_path):
    """As the first results were."""
    old = json.loads(saved.read_text())
    for row in old["Performance"]:
        row.pop("Confidence", None)
        row["Histogram"] = None
    file = changed(saved, tmp_path / "result-fp16.json", Performance=old["Performance"])
    ran = gate(place, "--baseline", file, "--workspace", place / "old", "--budget", "1s", "-c", "1")
    assert ran.returncode == 4, ran.stderr
    assert "not interleaved" in ran.stderr and "slower:5% cannot tell" in ran.stdout
    assert "the same workspace" in ran.stderr


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ((), ("--old is missing", "either --old with", "or --baseline")),
        (("--old", "old", "--baseline", "@last"), ("either --old with", "or --baseline")),
        (("--old", "gone"), ("--old", "gone", "that is there")),
        (("--old", "empty"), ("--old", "a workspace (a folder with backends/")),
        (("--old", "old", "--fail_if", "p98.slower:5%,accuracy<1"), ("p98", "accuracy<1")),
        (("--old", "old", "--md", "old/workloads/small.json/gate.md"), ("--md",)),
        (("--baseline", "gone.json"), ("gone.json",)),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(place, typed, words):
    (place / "empty").mkdir(exist_ok=True)
    ran = gate(place, *typed, "--workspace", place / "old", "--quiet")
    refused(ran, *words)


def test_a_workspace_that_holds_nothing_of_what_is_measured(tmp_path):
    (tmp_path / "workloads").mkdir()
    task = ("--task", "digits-cnn-onnx-fp32", "-H", "CPU", "--out", tmp_path / "reports")
    refused(qs("ci", *task, "--old", tmp_path, "--quiet"), "nothing in it would be measured")


def test_a_file_to_be_judged_is_missing(tmp_path):
    refused(qs("ci", "--old", DIGITS, "--hardware_type", "CPU"), "--new is missing")
    refused(qs("ci", "--old", ROOT, "--hardware_type", "CPU"), "with a task: --task TASK")


@pytest.mark.slow
def test_a_baseline_that_is_still_there_is_measured_again_in_turn(tmp_path):
    for name in ("main", "change"):
        (tmp_path / name).mkdir()
        shutil.copy(DIGITS, tmp_path / name / "model.onnx")
    data = str(tmp_path / "data")
    typed = ("load", "main/model.onnx", "-H", "CPU", "--no_input", "-b", "2", "-d", "0.3s")
    # As a process: its command is what the baseline is measured by again.
    before = qs_process(*typed, "--tag", "main", "--quiet", cwd=tmp_path, QS_DATA=data)
    assert before.returncode == 0, before.stderr
    ran = qs(
        *("ci", "--baseline", "@main", "--new", "change/model.onnx", "--json", "--no_input"),
        *("--block", "0.2s", "--budget", "1m", "--fail_if", "slower:5000%"),
        cwd=tmp_path,
        QS_DATA=data,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["interleaved"] and report["old"] == "main/model.onnx"
    assert {each["case"] for each in report["figures"]} == {"BS 2"}  # as the baseline was measured


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(place):
    out = place / "interrupted"
    typed = ("--task", TASK, "-H", HARDWARE, "--old", "old", "--new", "slow", "--out", out)
    more = ("--block", "0.3s", "--budget", "5m", "--fail_if", "slower:100000%", "--md", "i.md")
    with subprocess.Popen(
        command("ci", *typed, *more),
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        wait_for_line(running, "round 2:")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "interrupted; the report holds what was measured" in said
    report = json.loads((out / "ci" / "ci.json").read_text())
    assert report["interrupted"] and report["rounds"] >= 1
    assert "interrupted" in (place / "i.md").read_text()
    assert os.path.exists(out / "ci" / "old")

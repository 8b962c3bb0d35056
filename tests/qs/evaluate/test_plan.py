"""What a run is about to do, in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.evaluate.plan import plan_line
from qs.evaluate.prepare import prepare
from qs.result.last import LastTime, last_time
from qs.settings.request import Request
from tests.qs.program import qs, refused

TASK = "digits-cnn-onnx-fp32"
KNOWN = LastTime(
    stages={"environment": 0.5, "model": 0.5, "compile": 9.0, "accuracy": 8.0, "numeric": 12.0},
    accuracy_items=450,
)


def line(last: LastTime, **asked) -> str:
    asked = {"task": TASK, "hardware_type": "CPU", "batch_sizes": (1, 2, 4, 8), **asked}
    return plan_line(prepare(Request(**asked)), last)


@pytest.mark.parametrize(
    ("last", "asked", "expected"),
    [
        (
            KNOWN,
            {"duration": 20.0},
            "plan: compile, accuracy (450 items), agreement (16 items), 4 cases of 20 s: "
            "about 1 min 52 s",
        ),
        (
            KNOWN,
            {"duration": 5.0, "batch_sizes": (1,), "numeric_items": 1},
            "plan: compile, accuracy (450 items), agreement (1 item), 1 case of 5.0 s: about 36 s",
        ),
        (KNOWN, {"compile_only": True}, "plan: compile: about 10 s"),
        (
            LastTime(),
            {"duration": 20.0},
            "plan: compile, accuracy, agreement (16 items), 4 cases of 20 s: the cases take about "
            "1 min 22 s; what the rest takes the first run shows",
        ),
    ],
)
def test_the_line(last, asked, expected):
    assert line(last, **asked) == expected


def test_a_time_limit_is_an_upper_bound():
    said = line(KNOWN, iterations=10_000_000, time_limit=20.0)
    assert "4 cases of at most 20 s: at most about 1 min 52 s" in said


def test_cases_that_nothing_bounds_take_what_they_took_the_last_time():
    stages = {**KNOWN.stages, "performance": 30.0}
    said = line(LastTime(stages, stages, 450, cases=2), iterations=300)
    assert "4 cases of 300 iterations: about 1 min 30 s" in said
    assert line(KNOWN, iterations=300).endswith(
        "4 cases of 300 iterations: about 30 s before the first case"
    )


def test_what_the_last_run_took_comes_from_its_files(tmp_path: Path):
    result = {
        "Durations": {"compile": 9, "numeric": 60.0, "bad": "x", "worse": -1, "nan": None},
        "Accuracy": {"Items": 450, "Numeric": {"reference": {"cached": False, "seconds": 48.0}}},
        "Performance": [{}, {}],
    }
    (tmp_path / "result-fp32.json").write_text(json.dumps(result))
    events = [
        {"event": "step", "step": "compiling", "seconds": 8.0},
        {"event": "step", "step": "compiling", "seconds": 9.0},
        {"event": "step", "step": "x", "seconds": "long"},
        {"event": "step"},
    ]
    log = "\n".join([*map(json.dumps, events), '"step" torn', "[" * 100_000 + '"step"', ""])
    (tmp_path / "events.jsonl").write_text(log)
    found = last_time(tmp_path)
    assert found.stages == {"compile": 9, "numeric": 12.0}  # the reference is cached since
    assert (found.steps, found.accuracy_items) == ({"compiling": 9.0}, 450)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"Durations": 5}'])
def test_damaged_files_are_not_known(tmp_path: Path, content):
    (tmp_path / "result-fp32.json").write_bytes(content)
    (tmp_path / "events.jsonl").write_bytes(content)
    assert last_time(tmp_path) == LastTime()


def test_dry_run_of_a_task(tmp_path):
    ran = qs("run", TASK, "-H", "CPU", "-d", "2s", "--dry_run", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"{TASK} on CPU; nothing is run" in ran.stdout
    assert "image FLOAT32 [1, 1, 8, 8]" in ran.stdout
    assert "plan: compile, accuracy, agreement (16 items)," in ran.stdout
    assert not (tmp_path / "reports").exists()
    ran = qs("run", TASK, "-H", "CPU", "--dry_run", "--json", cwd=tmp_path)
    assert json.loads(ran.stdout)["hardware"] == "CPU"
    refused(qs("run", "digtis", "-H", "CPU", "--dry_run", cwd=tmp_path), "digtis")

"""`qs new-task` and `qs check --task` as they are typed."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
import pytest

from qs.base import jsonc
from qs.cli.new_task import NORMALISATIONS
from qs.inside.preparing import usual
from qs.inside.task_trial import TaskTrial
from tests.qs.program import ROOT, qs, refused
from tests.qs.results import read_result
from tests.qs.scaffold.tasks import CHECKS, checked, described, linear


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model that picks the largest of three numbers, and ten items."""
    monkeypatch.delenv("QS_WORKSPACE", raising=False)
    linear(tmp_path / "m.onnx", np.eye(3))
    labels = np.arange(10) % 3
    np.savez(tmp_path / "val.npz", x=np.eye(3)[labels], labels=labels)
    return tmp_path


def new(place, *words):
    """In this process, the reading of the model too."""
    with mock.patch("qs.scaffold.model_file.describe", described):
        return qs("new-task", "mine", "--model", "m.onnx", *words, cwd=place)


def test_it_says_what_was_written_what_was_guessed_and_what_comes_next(place):
    ran = new(place, "--data", "val.npz")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[:4] == [
        "model_zoo/mine.json",
        "workloads/mine.json",
        "datasets/mine/data_loader.py",
        "datasets/mine/test_accuracy.py",
    ]
    assert "The data of mine: 10 items in 3 classes" in lines
    assert any(line.endswith("  --metric") for line in lines)
    assert lines[-2:] == ["  qs check --task mine", "  qs run --task mine --hardware_type CPU"]


def test_elsewhere_the_next_commands_name_the_workspace(place):
    (place / "my ws").mkdir()
    for flag in ("--into", "--workspace", "--out"):
        ran = new(place, flag, "my ws", "--force")
        assert ran.stdout.splitlines()[-2] == "  qs check --task mine --workspace 'my ws'"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "val.npz", "--data", "x=val.npz"), "not both"),
        (("--scale", "1/0"), "holds no numbers"),
        (("--metric", "tpo1"), "did you mean 'top1'"),
        (("--data", "none.npz"), "--data is 'none.npz'"),
        (("--shape", "y=1,3"), "--shape"),
        (("--columns", "x"), "is not name=value"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(place, words, said):
    refused(new(place, *words), said)
    assert not (place / "workloads").exists()


def test_models_that_no_task_can_have(place):
    (place / "m.pt").write_bytes(b"PK")
    (place / "m.pth").write_bytes(b"PK")
    (place / "saved").mkdir()
    for name, said in (
        ("m.pt", "--shape image=1,3,224,224"),
        ("m.pth", "Export others to ONNX"),
        ("saved", "a saved_model?"),
    ):
        refused(qs("new-task", "mine", "--model", name, cwd=place), said)


def test_normalisations_are_those_that_the_check_tries():
    tried = {
        each.name: tuple(np.atleast_1d(value).tolist() for value in each.values()[:3])
        for each in usual("RGB")
        if each.channels == "RGB"
    }
    shown = {name: ([scale], *map(list, rest)) for name, (scale, *rest) in NORMALISATIONS.items()}
    assert shown == tried


def test_a_task_in_order_and_one_that_is_not(place):
    assert new(place, "--data", "val.npz", "--metric", "top1").returncode == 0
    ran = qs("check", "--task", "mine", "--json", cwd=place)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["verdict"] == "pass" and found["hardware_type"] is None
    assert [check["status"] for check in found["checks"]] == ["pass"] * 6 + ["skip"]
    metric = next(check["reason"] for check in found["checks"] if check["name"] == "metric")
    assert metric == "Top-1 1 [0.722, 1] (10 items)"
    loader = place / "datasets" / "mine" / "data_loader.py"
    # Of another length: Python takes a file of the same second and size for the one that it knows.
    loader.write_text(loader.read_text().replace('"labels")', '"lable")'))
    data = checked(place)["data"]
    assert data["status"] == "fail" and "it has no lable; it has x, labels" in data["reason"]
    assert "correct the keys in" in data["fix"]


def test_files_that_are_wrong_are_a_check_that_fails(place):
    """No process is started for what cannot be tried."""
    assert new(place).returncode == 0
    (place / "workloads" / "mine.json").write_text('{"batch_sizes": []}')
    ran = qs("check", "--task", "mine", cwd=place, QS_HARDWARE_TYPE="CPU")
    assert ran.returncode == 3
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("FAIL  files") and "batch_sizes is []" in lines[0]
    assert lines[1] == "      to fix it:    correct what the message names"
    assert "skip  metric        not tried: items was skipped" in lines
    assert lines[-1] == "mine: 1 failed, 6 skipped"


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("digits-cnn-onnx-fp32", "Top-1 "),
        ("mnist-cnn-onnx-int8", "Top-1 "),
        ("adult-widedeep-onnx-fp32", "AUC "),
    ],
)
def test_tasks_that_ship_are_in_order(task, metric):
    """Their data sets are not stock ones, and one is written as ByteMLPerf's are."""
    info = jsonc.read(ROOT / "model_zoo" / f"{task}.json")
    trial = TaskTrial(info, str(ROOT), str(ROOT / "datasets" / info["dataset_name"]))
    found = [trial.model(offline=True), *(getattr(trial, name)() for name in CHECKS)]
    assert [each["status"] for each in found] == ["pass"] * 5 + ["skip"], found
    assert found[4]["reason"].startswith(metric)


def test_what_check_cannot_test_is_said(place):
    refused(qs("check", "--task", "mine", "--log", "l", cwd=place), "name --hardware_type too")
    refused(qs("check", "--task", "digits-cnn-onnx-fp33", cwd=place), "did you mean")


@pytest.mark.slow
def test_a_new_task_is_measured_at_once(place):
    assert (
        qs("new-task", "mine", "--model", "m.onnx", "--data", "val.npz", cwd=place).returncode == 0
    )
    options = ("--hardware_type", "CPU", "--batch_sizes", 4, "--iterations", 50)
    ran = qs("run", "--task", "mine", *options, cwd=place)
    assert ran.returncode == 0, ran.stderr
    result = read_result(place / "reports" / "CPU" / "mine" / "result-fp32.json")
    assert result["Accuracy"]["Top-1"] == 1
    assert result["Accuracy"]["Confidence Intervals"]["Top-1"][0] == pytest.approx(0.7225, abs=1e-4)

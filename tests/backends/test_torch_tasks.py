"""The program with the TORCH backend, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.qs.program import qs, refused
from tests.qs.tensors import torch_archives

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "model_zoo" / "digits" / "digits-cnn-torch-fp32.pt"


def load_of(file: Path, *more: object):
    stated = ("--shape", "image=1,1,8,8", "--type", "image=FLOAT32")
    return qs("load", file, "--hardware_type", "TORCH", *stated, *more)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["pickle", "checkpoint", "empty", "cut", "folder"])
def test_what_is_no_torchscript_is_one_message_and_nothing_is_executed(tmp_path, damage):
    witness, file = tmp_path / "witness", tmp_path / "model.pt"
    if damage == "pickle":
        torch_archives.pickled(file, witness)
    elif damage == "checkpoint":
        torch_archives.checkpoint(file, witness)
    elif damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(DIGITS.read_bytes()[: -200 if damage == "cut" else 0])
    refused(load_of(file, "--out", tmp_path), "model.pt")
    assert not witness.exists()


@pytest.mark.slow
def test_a_device_that_is_not_there_is_one_message(tmp_path):
    """`qs load` once took --answers and left them unread."""
    answers = tmp_path / "answers.json"
    answers.write_text('{"device": "cuda:99"}')
    said = "device: 'cuda:99' is not there; there is cpu"
    refused(load_of(DIGITS, "--answers", answers, "--out", tmp_path), said)
    task = ("run", "--task", "digits-cnn-torch-fp32", "--hardware_type", "TORCH")
    refused(qs(*task, "--answers", answers, "--out", tmp_path, "--no_input"), said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        "digits-cnn-torch-fp32",
        "digits-cnn-onnx-fp32",
        "mnist-cnn-onnx-fp32",
        "adult-widedeep-onnx-fp32",
        "minilm-onnx-fp32",
    ],
)
def test_tasks_are_as_accurate_as_pinned(tmp_path, task):
    info = json.loads((ROOT / "model_zoo" / f"{task}.json").read_text())
    ran = qs(
        *("run", "--task", task, "--hardware_type", "TORCH", "--out", tmp_path),
        *("--batch_sizes", 1, "--iterations", 20, "--no_input", "--no_picture"),
    )
    assert ran.returncode in (0, 3), ran.stderr  # 3: too short to be VALID
    (file,) = tmp_path.glob(f"TORCH/{task}/result-*.json")
    result = json.loads(file.read_text())
    for metric, pinned in info["pinned_metrics"].items():
        assert result["Accuracy"][metric] == pytest.approx(pinned, abs=2e-4), metric
    assert result["Accuracy"]["Mean Diff"] < 1e-4
    assert result["Performance"][0]["QPS"] > 0

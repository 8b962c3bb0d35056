"""A quantized model is compared with the fp32 model that it was made of, not with itself."""

from __future__ import annotations

import json

import pytest

from tests.qs.program import ROOT, qs, refused
from tests.qs.results import read_result


@pytest.mark.slow
def test_int8_mnist_against_fp32(tmp_path):
    ran = qs(
        "run",
        "--task",
        "mnist-cnn-onnx-int8",
        "--hardware_type",
        "CPU",
        "--batch_sizes",
        "1",
        "--iterations",
        "5",
        "--out",
        tmp_path,
        "--quiet",
    )
    assert ran.returncode == 0, ran.stderr
    accuracy = read_result(tmp_path / "CPU" / "mnist-cnn-onnx-int8" / "result-int8.json")[
        "Accuracy"
    ]
    # What quantization costs; against its own graph it would be 0. It depends on the processor: 4.4
    # was seen on one without VNNI.
    assert 0.01 < accuracy["Max Diff"] < 8.0
    assert accuracy["Cosine Similarity"] > 0.99
    assert (
        "the reference is the model mnist-cnn-onnx-fp32"
        in accuracy["Numeric"]["reference"]["notes"]
    )
    known = json.loads((ROOT / "model_zoo" / "mnist-cnn-onnx-fp32.json").read_text())[
        "pinned_metrics"
    ]["Top-1"]
    assert abs(accuracy["Top-1"] - known) <= 0.01


def test_a_reference_that_is_not_there_is_one_message(tmp_path):
    workspace = tmp_path / "w"
    for folder in ("workloads", "model_zoo"):
        (workspace / folder).mkdir(parents=True)
    info = json.loads((ROOT / "model_zoo" / "digits-cnn-onnx-fp32.json").read_text())
    info |= {"reference_model": "digits-cnn-onnx-fp3", "model_path": str(ROOT / info["model_path"])}
    (workspace / "model_zoo" / "digits-cnn-onnx-fp32.json").write_text(json.dumps(info))
    task = (ROOT / "workloads" / "digits-cnn-onnx-fp32.json").read_text()
    (workspace / "workloads" / "t.json").write_text(task)
    refused(
        qs(
            "run",
            "--task",
            "t",
            "--hardware_type",
            "CPU",
            "--workspace",
            workspace,
            "--out",
            tmp_path / "r",
            "--quiet",
        ),
        "digits-cnn-onnx-fp3",
        "did you mean",
    )

"""A whole run on a published data set: its share and intervals in the report, missing files, and a
broken record.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.datasets.conftest import ROOT
from tests.qs.program import qs
from tests.qs.results import read_result
from tests.qs.small_backend import HARDWARE, write

PREDICT = """
def predict(self, feeds):
    numbers = feeds["numbers"]
    assert feeds["categories"].shape == (26 * self.batch_size, 2)
    assert numbers.shape == (self.batch_size, 13)
    return {"probabilities": np.stack([1 - numbers[:, 0], numbers[:, 0]], axis=1)}
"""
INFO = {
    "model": "clicks",
    "model_path": "model_zoo/clicks.onnx",
    "framework": "Onnx",
    "model_format": "onnx",
    "model_precision": "FP32",
    "inputs": "categories,numbers",
    "outputs": "probabilities",
    "input_shape": {"categories": [26, 2], "numbers": [1, 13]},
    "input_type": "INT64,FLOAT32",
    "dataset_name": "open_criteo_kaggle",
}


@pytest.fixture
def clicks(tmp_path):
    """A workspace with a backend that answers the first number, and a task on Criteo; run(...) ->
    (status, result, stderr).
    """
    root = write(
        tmp_path / "space",
        {},
        predict=PREDICT,
        test_accuracy=True,
        data_percent=50,
        batch_sizes=[4],
    )
    (root / "model_zoo").mkdir()
    (root / "model_zoo" / "clicks.json").write_text(json.dumps(INFO))
    (root / "model_zoo" / "clicks.onnx").write_bytes(
        (ROOT / "model_zoo/digits/digits-cnn-onnx-fp32.onnx").read_bytes()
    )
    task = json.loads((root / "workloads" / "small.json").read_text())
    (root / "workloads" / "small.json").write_text(json.dumps(task | {"model": "clicks"}))
    data = tmp_path / "data" / "open_criteo_kaggle"
    data.mkdir(parents=True)

    def run():
        place = {"QS_DATASETS": str(data.parent), "QS_WORKSPACE": str(root)}
        command = [
            "run",
            "--task",
            "small",
            "--hardware_type",
            HARDWARE,
            "--quiet",
            "--no_history",
            "--seed",
            "5",
        ]
        ran = qs(*command, cwd=root, **place)
        assert "Traceback" not in ran.stderr, ran.stderr
        found = list(root.glob("reports/*/clicks/result-*.json"))
        return ran.returncode, read_result(found[0]) if found else None, ran.stderr

    run.data = data
    return run


def test_the_report_says_how_sure_the_metric_is(clicks):
    labels = np.arange(40) % 2
    np.save(clicks.data / "label.npy", labels)
    np.save(clicks.data / "categorical.npy", np.zeros((40, 52), np.int64))
    np.save(clicks.data / "numeric.npy", np.repeat(labels[:, None] * 0.5 + 0.2, 13, axis=1))
    status, result, said = clicks()
    assert status == 0, said
    section = result["Accuracy"]
    assert (section["AUC"], section["Top-1"], section["Items"]) == (1.0, 1.0, 20)
    assert section["Share"] == {"kind": "stratified", "percent": 50, "seed": 5}
    low, high = section["Confidence Intervals"]["Top-1"]
    assert low == pytest.approx(0.83887, abs=1e-4) and high == 1.0


def test_missing_files_are_named_in_the_report(clicks):
    status, result, _ = clicks()
    assert status == 0
    why = result["Accuracy"]["Not Measured"]
    for name in ("numeric.npy", "categorical.npy", "label.npy"):
        assert str(clicks.data / name) in why
    assert result["Samples"]["kind"] == "generated"


def test_a_broken_record_is_one_message_and_exit_2(clicks):
    (clicks.data / "eval.csv").write_text("1,2,3\n")
    status, _, said = clicks()
    assert status == 2
    assert (
        said.strip()
        .splitlines()[-1]
        .endswith(
            "eval.csv: line 1 is '3 columns'; allowed: 40: the label, 13 numbers, 26 categories"
        )
    )

"""A vendor folder in the published style that calls tf.saved_model.load, in an environment of its
own that its requirements.txt asks for: slow, and the environment has to be fetched once.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.qs.program import qs

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "published"
QUICK = ("--engine", "always", "--clients", 1, "--batch_sizes", 1, "--iterations", 100)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def evaluate(folder: Path, task: str, *options: object) -> dict:
    shutil.copytree(FIXTURES, folder / "general_perf")
    fixed = ["--task", task, "--hardware_type", "TFLOAD", "--no_input", "--warmup", "1"]
    ran = qs("run", *fixed, *QUICK, "--no_picture", *options, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (file,) = (folder / "reports" / "TFLOAD").glob("*/result-*.json")
    return json.loads(file.read_text())


def measured(result: dict) -> None:
    (row,) = result["Performance"]
    assert (row["Verdict"], row["Completed"], row["Mode"]) == ("VALID", 100, "audit")
    assert row["Vendor"]["QPS"] > 0
    assert result["Environment"]["Key"] is not None
    assert result["Model Source"]["format"] == "saved_model"


def test_a_trained_saved_model_against_the_reference_that_tf2onnx_made(tmp_path):
    pytest.importorskip("tf2onnx")
    result = evaluate(tmp_path, "adult-widedeep-tf-fp32", "--env", "new")
    measured(result)
    accuracy, source = result["Accuracy"], result["Model Source"]
    assert accuracy["AUC"] == pytest.approx(0.91157, abs=0.005)
    assert accuracy["Cosine Similarity"] == pytest.approx(1, abs=1e-6)
    assert source["path"] == str(ROOT / "model_zoo" / "adult" / "adult-widedeep-tf-fp32")
    made = source["reference_converted"]
    assert made["from"] == {"path": source["path"], "format": "saved_model"}
    assert made["by"].startswith("tf2onnx ") and made["check"]["max_rel_diff"] <= 1e-4


def test_synthetic_weights_as_a_saved_model(tmp_path):
    """Written by the backend's own TensorFlow: qs needs none for that."""
    result = evaluate(tmp_path, "widedeep-tf-fp32", "--env", "new")
    measured(result)
    source = result["Model Source"]
    assert source["synthetic"] and source["converted"]["from"]["format"] == "onnx"
    assert source["converted"]["by"].startswith("tensorflow ")
    assert source["converted"]["check"]["max_rel_diff"] <= 1e-4
    assert source["reference"].endswith(".onnx")
    assert result["Accuracy"]["Cosine Similarity"] == pytest.approx(1, abs=1e-6)

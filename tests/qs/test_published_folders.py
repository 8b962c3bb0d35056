"""Vendor folders in the published style, each with another way to get at its model, on a trained
TorchScript network: tests/fixtures/published, run unmodified.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.qs.program import qs

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "published"
TASK = "digits-cnn-torch-fp32"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The folder that holds general_perf/."""
    shutil.copytree(FIXTURES, tmp_path / "general_perf")
    return tmp_path


def evaluate(folder: Path, hardware: str, *options: object, status: int = 0) -> dict:
    fixed = ["--task", TASK, "--hardware_type", hardware, "--no_input", "--warmup", "1"]
    ran = qs("run", *fixed, "--no_picture", *options, cwd=folder)
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.returncode == status, ran.stdout + ran.stderr
    (file,) = (folder / "reports" / hardware).glob("*/result-*.json")
    return json.loads(file.read_text())


def test_the_fixtures_know_nothing_of_us():
    sources = [file.read_text() for file in FIXTURES.rglob("*.py")]
    assert len(sources) >= 12
    assert not any(
        re.search(r"^\s*(import|from)\s+qs\b", source, re.MULTILINE) for source in sources
    )


QUICK = ("--engine", "always", "--clients", 1, "--batch_sizes", 1, "--iterations", 50)


def test_a_folder_that_calls_torch_jit_load(published: Path) -> None:
    workload = json.loads((ROOT / "workloads" / f"{TASK}.json").read_text())
    place = published / "general_perf" / "workloads"
    place.mkdir()
    (place / f"{TASK}.json").write_text(json.dumps(workload | {"test_numeric": False}))
    result = evaluate(published, "JITLOAD", *QUICK)
    assert result["Accuracy"]["Top-1"] == pytest.approx(0.98667, abs=0.005)
    assert result["Model Source"]["format"] == "pt"
    (row,) = result["Performance"]
    assert (row["Mode"], row["Verdict"], row["Completed"]) == ("audit", "VALID", 50)
    assert row["Vendor"]["QPS"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("hardware", ["JITLOAD", "TOOLONNX", "SUBPROC", "BESIDE", "INTERPATH"])
def test_every_way_to_get_at_the_model(published: Path, hardware: str) -> None:
    result = evaluate(published, hardware, *QUICK)
    assert result["Accuracy"]["Top-1"] == pytest.approx(0.98667, abs=0.005)
    assert result["Accuracy"]["Cosine Similarity"] == pytest.approx(1, abs=1e-6)
    assert result["Model Source"]["format"] == "pt"
    assert result["Model Source"]["path"].endswith(f"model_zoo/digits/{TASK}.pt")
    beside = ROOT / "model_zoo" / "digits" / f"{TASK}.onnx"  # would be taken for the user's export
    assert not beside.exists() and result["Model Source"]["reference"] != str(beside)
    assert result["Answers"] == ({"threads": 1} if hardware == "INTERPATH" else {})
    (row,) = result["Performance"]
    assert row["Verdict"] == "VALID"

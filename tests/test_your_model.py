"""docs/your-model.md: every line as it stands, in order, in a folder beside copies of what it
names.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from qs import contract
from qs.contract.metrics import METRICS
from tests.qs.program import ROOT, qs
from tests.qs.results import read_result

TEXT = (ROOT / "docs" / "your-model.md").read_text()
NAMED = (
    "datasets/mnist/held_out.npz",
    "datasets/adult/held_out.npz",
    "model_zoo/mnist/mnist-cnn-onnx-fp32.onnx",
    "model_zoo/adult/adult-widedeep-onnx-fp32.onnx",
)


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python|text)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    for name in NAMED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.delenv("QS_WORKSPACE", raising=False)
    return tmp_path / "mine"


@pytest.mark.slow
def test_every_line_of_the_page_runs(place):
    shown = ""
    for kind, text in blocks():
        if kind == "text":
            assert shown.strip() == text.strip()
        elif kind == "python" and not text.startswith("class"):
            exec(compile(text, "page", "exec"), {})  # noqa: S102
        elif kind == "sh":
            for line in text.splitlines():
                if line.startswith("qs "):
                    ran = qs(*shlex.split(line)[1:], cwd=place)
                    assert ran.returncode == 0, line + ran.stdout + ran.stderr
                    shown = ran.stdout
    for name, metric, least in (("my-digits", "Top-1", 0.95), ("census", "AUC", 0.88)):
        (file,) = (place / "reports" / "CPU" / name).glob("result-*.json")
        found = read_result(file)["Accuracy"]
        low, high = found["Confidence Intervals"][metric]
        assert least < found[metric] and low < found[metric] < high
    written = (place / "datasets/my-digits/data_loader.py").read_text()
    assert classes(written) == classes(
        next(text for _, text in blocks() if "(PictureItems)" in text)
    )


def classes(text: str) -> str:
    return text[text.index("class DataLoader") :].strip()


def test_the_page_names_every_metric_and_class():
    table = re.findall(r"^\| (`.*?`) \|", TEXT[TEXT.index("## Metrics") :], re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert set(METRICS) <= named
    for name in contract.__all__:
        assert getattr(contract, name).__name__ == name
    page = set(re.findall(r"\b\w+(?:Items|Checker|Dataset)\b", TEXT))
    assert page - {"AccuracyChecker"} <= set(contract.__all__)
    for kind, text in blocks():
        if kind == "python":
            ast.parse(text)
    assert json.loads((ROOT / "workloads/mnist-cnn-onnx-fp32.json").read_text())

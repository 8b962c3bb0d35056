"""The model as its info states it, through a whole run: in compile, runtime, accuracy, audit and
benchmark(), and in a compile result that is taken later.

The format is a vendor's own, so that no package of a framework is needed here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.evaluate.obtaining import with_model
from tests.qs.program import qs, refused
from tests.qs.results import read_result

COMPILER = """
from general_perf.backends import compile_backend

class CompileBackendOWN(compile_backend.CompileBackend):
    def version(self):
        return "1"

    def compile(self, configs, dataloader=None):
        info = configs["model_info"]
        note("compile", info)
        return {"model": info["model"], "compile_precision": "FP32", "compile_status": "success",
                "segments": [{"sg_idx": 0, "is_fallback": False, "compiled_model": [
                    {"compiled_bs": 1, "compiled_obj": info["model_path"]}]}]}
"""
RUNTIME = """
import numpy as np
from general_perf.backends import runtime_backend

class RuntimeBackendOWN(runtime_backend.RuntimeBackend):
    def version(self):
        return "1"

    def load(self, batch_size):
        self.batch_size = batch_size
        note("load", self.model_info)

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, feeds):
        assert list(feeds) == ["b", "a"] and feeds["b"].dtype == np.int32, feeds
        return {"y": feeds["a"] * self.scale()}

    def scale(self):
        return float(open(self.model_info["model_path"]).read())

    def benchmark(self, dataloader):
        note("benchmark", self.model_info)
        return {"BS": self.batch_size, "QPS": 100.0, "AVG Latency": 10.0, "P99 Latency": 11.0}
"""
NOTE = """
from pathlib import Path

def note(where, info):
    with open({file!r}, "a") as file:
        file.write(f"{{where}} {{info['model_path']}} {{info['model_format']}}\\n")
"""
LOADER = """
import numpy as np
from general_perf.datasets import data_loader

class DataLoader(data_loader.Dataset):
    def __init__(self, config):
        super().__init__(config)
        note("data", config)
        self.items = 4

    def preprocess(self):
        pass

    def rebatch(self, new_bs, skip=True):
        self.cur_bs, self.batch_num = new_bs, 4 // new_bs

    def get_samples(self, at):
        values = np.full((self.cur_bs, 2), at, np.float32)
        return {"a": values, "b": np.full((self.cur_bs, 3), at)}, np.zeros(self.cur_bs)
"""
CHECKER = """
from general_perf.datasets import test_accuracy

class AccuracyChecker(test_accuracy.AccuracyChecker):
    def calculate_acc(self, data_percent):
        note("accuracy", self.runtime_backend.model_info)
        feeds, _ = self.dataloader.get_samples(1)
        (answer,) = self.runtime_backend.predict(feeds).values()
        return {"Right": float(answer[0, 0] == 3)}
"""
INFO = {
    "model": "own",
    "model_path": "model_zoo/own.plan",
    "framework": "Pytorch",
    "model_format": "Plan",
    "inputs": "b,a",
    "outputs": "y",
    "input_shape": {"b": [1, 3], "a": [1, 2]},
    "input_type": "INT32,FLOAT32",
    "dataset_name": "own",
    "max_batch_size": 4,
}


@pytest.fixture
def workspace(tmp_path) -> Path:
    note = NOTE.format(file=str(tmp_path / "noted"))
    for name, text in {
        "backends/OWN/compile_backend_own.py": note + COMPILER,
        "backends/OWN/runtime_backend_own.py": note + RUNTIME,
        "datasets/own/data_loader.py": note + LOADER,
        "datasets/own/test_accuracy.py": note + CHECKER,
        "model_zoo/own.json": json.dumps(INFO),
        "model_zoo/own.plan": "3",
        "workloads/own.json": json.dumps(
            {"model": "own", "clients": 1, "iterations": 5, "batch_sizes": [1]}
        ),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(workspace, *options, verb="run"):
    place = ("--workspace", workspace, "--out", workspace / "reports", "--no_input")
    return qs(verb, "own", "-H", "OWN", *place, *options, cwd=workspace)


def noted(workspace):
    file = workspace / "noted"
    lines = [tuple(line.split()) for line in file.read_text().splitlines()]
    file.unlink()
    return lines


def test_a_format_of_a_vendors_own_goes_everywhere_untouched(workspace):
    ran = run(workspace, "--engine", "always")
    assert ran.returncode == 0, ran.stderr
    seen = noted(workspace)
    assert {where for where, *_ in seen} == {"compile", "load", "benchmark", "data", "accuracy"}
    model = str(workspace / "model_zoo" / "own.plan")
    assert {(path, format) for where, path, format in seen} == {(model, "Plan")}
    (file,) = (workspace / "reports" / "OWN" / "own").glob("result-*.json")
    result = read_result(file)
    source = result["Model Source"]
    assert (source["path"], source["format"], source["reference"]) == (model, "Plan", None)
    # no reference can be had: said, and all else is measured and counts
    assert result["Accuracy"]["Right"] == 1.0
    assert result["Performance"][0]["Mode"] == "audit" and result["Status"] == "complete"
    why = "own.plan is Plan, which qs does not convert to ONNX; put an ONNX export of the model at "
    assert why in source["no_reference"] and "own.onnx" in source["no_reference"]
    assert result["Accuracy"]["Numeric"] == {"Not Measured": source["no_reference"]}
    assert "agreement with fp32 not measured: " in ran.stdout + ran.stderr

    taken = run(workspace, "--compiled", workspace / "reports")
    assert taken.returncode == 0, taken.stderr
    assert {(path, format) for where, path, format in noted(workspace)} == {(model, "Plan")}

    refused(run(workspace, verb="numeric"), "there is no reference to compare with", "own.onnx")


def test_a_backend_that_states_formats_it_cannot_get_is_refused_before_its_code_runs(workspace):
    file = workspace / "backends" / "OWN" / "compile_backend_own.py"
    code, place = file.read_text(), "    def version"
    file.write_text(code.replace(place, f'    model_formats = ("onnx", "pt")\n\n{place}', 1))
    refused(
        run(workspace),
        "the backend OWN reads ONNX (.onnx) or TorchScript (.pt): ONNX (.onnx): ",
        "own.plan is Plan, which qs does not convert",
        "own.onnx",
    )
    assert not (workspace / "noted").exists()
    file.write_text(code.replace(place, f"    model_formats = FORMATS\n\n{place}", 1))
    refused(run(workspace), "model_formats", "compile_backend_own.py, line", "a literal")


@pytest.mark.parametrize(
    ("noted_path", "noted_format", "path", "format"),
    [
        ("m.pt", "onnx", "m.pt", "pt"),  # noted before the two agreed
        ("m.plan", "plan", "m.plan", "plan"),
        ("gone.onnx", "onnx", "here.pt", "pt"),  # compiled on another machine
        (None, None, None, None),
    ],
)
def test_a_compile_results_path_and_format_agree(
    tmp_path, monkeypatch, noted_path, noted_format, path, format
):
    class Prepared:
        described = None

    monkeypatch.chdir(tmp_path)
    for name in ("m.pt", "m.plan", "here.pt"):
        Path(name).write_text("x")
    noted_info = {"model_path": noted_path, "model_format": noted_format}
    given = {"model_path": "here.pt", "model_format": "pt"}
    found = with_model(noted_info, given, Prepared())
    assert (found["model_path"], found["model_format"]) == (path, format)

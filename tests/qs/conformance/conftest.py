"""A small task, and vendors' folders for it that are right but for one thing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qs.conformance.checks import CHECKS
from qs.conformance.outcome import Outcome
from qs.conformance.running import run_checks
from qs.conformance.subject import REFERENCE_ITEMS, ReferenceFile, Subject
from qs.environments import Environment
from qs.evaluate.prepare import prepare
from qs.inside.reference import ReferenceService
from qs.settings.request import Request

TASK = "tiny"
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) - 5
COMPILE = """
from qs import CompileBackend

class CompileBackendACME(CompileBackend):
    def version(self):
        return "compiler 1"

    def compile(self, configs, dataloader=None):
        sizes = configs["workload"]["batch_sizes"]
        file = configs["model_info"]["model_path"]
        made = [{"compiled_bs": size, "compiled_obj": file} for size in sizes]
        segment = {"sg_idx": 0, "is_fallback": False, "compiled_model": made}
        return {
            "model": "tiny", "framework": "Onnx", "compile_precision": "FP32",
            "compile_status": "success", "sg_percent": 100, "instance_count": 1,
            "device_count": 1, "segments": [segment],
        }
"""
RUNTIME = """
import ctypes
import os
import sys
import threading
import time

import numpy as np

from qs import RuntimeBackend

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) - 5
KEPT = []

class RuntimeBackendACME(RuntimeBackend):
    def version(self):
        return "runtime 1"

    def load(self, batch_size):
        self.size = batch_size

    def get_loaded_batch_size(self):
        return self.size

    def predict(self, feeds):
        return {"y": feeds["x"] @ WEIGHTS}

    def is_qs_mode_supported(self):
        return True
"""


class Lab:
    """Writes one vendor's folder and runs checks on it, all in one workspace."""

    def __init__(self, root: Path, reference: ReferenceFile) -> None:
        self.root, self.reference = root, reference
        self.folder = root / "backends" / "ACME"
        self.folder.mkdir(parents=True)
        self.model = _task(root)
        self.log = root / "backend.log"

    def write(self, runtime: str = "", compiler: str = "", **files: str) -> None:
        """Methods that replace the right ones, indented like them, and further files."""
        (self.folder / "compile_backend_acme.py").write_text(COMPILE + compiler)
        (self.folder / "runtime_backend_acme.py").write_text(RUNTIME + runtime)
        for name, text in files.items():
            (self.folder / name.replace("__", ".")).write_text(text)

    def run(
        self,
        *names: str,
        limit_s: float | None = 60,
        own_reference: bool = False,
        in_process: bool = False,
    ) -> dict[str, Outcome]:
        """`in_process`: a second faster, for faults that leave the process as it was."""
        prepared = prepare(
            Request(
                task=TASK,
                hardware_type="ACME",
                workspace=self.root,
                out=self.root / "out",
                in_process=in_process,
            )
        )
        environment = Environment(sys.executable, None, False, "")
        reference = None if own_reference else self.reference
        model = str(self.model)
        resolved = {"path": model, "format": "onnx", "reference": model}
        subject = Subject(prepared, resolved, environment, self.log, self.root, reference)
        checks = [next(check for check in CHECKS if check.name == name) for name in names]
        return {
            result.name: result.outcome
            for result in asyncio.run(run_checks(subject, checks, limit_s))
        }


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> ReferenceFile:
    """The tiny task's reference run, made once: in a process of its own it would cost every test a
    second.
    """
    root = tmp_path_factory.mktemp("reference")
    model, path = _task(root), root / "reference.npz"
    info = json.loads((root / "model_zoo" / "tiny.json").read_text())
    about = ReferenceService().reference_outputs(
        str(model), info, None, False, 0, REFERENCE_ITEMS, str(path)
    )
    return ReferenceFile(path, shapes=about["outputs"])


@pytest.fixture
def lab(tmp_path, reference):
    return Lab(tmp_path, reference)


@pytest.fixture(scope="session")
def limit_s(tmp_path_factory, reference) -> float:
    """A limit that loading a backend stays well below, also on a busy machine."""
    lab = Lab(tmp_path_factory.mktemp("right"), reference)
    lab.write()
    begin = time.monotonic()
    lab.run("contract")
    return max(2.5, float(round(4 * (time.monotonic() - begin))))


def _task(root: Path) -> Path:
    """y = x @ WEIGHTS, at batch sizes 1 and 4."""
    from onnx import TensorProto, helper, numpy_helper, save

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = helper.make_graph(
        [node], "tiny", [x], [y], [numpy_helper.from_array(WEIGHTS, "weights")]
    )
    (root / "model_zoo").mkdir()
    (root / "workloads").mkdir()
    path = root / "model_zoo" / "tiny.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    info = {
        "model": "tiny",
        "model_path": "model_zoo/tiny.onnx",
        "framework": "Onnx",
        "framework_version": "1",
        "model_format": "onnx",
        "model_precision": "FP32",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
        "dataset_name": None,
        "max_batch_size": 64,
        "is_quantized": False,
    }
    (root / "model_zoo" / "tiny.json").write_text(json.dumps(info))
    (root / "workloads" / "tiny.json").write_text(
        json.dumps({"model": "tiny", "batch_sizes": [1, 4]})
    )
    return path

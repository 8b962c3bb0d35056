"""What the compiler only guessed or had to cast is said wherever a run is read."""

from __future__ import annotations

import json
from html import unescape

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from tests.qs.program import qs
from tests.qs.results import read_result

TASK = "renamed"
SAID = (
    "input ids feeds the file's x (by position)",
    "input ids is cast from int64 to float32",
    "the file's output y is logits (by position)",
)


@pytest.mark.slow
def test_pairs_by_position_and_casts_are_warnings_of_the_run(tmp_path):
    """Once each in the terminal, in the result and on the page; also of what was compiled
    before.
    """
    _workspace(tmp_path)
    place = ("--workspace", tmp_path, "--hardware_type", "CPU", "--task", TASK, "--no_input")
    first = qs("run", *place, "--out", tmp_path / "a", "--compile_only")
    assert first.returncode == 0, first.stderr
    (made,) = (tmp_path / "a").rglob("compile-*.json")
    ran = qs("run", *place, "--out", tmp_path / "b", "--compiled", made)
    assert ran.returncode == 0, ran.stderr
    (file,) = (tmp_path / "b").rglob("result-*.json")
    page = unescape(file.with_name("report.html").read_text())
    for text in SAID:
        assert first.stderr.count(f"warning: {text}") == 1
        assert ran.stderr.count(f"warning: {text}") == 1
        assert ran.stdout.count(text) == 1
        assert read_result(file)["Warnings"].count(text) == 1
        assert text in page


def _workspace(root):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    weights = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights]
    )
    info = {
        "model": TASK,
        "model_path": f"model_zoo/{TASK}.onnx",
        "framework": "Onnx",
        "model_format": "onnx",
        "model_precision": "FP32",
        "inputs": "ids",
        "outputs": "logits",
        "input_shape": {"ids": [1, 4]},
        "input_type": "INT64",
        "dataset_name": None,
        "max_batch_size": 4,
    }
    workload = {
        "model": TASK,
        "test_accuracy": False,
        "test_numeric": False,
        "iterations": 4,
        "batch_sizes": [1],
    }
    for folder, content in (("model_zoo", info), ("workloads", workload)):
        (root / folder).mkdir()
        (root / folder / f"{TASK}.json").write_text(json.dumps(content))
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    save(model, root / "model_zoo" / f"{TASK}.onnx")

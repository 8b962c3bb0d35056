"""Small ONNX files and the CPU backend's classes, loaded the way the program loads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from qs.inside.loading import load_backend_class

CPU = Path(__file__).resolve().parents[2] / "backends" / "CPU"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def compile_class():
    return load_backend_class(CPU, "CPU", kind="compile")


@pytest.fixture(scope="session")
def runtime_class():
    return load_backend_class(CPU, "CPU", kind="runtime")


def linear_model(
    path, batch="batch", inputs=("x",), outputs=("y",), element=TensorProto.FLOAT, reshape=None
):
    """y = (sum of the inputs, as float) @ w; w is [4, 3] and fixed. `reshape` bakes a batch size
    into the graph.
    """
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
    nodes, terms = [], []
    for name in inputs:
        nodes.append(helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT))
        terms.append(f"{name}_f")
    nodes.append(helper.make_node("Sum", terms, ["total"]))
    constants = [numpy_helper.from_array(weights, "w")]
    total = "total"
    if reshape is not None:
        constants.append(numpy_helper.from_array(np.array([reshape, 4], dtype=np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", [total, "shape"], ["reshaped"]))
        total = "reshaped"
    nodes.append(helper.make_node("MatMul", [total, "w"], [outputs[0]]))
    for name in outputs[1:]:
        nodes.append(helper.make_node("Relu", [outputs[0]], [name]))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, element, [batch, 4]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3]) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return weights


@pytest.fixture
def make_model(tmp_path):
    """make_model(**how) -> (configs, weights) for a linear model in this test's folder."""

    def make(batch_sizes=(1, 4), answers=None, info=None, **how):
        path = tmp_path / "linear.onnx"
        weights = linear_model(path, **how)
        inputs = list(how.get("inputs", ("x",)))
        model_info = {
            "model": "linear",
            "model_path": str(path),
            "framework": "Onnx",
            "model_precision": "FP32",
            "inputs": ",".join(inputs),
            "outputs": ",".join(how.get("outputs", ("y",))),
            "input_shape": {name: [1, 4] for name in inputs},
            "input_type": "FLOAT32",
            "dataset_name": None,
            "max_batch_size": 16,
            **(info or {}),
        }
        workload = {
            "model": "linear",
            "clients": 3,
            "iterations": 50,
            "batch_sizes": list(batch_sizes),
        }
        return {
            "workload": workload,
            "model_info": model_info,
            "interact_info": answers or {},
        }, weights

    return make


@pytest.fixture
def loaded(compile_class, runtime_class):
    """loaded(configs, batch_size) -> a runtime backend that has compiled and loaded that."""

    def load(configs, batch_size=1, **changes):
        runtime = runtime_class()
        runtime.configs = compile_class().compile(configs) | changes
        runtime.workload, runtime.model_info = configs["workload"], configs["model_info"]
        runtime.load(batch_size)
        return runtime

    return load

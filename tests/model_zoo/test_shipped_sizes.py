"""The models that ship state their own sizes: weights counted in their files, operations by the
zoo's own counting.
"""

from __future__ import annotations

import math

import onnx
import pytest

from tests.model_zoo import zoo


@pytest.mark.parametrize(
    "name", ["digits-cnn-onnx-fp32", "adult-widedeep-onnx-fp32", "mnist-cnn-onnx-fp32"]
)
def test_parameters_and_operations(name):
    info = zoo.info(name)
    model = onnx.load(zoo.ROOT / info["model_path"])
    weights = [
        each
        for each in model.graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT and each.dims
    ]
    assert info["parameters"] == sum(math.prod(each.dims) for each in weights)
    assert info["flops"] == zoo.builder("counting").flops(model)


def test_the_int8_models_are_the_fp32_ones():
    for name in ("mnist-cnn", "minilm"):
        fp32, int8 = zoo.info(f"{name}-onnx-fp32"), zoo.info(f"{name}-onnx-int8")
        assert (fp32["parameters"], fp32["flops"]) == (int8["parameters"], int8["flops"])

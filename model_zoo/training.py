"""Shared by the scripts that trained the shipped models: He's initialization, Adam, and writing an
ONNX file. numpy alone.

Not a training library: gradients are written by hand in each script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Parameters = dict[str, np.ndarray]


def he(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """N(0, 2 / inputs), for weights before a ReLU; [out, inputs ...]."""
    return (rng.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))).astype(np.float32)


def cross_entropy_slope(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The gradient of the mean cross entropy by the logits, [n, classes]."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope = odds / odds.sum(axis=1, keepdims=True)
    slope[np.arange(len(labels)), labels] -= 1
    return slope / len(labels)


def fit(
    p: Parameters,
    gradients: Callable[[Parameters, np.ndarray], Parameters],
    rng: np.random.Generator,
    items: int,
    *,
    epochs: int,
    batch: int,
    peak_rate: float,
) -> Parameters:
    """Adam (Kingma, Ba, 2014, arXiv:1412.6980) with a rate that rises for a tenth of the steps and
    falls along a cosine.

    `gradients` gets a batch as the indices of its items.
    """
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    per_epoch = items // batch
    steps, step = epochs * per_epoch, 0
    for _ in range(epochs):
        order = rng.permutation(items)
        for index in range(per_epoch):
            grad = gradients(p, order[index * batch : (index + 1) * batch])
            step += 1
            rate = peak_rate * min(step / (0.1 * steps), 0.5 + 0.5 * np.cos(np.pi * step / steps))
            for name, g in grad.items():
                mean[name] = 0.9 * mean[name] + 0.1 * g
                square[name] = 0.999 * square[name] + 0.001 * g * g
                move = (
                    mean[name]
                    / (1 - 0.9**step)
                    / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8)
                )
                p[name] = (p[name] - rate * move).astype(np.float32)
    return p


def onnx_model(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    output: tuple[str, list[int | str]],
    constants: Parameters,
) -> onnx.ModelProto:
    """Checked, at opset 17. inputs: name -> (type, shape); the output is float32."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [
            helper.make_tensor_value_info(each, kind, shape)
            for each, (kind, shape) in inputs.items()
        ],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, each) for each, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name=name
    )
    onnx.checker.check_model(model)
    return model

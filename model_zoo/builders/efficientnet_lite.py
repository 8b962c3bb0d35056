"""EfficientNet-Lite0 as one ONNX graph of trained weights, batch normalization folded into its convolutions.

Architecture: M. Tan, Q. Le, 2019, "EfficientNet", arXiv:1905.11946, in the Lite0 form of tensorflow/tpu: no squeeze and excitation, ReLU6,
stem and head not scaled. 4,652,008 parameters. Weights carry the names of the PyTorch ports (`_conv_stem.weight`, `_blocks.0._bn1.running_var`).
A builder is one self-contained file over numpy and onnx: its bytes are part of the key it is cached under.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 224
CLASSES = 1000
EPSILON = 1e-3
# repeats, kernel, stride of the first, expansion, channels out
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip


class _Graph:
    """Nodes and parameters as they are added; `side` is the current height and width."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {
            "zero": np.asarray(0, np.float32),
            "six": np.asarray(6, np.float32),
        }
        self.side = SIZE

    def add(self, op: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def convolve(self, name: str, norm: str, x: str, *, stride: int = 1, depthwise: bool = False) -> str:
        """Convolution and its batch normalization as one, padded as TensorFlow's SAME: what is odd goes to the end."""
        weight = self.weights[f"{name}.weight"]
        scale, shift, mean, var = (
            self.weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(var + EPSILON)
        self.constants[f"{name}.weight"] = (weight * factor[:, None, None, None]).astype(np.float32)
        self.constants[f"{name}.bias"] = (shift - mean * factor).astype(np.float32)
        kernel = weight.shape[-1]
        out = -(-self.side // stride)
        padding = max(0, (out - 1) * stride + kernel - self.side)
        begin, end = padding // 2, padding - padding // 2
        self.side = out
        return self.add("Conv", name, x, f"{name}.weight", f"{name}.bias", kernel_shape=[kernel, kernel], strides=[stride, stride],
                        pads=[begin, begin, end, end], group=len(weight) if depthwise else 1)  # fmt: skip

    def relu6(self, x: str) -> str:
        return self.add("Clip", f"{x}/ReLU6", x, "zero", "six")


def _block(graph: _Graph, block: str, x: str, *, stride: int, expansion: int, residual: bool) -> str:
    inner = x
    if expansion > 1:
        inner = graph.relu6(graph.convolve(f"{block}._expand_conv", f"{block}._bn0", x))
    inner = graph.relu6(
        graph.convolve(f"{block}._depthwise_conv", f"{block}._bn1", inner, stride=stride, depthwise=True)
    )
    out = graph.convolve(f"{block}._project_conv", f"{block}._bn2", inner)
    return graph.add("Add", f"{block}/Add", out, x) if residual else out


def build_efficientnet_lite0(
    path: Path, seed: int, *, weights: Mapping[str, np.ndarray], input: str, output: str
) -> None:
    """Write the model to `path`: `input` float32 [batch, 3, 224, 224], RGB, (value - 127) / 128; `output` probabilities [batch, 1000].

    KeyError for a weight that is missing. `seed` is not used: the weights are trained.
    """
    graph = _Graph(weights)
    x = graph.relu6(graph.convolve("_conv_stem", "_bn0", input, stride=2))
    number, channels = 0, 32
    for repeats, _, first_stride, expansion, out in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            residual = stride == 1 and channels == out
            x = _block(graph, f"_blocks.{number}", x, stride=stride, expansion=expansion, residual=residual)
            number, channels = number + 1, out
    x = graph.relu6(graph.convolve("_conv_head", "_bn1", x))
    x = graph.add("Flatten", "flat", graph.add("GlobalAveragePool", "pool", x))
    graph.constants |= {name: np.asarray(weights[name], np.float32) for name in ("_fc.weight", "_fc.bias")}
    x = graph.add("Gemm", "_fc", x, "_fc.weight", "_fc.bias", transB=1)
    graph.nodes.append(helper.make_node("Softmax", [x], [output], name="softmax", axis=-1))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet_lite0",
            [helper.make_tensor_value_info(input, TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", CLASSES])],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="efficientnet_lite0",
    )
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))

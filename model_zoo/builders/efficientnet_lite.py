"""EfficientNet-Lite0 from trained weights, batch normalization folded into its convolutions.

M. Tan, Q. Le, 2019, "EfficientNet", arXiv:1905.11946, in the Lite0 form of tensorflow/tpu: no
squeeze and excitation, ReLU6, stem and head not scaled. 4,652,008 parameters. Weights have the
names of the PyTorch ports (`_conv_stem.weight`, `_blocks.0._bn1.running_var`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .graph import Graph

SIZE = 224
CLASSES = 1000
EPSILON = 1e-3
# repeats, kernel, stride of the first, expansion, channels out
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


class _Network:
    """The graph; `side`: the current height and width; `norms`: convolution -> the normalization
    that is folded into it.
    """

    def __init__(self) -> None:
        self.graph = Graph("efficientnet_lite0")
        self.side = SIZE
        self.norms: dict[str, str] = {}

    def convolve(
        self,
        name: str,
        norm: str,
        x: str,
        into: int,
        out: int,
        size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Padded like TensorFlow's SAME: an odd element goes to the end."""
        self.norms[name] = norm
        made = -(-self.side // stride)
        padding = max(0, (made - 1) * stride + size - self.side)
        begin, end = padding // 2, padding - padding // 2
        self.side = made
        return self.graph.conv(
            name, x, into, out, size, stride, pads=[begin, begin, end, end], groups=groups
        )

    def relu6(self, x: str) -> str:
        return self.graph.op("Clip", x, self.graph.number(0.0), self.graph.number(6.0))

    def block(
        self, name: str, x: str, into: int, out: int, size: int, stride: int, expansion: int
    ) -> str:
        inner, wide = x, into * expansion
        if expansion > 1:
            inner = self.relu6(self.convolve(f"{name}._expand_conv", f"{name}._bn0", x, into, wide))
        inner = self.convolve(
            f"{name}._depthwise_conv", f"{name}._bn1", inner, wide, wide, size, stride, groups=wide
        )
        made = self.convolve(f"{name}._project_conv", f"{name}._bn2", self.relu6(inner), wide, out)
        return self.graph.op("Add", made, x) if stride == 1 and into == out else made


def build_efficientnet_lite0(
    path: Path, seed: int, *, weights: Mapping[str, np.ndarray], input: str, output: str
) -> None:
    """Write the model to `path`: `input` float32 [batch, 3, 224, 224], RGB, (value - 127) / 128;
    `output` probabilities [batch, 1000].

    ValueError for a weight that is missing or of the wrong shape. `seed` is not used: the weights
    are trained.
    """
    net = _Network()
    graph = net.graph
    x = graph.input(input, ["batch", 3, SIZE, SIZE])
    x = net.relu6(net.convolve("_conv_stem", "_bn0", x, 3, STEM, 3, 2))
    number, into = 0, STEM
    for repeats, size, first_stride, expansion, out in STAGES:
        for repeat in range(repeats):
            x = net.block(
                f"_blocks.{number}", x, into, out, size, 1 if repeat else first_stride, expansion
            )
            number, into = number + 1, out
    x = net.relu6(net.convolve("_conv_head", "_bn1", x, into, HEAD))
    x = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    x = graph.op(
        "Gemm",
        x,
        graph.parameter("_fc.weight", (CLASSES, HEAD)),
        graph.parameter("_fc.bias", (CLASSES,)),
        transB=1,
    )
    graph.output(output, graph.op("Softmax", x, axis=-1), ["batch", CLASSES])
    graph.write(path, seed, _folded(weights, net.norms))


def _folded(weights: Mapping[str, np.ndarray], norms: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Fold the scale and shift of every normalization into its convolution."""
    made = {name: value for name, value in weights.items() if name.startswith("_fc.")}
    for name, norm in norms.items():
        scale, shift, mean, var = (
            weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(var + EPSILON)
        made[f"{name}.weight"] = weights[f"{name}.weight"] * factor[:, None, None, None]
        made[f"{name}.bias"] = shift - mean * factor
    return made

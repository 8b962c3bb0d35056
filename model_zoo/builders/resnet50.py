"""ResNet-50 v1.5 for 1000 classes as one ONNX graph with seeded weights.

`build_resnet50` is what a `build` source names. Its weights know nothing: they serve speed and numeric
agreement, never accuracy. In: float32 [batch, 3, 224, 224], batch free. Out: float32 [batch, 1000], softmax.

Architecture: He et al., 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1, with
the stride of a block in its 3x3 convolution (v1.5) as in torchvision's `resnet50`, whose parameter names and
shapes these are. Batch normalization stays a node of its own, as in the published model: runtimes fold it.
Left out: training, and the resizing and normalizing of images.
A builder is one self-contained file over numpy and onnx: its bytes are part of the key it is cached under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # the one of opset 17: older runtimes refuse newer files
EXPANSION = 4  # a bottleneck's last convolution has this many times the channels of its first
BATCH_NORM_EPS = 1e-5
# What a block adds is small beside what passes it by, so that the sum over 16 blocks stays of order 1.
LAST_GAMMA = 0.25
# Pooling averages most of the differences between images away; this variance gain of the last layer gives
# logits a deviation of 1 to 3 for images of variance 1: answers that differ visibly and are not saturated.
LOGIT_GAIN = 500.0


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the network; the defaults are ResNet-50 at the published resolution."""

    blocks: Sequence[int] = (3, 4, 6, 3)
    width: int = 64
    classes: int = 1000
    image: int = 224


class _Network:
    """Nodes and parameters as they are added. Every method returns the name of the tensor that it made."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: dict[str, np.ndarray] = {}

    def add(self, op: str, name: str, *inputs: str, output: str = "", **attributes: object) -> str:
        made = output or name
        self.nodes.append(helper.make_node(op, list(inputs), [made], name=name, **attributes))
        return made

    def normal(self, name: str, shape: tuple[int, ...], gain: float) -> None:
        """N(0, gain / fan-in), each filter shifted to mean 0.

        The shift keeps what all images have in common after a ReLU, a positive mean, from passing through:
        without it every image gets nearly the same answer. A parameter has a random stream of its own.
        """
        stream = np.random.default_rng([self.seed, len(self.parameters)])
        values = stream.standard_normal(shape, dtype=np.float32)
        inner = tuple(range(1, len(shape)))
        values -= values.mean(axis=inner, keepdims=True)
        values *= np.float32(np.sqrt(gain / np.prod(shape[1:])))
        self.parameters[name] = values

    def conv(self, name: str, x: str, into: int, out: int, size: int, stride: int = 1) -> str:
        self.normal(f"{name}.weight", (out, into, size, size), gain=2.0)  # He: a ReLU follows
        pads, sizes = [size // 2] * 4, [size, size]
        weight = f"{name}.weight"
        return self.add("Conv", f"{name}/Conv", x, weight, kernel_shape=sizes, strides=[stride] * 2, pads=pads)

    def norm(self, name: str, x: str, channels: int, gamma: float = 1.0) -> str:
        initial = {"weight": gamma, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        parts = [f"{name}.{part}" for part in initial]
        for part, value in zip(parts, initial.values(), strict=True):
            self.parameters[part] = np.full(channels, value, np.float32)
        return self.add("BatchNormalization", f"{name}/BatchNorm", x, *parts, epsilon=BATCH_NORM_EPS)

    def relu(self, name: str, x: str) -> str:
        return self.add("Relu", f"{name}/Relu", x)

    def bottleneck(self, name: str, x: str, into: int, width: int, stride: int) -> str:
        """[batch, into, h, w] -> [batch, 4 width, h / stride, w / stride]."""
        out = width * EXPANSION
        y = self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x, into, width, 1), width)
        y = self.relu(f"{name}.relu1", y)
        y = self.norm(f"{name}.bn2", self.conv(f"{name}.conv2", y, width, width, 3, stride), width)
        y = self.relu(f"{name}.relu2", y)
        y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", y, width, out, 1), out, LAST_GAMMA)
        if stride != 1 or into != out:
            x = self.conv(f"{name}.downsample.0", x, into, out, 1, stride)
            x = self.norm(f"{name}.downsample.1", x, out)
        return self.relu(name, self.add("Add", f"{name}/Add", y, x))


def trainable_parameters(model: onnx.ModelProto) -> int:
    """How many numbers training changes: weights, gamma and beta, not the running mean and variance."""
    return sum(
        int(np.prod(tensor.dims))
        for tensor in model.graph.initializer
        if not tensor.name.endswith((".running_mean", ".running_var"))
    )


def resnet_model(config: ResNetConfig, seed: int, input_name: str, output_name: str) -> onnx.ModelProto:
    """The whole model: float32 [batch, 3, image, image] -> softmax, float32 [batch, classes]."""
    net = _Network(seed)
    x = net.relu("relu", net.norm("bn1", net.conv("conv1", input_name, 3, config.width, 7, 2), config.width))
    x = net.add("MaxPool", "maxpool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = config.width
    for stage, count in enumerate(config.blocks):
        width = config.width << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            x = net.bottleneck(f"layer{stage + 1}.{block}", x, channels, width, stride)
            channels = width * EXPANSION
    x = net.add("Flatten", "flatten", net.add("GlobalAveragePool", "avgpool", x), axis=1)
    net.normal("fc.weight", (config.classes, channels), gain=LOGIT_GAIN)
    net.parameters["fc.bias"] = np.zeros(config.classes, np.float32)
    logits = net.add("Gemm", "fc", x, "fc.weight", "fc.bias", transB=1)
    net.add("Softmax", "softmax", logits, output=output_name, axis=-1)

    image = ["batch", 3, config.image, config.image]
    graph = helper.make_graph(
        net.nodes,
        "resnet",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["batch", config.classes])],
        [numpy_helper.from_array(value, name) for name, value in net.parameters.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="resnet50.py")


def build_resnet50(path: Path, seed: int, *, inputs: Sequence[str], outputs: Sequence[str], **sizes: object) -> None:
    """Write a ResNet ONNX model with seeded weights to `path`. `sizes` are fields of ResNetConfig."""
    (input_name,), (output_name,) = inputs, outputs
    model = resnet_model(ResNetConfig(**sizes), seed, input_name, output_name)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))

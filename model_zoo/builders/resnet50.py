"""ResNet-50 v1.5 for 1000 classes, or in TensorFlow's form: images with channels last, 1001 classes
of which the first is the background.

He et al., 2015, arXiv:1512.03385, table 1, with the stride of a block in its 3x3 convolution
(v1.5); names and shapes as torchvision's `resnet50`. Batch normalization stays a node of its own,
as in the published model: runtimes fold it. Left out: the resizing and normalizing of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .graph import Graph

EXPANSION = 4  # a bottleneck's last convolution has this many times the channels of its first
# A block adds little to what bypasses it, so that the sum over 16 blocks stays of order
# 1.
LAST_GAMMA = 0.25
# Pooling averages most of the differences between images away; this variance gain of the last layer
# gives logits a deviation of 1 to 3 for images of variance 1: answers that differ visibly and are
# not saturated.
LOGIT_GAIN = 500.0


def resnet_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    blocks: Sequence[int] = (3, 4, 6, 3),
    width: int = 64,
    classes: int = 1000,
    image: int = 224,
    channels_last: bool = False,
) -> Graph:
    """In: float32 [batch, 3, image, image]. Out: probabilities, [batch, classes]."""
    graph = Graph("resnet")
    shape = [image, image, 3] if channels_last else [3, image, image]
    x = graph.input(inputs[0], ["batch", *shape])
    if channels_last:
        x = graph.transpose(x, 0, 3, 1, 2)
    x = _convolution(graph, "conv1", "bn1", x, 3, width, 7, 2)
    x = graph.op(
        "MaxPool", graph.op("Relu", x), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
    )
    into = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage and not block else 1
            x = _bottleneck(graph, f"layer{stage + 1}.{block}", x, into, width << stage, stride)
            into = (width << stage) * EXPANSION
    x = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    weight = graph.parameter("fc.weight", (classes, into), (LOGIT_GAIN / into) ** 0.5, centred=True)
    logits = graph.op("Gemm", x, weight, graph.parameter("fc.bias", (classes,), 0.0), transB=1)
    graph.output(outputs[0], graph.op("Softmax", logits, axis=-1), ["batch", classes])
    return graph


def _convolution(
    graph: Graph,
    name: str,
    norm: str,
    x: str,
    into: int,
    out: int,
    size: int = 1,
    stride: int = 1,
    gamma: float = 1.0,
) -> str:
    x = graph.conv(name, x, into, out, size, stride, bias=False, gain=2.0)  # He: a ReLU follows
    return graph.batch_norm(norm, x, out, gamma=gamma)


def _bottleneck(graph: Graph, name: str, x: str, into: int, width: int, stride: int) -> str:
    """[batch, into, h, w] -> [batch, 4 width, h / stride, w / stride]."""
    out = width * EXPANSION
    y = graph.op("Relu", _convolution(graph, f"{name}.conv1", f"{name}.bn1", x, into, width))
    y = graph.op(
        "Relu", _convolution(graph, f"{name}.conv2", f"{name}.bn2", y, width, width, 3, stride)
    )
    y = _convolution(graph, f"{name}.conv3", f"{name}.bn3", y, width, out, gamma=LAST_GAMMA)
    if stride != 1 or into != out:
        x = _convolution(
            graph, f"{name}.downsample.0", f"{name}.downsample.1", x, into, out, 1, stride
        )
    return graph.op("Relu", graph.op("Add", y, x))


def build_resnet50(path: Path, seed: int, **how: object) -> None:
    resnet_graph(**how).write(path, seed)

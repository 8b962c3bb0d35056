"""YOLOv5 (v6.0): a detector with its three grids of raw predictions, and the decoded list of all of
them.

Sizes of ultralytics' yolov5s, batch normalization folded into the convolutions, as its exports have
it. Written from the published description of the network: CSP blocks, spatial pyramid pooling, and
a path that goes up and down again. In: float32 [batch, 3, 640, 640]. Out: [batch, 25200, 85] boxes,
then [batch, 3, side, side, 85] at strides 8, 16 and 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import FLOAT, Graph

# raw predictions with a deviation of 1: SiLU, residual sums and pooling taken together, found by
# trial
GAIN = 2.5
PIXEL_GAIN = 12.0  # pixels in [0, 1) have a variance of 1 / 12
ANCHORS = {
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}


def _conv(
    graph: Graph, name: str, x: str, into: int, out: int, size: int = 1, stride: int = 1
) -> str:
    return graph.silu(graph.conv(f"{name}.conv", x, into, out, size, stride, gain=GAIN))


def _csp(graph: Graph, name: str, x: str, into: int, out: int, depth: int, add: bool = True) -> str:
    half = out // 2
    y = _conv(graph, f"{name}.cv1", x, into, half)
    for index in range(depth):
        inner = _conv(
            graph,
            f"{name}.m.{index}.cv2",
            _conv(graph, f"{name}.m.{index}.cv1", y, half, half),
            half,
            half,
            3,
        )
        y = graph.op("Add", y, inner) if add else inner
    y = graph.op("Concat", y, _conv(graph, f"{name}.cv2", x, into, half), axis=1)
    return _conv(graph, f"{name}.cv3", y, out, out)


def _pyramid(graph: Graph, name: str, x: str, width: int) -> str:
    parts = [_conv(graph, f"{name}.cv1", x, width, width // 2)]
    for _ in range(3):
        parts.append(
            graph.op("MaxPool", parts[-1], kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1])
        )
    return _conv(graph, f"{name}.cv2", graph.op("Concat", *parts, axis=1), 2 * width, width)


def _enlarged(graph: Graph, x: str) -> str:
    scales = graph.constant(np.asarray([1, 1, 2, 2], np.float32))
    return graph.op(
        "Resize",
        x,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def yolov5_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    image: int = 640,
    width: int = 32,
    depth: int = 1,
    classes: int = 80,
) -> Graph:
    """width, depth: of the first layer and of a CSP block at its smallest; 32 and 1 are yolov5s."""
    graph = Graph("yolov5")
    x = graph.input(inputs[0], ["batch", 3, image, image], FLOAT)
    w2, w4, w8, w16 = (width * times for times in (2, 4, 8, 16))
    x = graph.silu(
        graph.conv("model.0.conv", x, 3, width, 6, 2, pads=[2] * 4, gain=GAIN * PIXEL_GAIN)
    )
    x = _csp(graph, "model.2", _conv(graph, "model.1", x, width, w2, 3, 2), w2, w2, depth)
    fine = _csp(graph, "model.4", _conv(graph, "model.3", x, w2, w4, 3, 2), w4, w4, 2 * depth)
    middle = _csp(graph, "model.6", _conv(graph, "model.5", fine, w4, w8, 3, 2), w8, w8, 3 * depth)
    x = _csp(graph, "model.8", _conv(graph, "model.7", middle, w8, w16, 3, 2), w16, w16, depth)
    x = _pyramid(graph, "model.9", x, w16)

    top = _conv(graph, "model.10", x, w16, w8)
    x = graph.op("Concat", _enlarged(graph, top), middle, axis=1)
    between = _conv(
        graph, "model.14", _csp(graph, "model.13", x, w16, w8, depth, add=False), w8, w4
    )
    x = graph.op("Concat", _enlarged(graph, between), fine, axis=1)
    small = _csp(graph, "model.17", x, w8, w4, depth, add=False)
    x = graph.op("Concat", _conv(graph, "model.18", small, w4, w4, 3, 2), between, axis=1)
    medium = _csp(graph, "model.20", x, w8, w8, depth, add=False)
    x = graph.op("Concat", _conv(graph, "model.21", medium, w8, w8, 3, 2), top, axis=1)
    large = _csp(graph, "model.23", x, w16, w16, depth, add=False)

    boxes = []
    for level, (stride, x, into) in enumerate(((8, small, w4), (16, medium, w8), (32, large, w16))):
        side, values = image // stride, classes + 5
        x = graph.conv(f"model.24.m.{level}", x, into, 3 * values, 1, gain=GAIN)
        raw = graph.transpose(graph.reshape(x, [0, 3, values, side, side]), 0, 1, 3, 4, 2)
        graph.output(outputs[1 + level], raw, ["batch", 3, side, side, values])
        boxes.append(
            graph.reshape(_decoded(graph, raw, side, stride, values), [0, 3 * side * side, values])
        )
    cells = 3 * sum((image // stride) ** 2 for stride in ANCHORS)
    graph.output(outputs[0], graph.op("Concat", *boxes, axis=1), ["batch", cells, classes + 5])
    graph.outputs.insert(0, graph.outputs.pop())
    return graph


def _decoded(graph: Graph, raw: str, side: int, stride: int, values: int) -> str:
    """Centre (2 s - 0.5 + cell) * stride, size (2 s)^2 * anchor, the rest s, of s =
    sigmoid(raw).
    """
    cells = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)[None, None].astype(
        np.float32
    )
    anchors = np.asarray(ANCHORS[stride], np.float32).reshape(1, 3, 1, 1, 2)
    s = graph.op("Sigmoid", raw)
    doubled = graph.op("Mul", graph.slice(s, 4, 0, 4), graph.number(2.0))
    centre = graph.op("Add", graph.slice(doubled, 4, 0, 2), graph.constant(cells - np.float32(0.5)))
    centre = graph.op("Mul", centre, graph.number(stride))
    size = graph.slice(doubled, 4, 2, 4)
    size = graph.op("Mul", graph.op("Mul", size, size), graph.constant(anchors))
    return graph.op("Concat", centre, size, graph.slice(s, 4, 4, values), axis=-1)


def build_yolov5(path: Path, seed: int, **how: object) -> None:
    yolov5_graph(**how).write(path, seed)

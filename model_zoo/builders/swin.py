"""Swin Transformer for 1000 classes: attention within windows that are shifted in every other
layer.

Liu et al., 2021, arXiv:2103.14030; names and shapes as `transformers.SwinForImageClassification`,
sizes of swin-large-patch4-window12-384. In: float32 [batch, 3, image, image]. Out: logits, [batch,
classes].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import FLOAT, Graph

EPS = 1e-5
PATCH = 4
HEAD_STD = 0.1  # logits that tell images apart; the published initial value makes them nearly alike


def swin_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    image: int = 384,
    width: int = 192,
    depths: Sequence[int] = (2, 2, 18, 2),
    heads: Sequence[int] = (6, 12, 24, 48),
    window: int = 12,
    classes: int = 1000,
) -> Graph:
    graph = Graph("swin")
    x = graph.input(inputs[0], ["batch", 3, image, image], FLOAT)
    x = graph.conv(
        "swin.embeddings.patch_embeddings.projection", x, 3, width, PATCH, PATCH, pads=[0] * 4
    )
    side = image // PATCH
    x = graph.transpose(graph.reshape(x, [0, width, side * side]), 0, 2, 1)
    x = graph.layer_norm("swin.embeddings.norm", x, width, EPS)
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        for index in range(depth):
            name = f"swin.encoder.layers.{stage}.blocks.{index}"
            fitting = min(window, side)
            shift = fitting // 2 if index % 2 and side > window else 0
            x = _block(graph, name, x, side, width, count, fitting, shift)
        if stage < len(depths) - 1:
            x = _merged(graph, f"swin.encoder.layers.{stage}.downsample", x, side, width)
            side, width = side // 2, width * 2
    x = graph.layer_norm("swin.layernorm", x, width, EPS)
    pooled = graph.op("ReduceMean", x, axes=[1], keepdims=0)
    graph.output(
        outputs[0],
        graph.linear("classifier", pooled, width, classes, std=HEAD_STD),
        ["batch", classes],
    )
    return graph


def _block(
    graph: Graph, name: str, x: str, side: int, width: int, heads: int, window: int, shift: int
) -> str:
    inner = graph.layer_norm(f"{name}.layernorm_before", x, width, EPS)
    inner = graph.reshape(inner, [-1, side, side, width])
    inner = _rolled(graph, inner, side, shift)
    across = side // window
    inner = graph.reshape(inner, [-1, across, window, across, window, width])
    inner = graph.reshape(graph.transpose(inner, 0, 1, 3, 2, 4, 5), [-1, window * window, width])
    inner = _attention(graph, f"{name}.attention", inner, side, width, heads, window, shift)
    inner = graph.reshape(inner, [-1, across, across, window, window, width])
    inner = graph.reshape(graph.transpose(inner, 0, 1, 3, 2, 4, 5), [-1, side, side, width])
    inner = _rolled(graph, inner, side, -shift)
    x = graph.op("Add", x, graph.reshape(inner, [-1, side * side, width]))
    inner = graph.layer_norm(f"{name}.layernorm_after", x, width, EPS)
    inner = graph.gelu(graph.linear(f"{name}.intermediate.dense", inner, width, 4 * width))
    return graph.op("Add", x, graph.linear(f"{name}.output.dense", inner, 4 * width, width))


def _attention(
    graph: Graph, name: str, x: str, side: int, width: int, heads: int, window: int, shift: int
) -> str:
    """[windows, window^2, width]; a bias for each relative position, and no attention across an
    edge created by shifting.
    """
    size, places = width // heads, window * window
    parts = [
        graph.linear(f"{name}.self.{each}", x, width, width) for each in ("query", "key", "value")
    ]
    query, key, value = (graph.heads(part, heads, size) for part in parts)
    at = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij")).reshape(2, -1)
    apart = at[:, :, None] - at[:, None] + window - 1
    index = graph.ints(apart[0] * (2 * window - 1) + apart[1])
    table = graph.parameter(
        f"{name}.self.relative_position_bias_table", ((2 * window - 1) ** 2, heads)
    )
    bias = graph.transpose(graph.op("Gather", table, index), 2, 0, 1)
    query = graph.op("Mul", query, graph.number(size**-0.5))
    scores = graph.op("Add", graph.op("MatMul", query, graph.transpose(key, 0, 1, 3, 2)), bias)
    if shift:
        windows = (side // window) ** 2
        mask = graph.constant(_edges(side, window, shift).reshape(windows, 1, places, places))
        scores = graph.op("Add", graph.reshape(scores, [-1, windows, heads, places, places]), mask)
        scores = graph.reshape(scores, [-1, heads, places, places])
    mixed = graph.joined(graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value))
    return graph.linear(f"{name}.output.dense", mixed, width, width)


def _edges(side: int, window: int, shift: int) -> np.ndarray:
    """[windows, window^2, window^2]: 0 within one part of the image, -100 across parts joined
    by shifting.
    """
    strips = np.zeros(side, np.int64)
    strips[side - window : side - shift], strips[side - shift :] = 1, 2
    parts = strips[:, None] * 3 + strips[None]
    across = side // window
    parts = (
        parts.reshape(across, window, across, window)
        .transpose(0, 2, 1, 3)
        .reshape(across * across, -1)
    )
    return np.where(parts[:, :, None] == parts[:, None], 0.0, -100.0).astype(np.float32)


def _rolled(graph: Graph, x: str, side: int, shift: int) -> str:
    """[batch, side, side, width], moved up and left by `shift` around the edges."""
    cut = shift % side
    for axis in (1, 2) if cut else ():
        x = graph.op(
            "Concat", graph.slice(x, axis, cut, side), graph.slice(x, axis, 0, cut), axis=axis
        )
    return x


def _merged(graph: Graph, name: str, x: str, side: int, width: int) -> str:
    """Each 2 by 2 patches become one of twice the width."""
    x = graph.reshape(x, [-1, side, side, width])
    corners = [
        graph.slice(graph.slice(x, 1, row, side, 2), 2, column, side, 2)
        for column in (0, 1)
        for row in (0, 1)
    ]
    x = graph.reshape(graph.op("Concat", *corners, axis=-1), [-1, side * side // 4, 4 * width])
    return graph.linear(
        f"{name}.reduction",
        graph.layer_norm(f"{name}.norm", x, 4 * width, EPS),
        4 * width,
        2 * width,
        bias=False,
    )


def build_swin(path: Path, seed: int, **how: object) -> None:
    swin_graph(**how).write(path, seed)

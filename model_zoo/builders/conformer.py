"""A Conformer encoder for lines of text or speech: convolution for near, attention with
relative positions for far context.

Gulati et al., 2020, arXiv:2005.08100; sizes of its medium model (16 layers of 256, 4 heads, kernel
31). Names and shapes of a layer are those of `transformers`' Wav2Vec2Conformer with relative
positions. In: float32 [batch, 3, 64, 512], which two convolutions shorten to a fourth, and a bool
[batch, 128] that is true at padding. Out: [batch, 128, 256].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import BOOL, FLOAT, MASKED_SCORE, Graph

EPS = 1e-5


def conformer_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    height: int = 64,
    steps: int = 512,
    layers: int = 16,
    hidden: int = 256,
    heads: int = 4,
    kernel: int = 31,
) -> Graph:
    graph = Graph("conformer")
    length = steps // 4
    x = graph.input(inputs[0], ["batch", 3, height, steps], FLOAT)
    padding = graph.input(inputs[1], ["batch", length], BOOL)
    x = graph.op("Relu", graph.conv("subsampling.0", x, 3, hidden, 3, 2, gain=2.0))
    x = graph.op("Relu", graph.conv("subsampling.1", x, hidden, hidden, 3, 2, gain=2.0))
    flat = hidden * height // 4
    x = graph.reshape(graph.transpose(x, 0, 3, 1, 2), [0, length, flat])
    x = _linear(graph, "subsampling.projection", x, flat, hidden)
    silenced = graph.op("Mul", graph.op("Cast", padding, to=FLOAT), graph.number(MASKED_SCORE))
    mask = graph.op("Unsqueeze", silenced, graph.ints([1, 2]))
    places = graph.constant(_places(length, hidden))
    kept = graph.op(
        "Unsqueeze", graph.op("Cast", graph.op("Not", padding), to=FLOAT), graph.ints([2])
    )
    for index in range(layers):
        x = _layer(graph, f"layers.{index}", x, places, mask, kept, hidden, heads, kernel, length)
    graph.output(outputs[0], x, ["batch", length, hidden])
    return graph


def _linear(graph: Graph, name: str, x: str, into: int, out: int, bias: bool = True) -> str:
    return graph.linear(name, x, into, out, bias, std=into**-0.5)


def _places(length: int, hidden: int) -> np.ndarray:
    """[2 length - 1, hidden]: sines (even) and cosines (odd) of the distances length - 1 down to 1
    - length.
    """
    distance = np.arange(length - 1, -length, -1)[:, None]
    angle = distance * np.exp(np.arange(0, hidden, 2) * (-math.log(10000.0) / hidden))
    return (
        np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        .reshape(2 * length - 1, hidden)
        .astype(np.float32)
    )


def _layer(
    graph: Graph,
    name: str,
    x: str,
    places: str,
    mask: str,
    kept: str,
    hidden: int,
    heads: int,
    kernel: int,
    n: int,
) -> str:
    x = _half(graph, f"{name}.ffn1", x, hidden)
    inner = graph.layer_norm(f"{name}.self_attn_layer_norm", x, hidden, EPS)
    x = graph.op(
        "Add", x, _attention(graph, f"{name}.self_attn", inner, places, mask, hidden, heads, n)
    )
    x = graph.op("Add", x, _convolution(graph, f"{name}.conv_module", x, kept, hidden, kernel))
    x = _half(graph, f"{name}.ffn2", x, hidden)
    return graph.layer_norm(f"{name}.final_layer_norm", x, hidden, EPS)


def _half(graph: Graph, name: str, x: str, hidden: int) -> str:
    """A feed-forward part, of which half is added."""
    inner = graph.layer_norm(f"{name}_layer_norm", x, hidden, EPS)
    inner = graph.silu(_linear(graph, f"{name}.intermediate_dense", inner, hidden, 4 * hidden))
    inner = _linear(graph, f"{name}.output_dense", inner, 4 * hidden, hidden)
    return graph.op("Add", x, graph.op("Mul", inner, graph.number(0.5)))


def _attention(
    graph: Graph, name: str, x: str, places: str, mask: str, hidden: int, heads: int, n: int
) -> str:
    """(query + u) . key + (query + v) . position, as in Transformer-XL."""
    size = hidden // heads
    query, key, value = (
        graph.heads(_linear(graph, f"{name}.linear_{each}", x, hidden, hidden), heads, size)
        for each in "qkv"
    )
    place = _linear(graph, f"{name}.linear_pos", places, hidden, hidden, bias=False)
    place = graph.transpose(graph.reshape(place, [-1, heads, size]), 1, 2, 0)
    u, v = (graph.parameter(f"{name}.pos_bias_{each}", (heads, size), 0.1) for each in "uv")
    to_key, to_place = (
        graph.op("Add", query, graph.reshape(each, [heads, 1, size])) for each in (u, v)
    )
    by_distance = graph.reshape(graph.op("MatMul", to_place, place), [0, heads, n * (2 * n - 1)])
    row, column = np.arange(n)[:, None], np.arange(n)[None]
    index = graph.ints(
        row * (2 * n - 1) + n - 1 - row + column
    )  # row q, distance q - k, stored from n - 1 downwards
    scores = graph.op(
        "Mul", graph.op("Gather", by_distance, index, axis=2), graph.number(size**-0.5)
    )
    mixed = graph.attend(to_key, key, value, size, [scores, mask])
    return _linear(graph, f"{name}.linear_out", mixed, hidden, hidden)


def _convolution(graph: Graph, name: str, x: str, kept: str, hidden: int, kernel: int) -> str:
    """Gate, depthwise convolution over time, batch normalization, SiLU. Padding is zeroed before
    the convolution.
    """
    x = graph.op("Mul", graph.layer_norm(f"{name}.layer_norm", x, hidden, EPS), kept)
    x = graph.transpose(x, 0, 2, 1)
    x = _along(graph, f"{name}.pointwise_conv1", x, hidden, 2 * hidden)
    first, gate = graph.split(x, 2, hidden, axis=1)
    x = graph.op("Mul", first, graph.op("Sigmoid", gate))
    weight = graph.parameter(
        f"{name}.depthwise_conv.weight", (hidden, 1, kernel), (2.0 / kernel) ** 0.5
    )
    x = graph.op("Conv", x, weight, kernel_shape=[kernel], pads=[kernel // 2] * 2, group=hidden)
    x = graph.silu(graph.batch_norm(f"{name}.batch_norm", x, hidden, eps=EPS))
    return graph.transpose(_along(graph, f"{name}.pointwise_conv2", x, hidden, hidden), 0, 2, 1)


def _along(graph: Graph, name: str, x: str, into: int, out: int) -> str:
    weight = graph.parameter(f"{name}.weight", (out, into, 1), (1.0 / into) ** 0.5)
    return graph.op("Conv", x, weight, kernel_shape=[1])


def build_conformer(path: Path, seed: int, **how: object) -> None:
    conformer_graph(**how).write(path, seed)

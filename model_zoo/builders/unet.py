"""A denoising UNet of Stable Diffusion's kind, conditioned on a text's hidden states and a time
step.

Rombach et al., 2021, arXiv:2112.10752; names, shapes and sizes as `diffusers.UNet2DConditionModel`
has them by default, except for the text's width: that is Stable Diffusion 1, 860 million
parameters. Their 3.4 GB are in a file beside the graph's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import FLOAT, INT64, Graph
from .vae import SHRINK, enlarged

EPS = 1e-5


def unet_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    side: int = 32,
    channels: int = 4,
    widths: Sequence[int] = (320, 640, 1280, 1280),
    attends: Sequence[bool] = (True, True, True, False),
    layers: int = 2,
    heads: int = 8,
    text: int = 768,
    length: int = 77,
) -> Graph:
    """inputs: sample, timestep, encoder_hidden_states. attends: the levels that attend to the text.
    layers: per level on the way down; the way up has one more.
    """
    graph = Graph("unet")
    x = graph.input(inputs[0], ["batch", channels, side, side], FLOAT)
    step = graph.input(inputs[1], ["batch"], INT64)
    states = graph.input(inputs[2], ["batch", length, text], FLOAT)
    time = 4 * widths[0]
    moment = graph.silu(_time(graph, step, widths[0], time))
    x = graph.conv("conv_in", x, channels, widths[0], 3)
    kept, before, last = [(x, widths[0])], widths[0], len(widths) - 1
    for level, (width, attending) in enumerate(zip(widths, attends, strict=True)):
        name = f"down_blocks.{level}"
        for index in range(layers):
            x = _resnet(graph, f"{name}.resnets.{index}", x, moment, side, before, width, time)
            if attending:
                x = _transformer(
                    graph, f"{name}.attentions.{index}", x, states, side, width, heads, text
                )
            kept.append((x, width))
            before = width
        if level < last:
            x = graph.conv(f"{name}.downsamplers.0.conv", x, width, width, 3, 2)
            side //= 2
            kept.append((x, width))
    x = _resnet(graph, "mid_block.resnets.0", x, moment, side, before, before, time)
    x = _transformer(graph, "mid_block.attentions.0", x, states, side, before, heads, text)
    x = _resnet(graph, "mid_block.resnets.1", x, moment, side, before, before, time)
    for level, (width, attending) in enumerate(
        zip(reversed(widths), reversed(attends), strict=True)
    ):
        name = f"up_blocks.{level}"
        for index in range(layers + 1):
            skipped, more = kept.pop()
            x = graph.op("Concat", x, skipped, axis=1)
            x = _resnet(
                graph, f"{name}.resnets.{index}", x, moment, side, before + more, width, time
            )
            if attending:
                x = _transformer(
                    graph, f"{name}.attentions.{index}", x, states, side, width, heads, text
                )
            before = width
        if level < last:
            x = graph.conv(f"{name}.upsamplers.0.conv", enlarged(graph, x), width, width, 3)
            side *= 2
    x = graph.silu(graph.group_norm("conv_norm_out", x, before, side, eps=EPS))
    graph.output(
        outputs[0], graph.conv("conv_out", x, before, channels, 3), ["batch", channels, side, side]
    )
    return graph


def _linear(graph: Graph, name: str, x: str, into: int, out: int, bias: bool = True) -> str:
    return graph.linear(name, x, into, out, bias, std=into**-0.5)


def _time(graph: Graph, step: str, width: int, time: int) -> str:
    """[batch] time steps -> [batch, time], through sines and cosines of `width` / 2 frequencies."""
    half = width // 2
    frequencies = np.exp(-math.log(10000) * np.arange(half) / half).astype(np.float32)
    angle = graph.op("Unsqueeze", graph.op("Cast", step, to=FLOAT), graph.ints([1]))
    angle = graph.op("Mul", angle, graph.constant(frequencies))
    x = graph.op("Concat", graph.op("Cos", angle), graph.op("Sin", angle), axis=-1)
    x = graph.silu(_linear(graph, "time_embedding.linear_1", x, width, time))
    return _linear(graph, "time_embedding.linear_2", x, time, time)


def _resnet(
    graph: Graph, name: str, x: str, moment: str, side: int, into: int, out: int, time: int
) -> str:
    y = graph.silu(graph.group_norm(f"{name}.norm1", x, into, side, eps=EPS))
    y = graph.conv(f"{name}.conv1", y, into, out, 3, gain=2.0)
    shift = _linear(graph, f"{name}.time_emb_proj", moment, time, out)
    y = graph.op("Add", y, graph.op("Unsqueeze", shift, graph.ints([2, 3])))
    y = graph.silu(graph.group_norm(f"{name}.norm2", y, out, side, eps=EPS))
    y = graph.conv(f"{name}.conv2", y, out, out, 3, gain=SHRINK)
    if into != out:
        x = graph.conv(f"{name}.conv_shortcut", x, into, out, 1)
    return graph.op("Add", x, y)


def _transformer(
    graph: Graph, name: str, x: str, states: str, side: int, width: int, heads: int, text: int
) -> str:
    """Attention over the image's positions, then over the text's tokens, then a gated feed-forward
    part.
    """
    y = graph.group_norm(f"{name}.norm", x, width, side)
    y = graph.conv(f"{name}.proj_in", y, width, width, 1)
    y = graph.transpose(graph.reshape(y, [0, width, side * side]), 0, 2, 1)
    block = f"{name}.transformer_blocks.0"
    for number, (given, into) in enumerate((("", width), (states, text)), start=1):
        inner = graph.layer_norm(f"{block}.norm{number}", y, width, EPS)
        y = graph.op(
            "Add",
            y,
            _attention(graph, f"{block}.attn{number}", inner, given or inner, width, into, heads),
        )
    inner = graph.layer_norm(f"{block}.norm3", y, width, EPS)
    inner = _linear(graph, f"{block}.ff.net.0.proj", inner, width, 8 * width)
    kept, gate = graph.split(inner, 2, 4 * width)
    inner = graph.op("Mul", kept, graph.gelu(gate))
    y = graph.op("Add", y, _linear(graph, f"{block}.ff.net.2", inner, 4 * width, width))
    y = graph.reshape(graph.transpose(y, 0, 2, 1), [-1, width, side, side])
    return graph.op("Add", x, graph.conv(f"{name}.proj_out", y, width, width, 1, gain=SHRINK))


def _attention(
    graph: Graph, name: str, x: str, given: str, width: int, into: int, heads: int
) -> str:
    size = width // heads
    query = _linear(graph, f"{name}.to_q", x, width, width, bias=False)
    key, value = (
        _linear(graph, f"{name}.to_{each}", given, into, width, bias=False) for each in "kv"
    )
    mixed = graph.attend(*(graph.heads(part, heads, size) for part in (query, key, value)), size)
    return _linear(graph, f"{name}.to_out.0", mixed, width, width)


def build_unet(path: Path, seed: int, **how: object) -> None:
    unet_graph(**how).write(path, seed)

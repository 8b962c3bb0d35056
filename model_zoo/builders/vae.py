"""Stable Diffusion's autoencoder, as two models, encoder and decoder.

Rombach et al., 2021, arXiv:2112.10752; sizes of `diffusers.AutoencoderKL` as Stable Diffusion 1 has
it. The encoder gives the mean of its distribution, without noise: two runs of one request must
agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import FLOAT, Graph

LATENTS = 4
SHRINK = 0.1  # gain of what a block adds, so that sums over blocks stay of order 1


def _resnet(graph: Graph, name: str, x: str, side: int, into: int, out: int) -> str:
    y = graph.silu(graph.group_norm(f"{name}.norm1", x, into, side))
    y = graph.conv(f"{name}.conv1", y, into, out, 3, gain=2.0)
    y = graph.silu(graph.group_norm(f"{name}.norm2", y, out, side))
    y = graph.conv(f"{name}.conv2", y, out, out, 3, gain=SHRINK)
    if into != out:
        x = graph.conv(f"{name}.conv_shortcut", x, into, out, 1)
    return graph.op("Add", x, y)


def _middle(graph: Graph, name: str, x: str, side: int, width: int) -> str:
    x = _resnet(graph, f"{name}.resnets.0", x, side, width, width)
    attention = f"{name}.attentions.0"
    y = graph.group_norm(f"{attention}.group_norm", x, width, side)
    y = graph.transpose(graph.reshape(y, [0, width, side * side]), 0, 2, 1)
    std = width**-0.5
    parts = [graph.linear(f"{attention}.to_{each}", y, width, width, std=std) for each in "qkv"]
    y = graph.attend(*(graph.heads(part, 1, width) for part in parts), width)
    y = graph.linear(f"{attention}.to_out.0", y, width, width, std=std)
    y = graph.reshape(graph.transpose(y, 0, 2, 1), [-1, width, side, side])
    return _resnet(graph, f"{name}.resnets.1", graph.op("Add", x, y), side, width, width)


def encoder_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    image: int = 256,
    widths: Sequence[int] = (128, 256, 512, 512),
) -> Graph:
    graph = Graph("vae_encoder")
    x = graph.input(inputs[0], ["batch", 3, image, image], FLOAT)
    x = graph.conv("encoder.conv_in", x, 3, widths[0], 3)
    side, before = image, widths[0]
    for level, width in enumerate(widths):
        name = f"encoder.down_blocks.{level}"
        for index in range(2):
            x = _resnet(graph, f"{name}.resnets.{index}", x, side, before, width)
            before = width
        if level < len(widths) - 1:  # padded below and to the right only
            x = graph.conv(f"{name}.downsamplers.0.conv", x, width, width, 3, 2, pads=[0, 0, 1, 1])
            side //= 2
    x = _middle(graph, "encoder.mid_block", x, side, before)
    x = graph.silu(graph.group_norm("encoder.conv_norm_out", x, before, side))
    x = graph.conv("encoder.conv_out", x, before, 2 * LATENTS, 3)
    moments = graph.conv("quant_conv", x, 2 * LATENTS, 2 * LATENTS, 1)
    graph.output(
        outputs[0], graph.split(moments, 2, LATENTS, axis=1)[0], ["batch", LATENTS, side, side]
    )
    return graph


def decoder_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    latent: int = 32,
    widths: Sequence[int] = (128, 256, 512, 512),
) -> Graph:
    graph = Graph("vae_decoder")
    x = graph.input(inputs[0], ["batch", LATENTS, latent, latent], FLOAT)
    x = graph.conv("post_quant_conv", x, LATENTS, LATENTS, 1)
    side, before = latent, widths[-1]
    x = graph.conv("decoder.conv_in", x, LATENTS, before, 3)
    x = _middle(graph, "decoder.mid_block", x, side, before)
    for level, width in enumerate(reversed(widths)):
        name = f"decoder.up_blocks.{level}"
        for index in range(3):
            x = _resnet(graph, f"{name}.resnets.{index}", x, side, before, width)
            before = width
        if level < len(widths) - 1:
            x = graph.conv(f"{name}.upsamplers.0.conv", enlarged(graph, x), width, width, 3)
            side *= 2
    x = graph.silu(graph.group_norm("decoder.conv_norm_out", x, before, side))
    x = graph.conv("decoder.conv_out", x, before, 3, 3)
    graph.output(outputs[0], x, ["batch", 3, side, side])
    return graph


def enlarged(graph: Graph, x: str) -> str:
    """Every pixel becomes 2 by 2."""
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


def build_vae_encoder(path: Path, seed: int, **how: object) -> None:
    encoder_graph(**how).write(path, seed)


def build_vae_decoder(path: Path, seed: int, **how: object) -> None:
    decoder_graph(**how).write(path, seed)

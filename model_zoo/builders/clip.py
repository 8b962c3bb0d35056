"""CLIP: the text model of ViT-L/14 alone, and both towers of ViT-B/32 (the task videobert).

Radford et al., 2021, arXiv:2103.00020; names and shapes as `transformers.CLIPTextModel` and
`transformers.CLIPModel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import FLOAT, INT32, INT64, MASKED_SCORE, Graph

EPS = 1e-5


def _encoder(
    graph: Graph, name: str, x: str, layers: int, hidden: int, heads: int, masks: Sequence[str]
) -> str:
    """Layers that normalize first; feed-forward parts are four times as wide."""
    size = hidden // heads
    for index in range(layers):
        layer = f"{name}.encoder.layers.{index}"
        inner = graph.layer_norm(f"{layer}.layer_norm1", x, hidden, EPS)
        parts = [
            graph.linear(f"{layer}.self_attn.{each}_proj", inner, hidden, hidden) for each in "qkv"
        ]
        mixed = graph.attend(*(graph.heads(part, heads, size) for part in parts), size, masks)
        x = graph.op("Add", x, graph.linear(f"{layer}.self_attn.out_proj", mixed, hidden, hidden))
        inner = graph.layer_norm(f"{layer}.layer_norm2", x, hidden, EPS)
        inner = graph.quick_gelu(graph.linear(f"{layer}.mlp.fc1", inner, hidden, 4 * hidden))
        x = graph.op("Add", x, graph.linear(f"{layer}.mlp.fc2", inner, 4 * hidden, hidden))
    return x


def _text(
    graph: Graph, ids: str, *, layers: int, hidden: int, heads: int, vocabulary: int, length: int
) -> list[str]:
    """[rows, length] ids -> the last hidden states, and those of each row's end of text, which has
    the highest id.
    """
    base = "text_model.embeddings"
    x = graph.embedding(f"{base}.token_embedding.weight", ids, vocabulary, hidden)
    x = graph.op("Add", x, graph.parameter(f"{base}.position_embedding.weight", (length, hidden)))
    causal = np.triu(np.full((length, length), MASKED_SCORE, np.float32), 1)
    x = _encoder(graph, "text_model", x, layers, hidden, heads, [graph.constant(causal)])
    x = graph.layer_norm("text_model.final_layer_norm", x, hidden, EPS)
    end = graph.op("ArgMax", ids, axis=1, keepdims=1)
    places = graph.op(
        "Equal", end, graph.ints(np.arange(length))
    )  # [rows, length], one true in each
    picked = graph.op(
        "MatMul", graph.op("Unsqueeze", graph.op("Cast", places, to=FLOAT), graph.ints([1])), x
    )
    return [x, graph.op("Squeeze", picked, graph.ints([1]))]


def clip_text_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    vocabulary: int = 49408,
    length: int = 77,
) -> Graph:
    graph = Graph("clip_text")
    ids = graph.input(inputs[0], ["batch", length], INT32)
    sizes = {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "vocabulary": vocabulary,
        "length": length,
    }
    states, pooled = _text(graph, ids, **sizes)
    graph.output(outputs[0], states, ["batch", length, hidden])
    graph.output(outputs[1], pooled, ["batch", hidden])
    return graph


def two_towers_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    texts: int = 100,
    layers: int = 12,
    hidden: int = 512,
    heads: int = 8,
    vocabulary: int = 49408,
    length: int = 77,
    image: int = 224,
    patch: int = 32,
    image_layers: int = 12,
    image_hidden: int = 768,
    image_heads: int = 12,
    common: int = 512,
) -> Graph:
    """[batch, 3, image, image] and [texts * batch, length] -> [batch, texts], how well each text of
    an item fits its image.
    """
    graph = Graph("two_towers")
    pixels = graph.input(inputs[0], ["batch", 3, image, image], FLOAT)
    ids = graph.input(inputs[1], [f"{texts}*batch", length], INT64)
    sizes = {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "vocabulary": vocabulary,
        "length": length,
    }
    _, text = _text(graph, ids, **sizes)
    text = graph.linear("text_projection", text, hidden, common, bias=False)
    seen = _image(graph, pixels, image, patch, image_layers, image_hidden, image_heads)
    seen = graph.linear("visual_projection", seen, image_hidden, common, bias=False)
    text, seen = (
        graph.op("Div", each, graph.op("ReduceL2", each, axes=[-1], keepdims=1))
        for each in (text, seen)
    )
    text = graph.reshape(text, [-1, texts, common])
    fits = graph.op(
        "MatMul", text, graph.op("Unsqueeze", seen, graph.ints([2]))
    )  # [batch, texts, 1]
    scale = graph.op("Exp", graph.parameter("logit_scale", (), 0.0, mean=2.6592))
    logits = graph.op("Mul", graph.op("Squeeze", fits, graph.ints([2])), scale)
    graph.output(outputs[0], logits, ["batch", texts])
    return graph


def _image(
    graph: Graph, pixels: str, image: int, patch: int, layers: int, hidden: int, heads: int
) -> str:
    base, count = "vision_model.embeddings", (image // patch) ** 2
    kernel = graph.parameter(f"{base}.patch_embedding.weight", (hidden, 3, patch, patch))
    x = graph.op("Conv", pixels, kernel, kernel_shape=[patch] * 2, strides=[patch] * 2)
    x = graph.transpose(graph.reshape(x, [0, hidden, count]), 0, 2, 1)
    # The class's token goes before each item's patches; its product with zeros of the batch's size
    # is the repetition.
    first = graph.op("Mul", graph.slice(x, 1, 0, 1), graph.number(0.0))
    first = graph.op("Add", first, graph.parameter(f"{base}.class_embedding", (hidden,)))
    x = graph.op("Concat", first, x, axis=1)
    x = graph.op(
        "Add", x, graph.parameter(f"{base}.position_embedding.weight", (count + 1, hidden))
    )
    x = graph.layer_norm("vision_model.pre_layrnorm", x, hidden, EPS)
    x = _encoder(graph, "vision_model", x, layers, hidden, heads, [])
    first = graph.op("Gather", x, graph.ints(0), axis=1)
    return graph.layer_norm("vision_model.post_layernorm", first, hidden, EPS)


def build_clip_text(path: Path, seed: int, **how: object) -> None:
    clip_text_graph(**how).write(path, seed)


def build_two_towers(path: Path, seed: int, **how: object) -> None:
    two_towers_graph(**how).write(path, seed)

"""RoFormer for text classification: BERT whose queries and keys are turned by their place.

Su et al., 2021, arXiv:2104.09864; sizes of roformer_chinese_base, names and shapes as
`transformers.RoFormerForSequenceClassification`. In: token ids and segments as float32, as published; token 0 is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .graph import BOOL, FLOAT, INT64, Graph
from .roberta import feed_forward

EPS = 1e-12
HEAD_STD = 0.1  # of the last layer: probabilities that differ visibly


def roformer_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    intermediate: int = 3072,
    vocabulary: int = 50000,
    classes: int = 2,
    sequence: int = 1024,
) -> Graph:
    """inputs: segments, then tokens. Out: probabilities, [batch, classes]."""
    graph = Graph("roformer")
    given = [graph.input(name, ["batch", sequence], FLOAT) for name in inputs]
    segments, tokens = (graph.op("Cast", each, to=INT64) for each in given)
    base = "roformer.embeddings"
    x = graph.embedding(f"{base}.word_embeddings.weight", tokens, vocabulary, hidden)
    x = graph.op("Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", segments, 2, hidden))
    x = graph.layer_norm(f"{base}.LayerNorm", x, hidden, EPS)
    added = graph.mask(graph.op("Cast", tokens, to=BOOL))
    for index in range(layers):
        name = f"roformer.encoder.layer.{index}"
        mixed = _attention(graph, f"{name}.attention.self", x, added, hidden, heads, sequence)
        x = feed_forward(graph, name, x, mixed, hidden, intermediate, EPS)
    first = graph.op("Gather", x, graph.ints(0), axis=1)
    pooled = graph.gelu(graph.linear("classifier.dense", first, hidden, hidden, std=HEAD_STD / 2))
    logits = graph.linear("classifier.out_proj", pooled, hidden, classes, std=HEAD_STD)
    graph.output(outputs[0], graph.op("Softmax", logits, axis=-1), ["batch", classes])
    return graph


def _attention(graph: Graph, name: str, x: str, mask: str, hidden: int, heads: int, sequence: int) -> str:
    size = hidden // heads
    parts = [graph.linear(f"{name}.{each}", x, hidden, hidden) for each in ("query", "key", "value")]
    query, key, value = (graph.heads(part, heads, size) for part in parts)
    query, key = (_turned(graph, part, heads, size, sequence) for part in (query, key))
    return graph.attend(query, key, value, size, [mask])


def _turned(graph: Graph, x: str, heads: int, size: int, sequence: int) -> str:
    """Each pair of neighbouring values (a, b) at place p becomes (a cos - b sin, b cos + a sin), angle p / 10000^(2i/d)."""
    angle = np.arange(sequence)[:, None] / 10000 ** (np.arange(0, size, 2) / size)
    sin, cos = (np.repeat(form(angle), 2, axis=-1).astype(np.float32) for form in (np.sin, np.cos))
    pairs = graph.reshape(x, [0, heads, sequence, size // 2, 2])
    even, odd = graph.split(pairs, 2, 1)
    crossed = graph.reshape(graph.op("Concat", graph.op("Neg", odd), even, axis=-1), [0, heads, sequence, size])
    kept = graph.op("Mul", x, graph.constant(cos))
    return graph.op("Add", kept, graph.op("Mul", crossed, graph.constant(sin)))


def build_roformer(path: Path, seed: int, **how: object) -> None:
    roformer_graph(**how).write(path, seed)

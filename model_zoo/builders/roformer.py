"""RoFormer for text classification: BERT whose queries and keys are rotated by their position.

Su et al., 2021, arXiv:2104.09864; sizes of roformer_chinese_base, names and shapes as
`transformers.RoFormerForSequenceClassification`. In: token ids and segments as float32, as
published; token 0 is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .bert import Sizes, feed_forward, projected
from .graph import BOOL, FLOAT, INT64, Graph

BASE = {"vocabulary": 50000, "sequence": 1024, "positions": 1536}
HEAD_STD = 0.1  # of the last layer: probabilities that differ visibly


def roformer_graph(
    *, inputs: Sequence[str], outputs: Sequence[str], classes: int = 2, **sizes: int
) -> Graph:
    """inputs: segments, then tokens. Out: probabilities, [batch, classes]."""
    graph, size = Graph("roformer"), Sizes(**{**BASE, **sizes})
    given = [graph.input(name, ["batch", size.sequence], FLOAT) for name in inputs]
    segments, tokens = (graph.op("Cast", each, to=INT64) for each in given)
    base = "roformer.embeddings"
    x = graph.embedding(f"{base}.word_embeddings.weight", tokens, size.vocabulary, size.hidden)
    x = graph.op(
        "Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", segments, 2, size.hidden)
    )
    x = graph.layer_norm(f"{base}.LayerNorm", x, size.hidden, size.eps)
    added = graph.mask(graph.op("Cast", tokens, to=BOOL))
    for index in range(size.layers):
        name = f"roformer.encoder.layer.{index}"
        query, key, value = projected(graph, f"{name}.attention.self", x, size)
        query, key = (_turned(graph, part, size) for part in (query, key))
        x = feed_forward(graph, name, x, graph.attend(query, key, value, size.head, [added]), size)
    first = graph.op("Gather", x, graph.ints(0), axis=1)
    pooled = graph.gelu(
        graph.linear("classifier.dense", first, size.hidden, size.hidden, std=HEAD_STD / 2)
    )
    logits = graph.linear("classifier.out_proj", pooled, size.hidden, classes, std=HEAD_STD)
    graph.output(outputs[0], graph.op("Softmax", logits, axis=-1), ["batch", classes])
    return graph


def _turned(graph: Graph, x: str, size: Sizes) -> str:
    """Each pair of neighbouring values (a, b) at position p becomes (a cos - b sin, b cos + a sin),
    angle p / 10000^(2i/d).
    """
    angle = np.arange(size.sequence)[:, None] / 10000 ** (np.arange(0, size.head, 2) / size.head)
    sin, cos = (np.repeat(form(angle), 2, axis=-1).astype(np.float32) for form in (np.sin, np.cos))
    pairs = graph.reshape(x, [0, size.heads, size.sequence, size.head // 2, 2])
    even, odd = graph.split(pairs, 2, 1)
    crossed = graph.op("Concat", graph.op("Neg", odd), even, axis=-1)
    crossed = graph.reshape(crossed, [0, size.heads, size.sequence, size.head])
    kept = graph.op("Mul", x, graph.constant(cos))
    return graph.op("Add", kept, graph.op("Mul", crossed, graph.constant(sin)))


def build_roformer(path: Path, seed: int, **how: object) -> None:
    roformer_graph(**how).write(path, seed)

"""ALBERT for question answering: one layer's parameters, used twelve times, and a small embedding that is widened.

Lan et al., 2019, arXiv:1909.11942; names and shapes as `transformers.AlbertForQuestionAnswering`, without its pooler.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .graph import INT64, Graph

EPS = 1e-12


def albert_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    intermediate: int = 3072,
    embedding: int = 128,
    vocabulary: int = 30000,
    positions: int = 512,
    sequence: int = 384,
) -> Graph:
    graph = Graph("albert")
    ids, mask, types = (graph.input(name, ["batch", sequence], INT64) for name in inputs)
    base = "albert.embeddings"
    x = graph.embedding(f"{base}.word_embeddings.weight", ids, vocabulary, embedding)
    x = graph.op("Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", types, 2, embedding))
    places = graph.parameter(f"{base}.position_embeddings.weight", (positions, embedding))
    x = graph.layer_norm(f"{base}.LayerNorm", graph.op("Add", x, graph.slice(places, 0, 0, sequence)), embedding, EPS)
    x = graph.linear("albert.encoder.embedding_hidden_mapping_in", x, embedding, hidden)
    added = graph.mask(mask)
    for _ in range(layers):
        x = _layer(graph, x, added, hidden, heads, intermediate)
    graph.question_answering(x, hidden, sequence, outputs)
    return graph


def _layer(graph: Graph, x: str, mask: str, hidden: int, heads: int, inner: int) -> str:
    name = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    size = hidden // heads
    parts = [graph.linear(f"{name}.attention.{each}", x, hidden, hidden) for each in ("query", "key", "value")]
    query, key, value = (graph.heads(part, heads, size) for part in parts)
    dense = graph.linear(f"{name}.attention.dense", graph.attend(query, key, value, size, [mask]), hidden, hidden)
    x = graph.layer_norm(f"{name}.attention.LayerNorm", graph.op("Add", dense, x), hidden, EPS)
    wide = graph.gelu_tanh(graph.linear(f"{name}.ffn", x, hidden, inner))
    dense = graph.linear(f"{name}.ffn_output", wide, inner, hidden)
    return graph.layer_norm(f"{name}.full_layer_layer_norm", graph.op("Add", dense, x), hidden, EPS)


def build_albert(path: Path, seed: int, **how: object) -> None:
    albert_graph(**how).write(path, seed)

"""ALBERT for question answering: the parameters of one layer, used twelve times, and a small
embedding that is projected up.

Lan et al., 2019, arXiv:1909.11942; names and shapes as `transformers.AlbertForQuestionAnswering`,
without its pooler.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .bert import Sizes, embedded, projected
from .graph import INT64, Graph


def albert_graph(
    *, inputs: Sequence[str], outputs: Sequence[str], embedding: int = 128, **sizes: int
) -> Graph:
    graph, size = Graph("albert"), Sizes(**{"vocabulary": 30000, **sizes})
    ids, mask, types = (graph.input(name, ["batch", size.sequence], INT64) for name in inputs)
    x = embedded(graph, "albert.embeddings", ids, types, size, embedding)
    x = graph.linear("albert.encoder.embedding_hidden_mapping_in", x, embedding, size.hidden)
    added = graph.mask(mask)
    for _ in range(size.layers):
        x = _layer(graph, "albert.encoder.albert_layer_groups.0.albert_layers.0", x, added, size)
    graph.question_answering(x, size.hidden, size.sequence, outputs)
    return graph


def _layer(graph: Graph, name: str, x: str, mask: str, size: Sizes) -> str:
    query, key, value = projected(graph, f"{name}.attention", x, size)
    mixed = graph.attend(query, key, value, size.head, [mask])
    dense = graph.linear(f"{name}.attention.dense", mixed, size.hidden, size.hidden)
    x = graph.layer_norm(
        f"{name}.attention.LayerNorm", graph.op("Add", dense, x), size.hidden, size.eps
    )
    wide = graph.gelu_tanh(graph.linear(f"{name}.ffn", x, size.hidden, size.intermediate))
    dense = graph.linear(f"{name}.ffn_output", wide, size.intermediate, size.hidden)
    return graph.layer_norm(
        f"{name}.full_layer_layer_norm", graph.op("Add", dense, x), size.hidden, size.eps
    )


def build_albert(path: Path, seed: int, **how: object) -> None:
    albert_graph(**how).write(path, seed)

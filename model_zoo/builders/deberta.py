"""DeBERTa for question answering: separate attention over content and relative positions.

He et al., 2020, arXiv:2006.03654; names and shapes as `transformers.DebertaForQuestionAnswering`
(microsoft/deberta-base). It has neither absolute positions nor token types: the input of token
types exists, as published, and is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .bert import Sizes, feed_forward
from .graph import FLOAT, INT64, Graph

BASE = {"vocabulary": 50265, "eps": 1e-7}


def deberta_graph(
    *, inputs: Sequence[str], outputs: Sequence[str], distance: int = 512, **sizes: int
) -> Graph:
    """distance: relative positions are clipped to [-distance, distance)."""
    graph, size = Graph("deberta"), Sizes(**{**BASE, **sizes})
    ids, mask, _ = (graph.input(name, ["batch", size.sequence], INT64) for name in inputs)
    base = "deberta.embeddings"
    x = graph.embedding(f"{base}.word_embeddings.weight", ids, size.vocabulary, size.hidden)
    x = graph.layer_norm(f"{base}.LayerNorm", x, size.hidden, size.eps)
    kept = graph.op("Unsqueeze", graph.op("Cast", mask, to=FLOAT), graph.ints([2]))
    x = graph.op("Mul", x, kept)
    table = graph.parameter("deberta.encoder.rel_embeddings.weight", (2 * distance, size.hidden))
    table = graph.slice(table, 0, distance - size.sequence, distance + size.sequence)
    added = graph.mask(mask)
    for index in range(size.layers):
        name = f"deberta.encoder.layer.{index}"
        x = feed_forward(
            graph, name, x, _attention(graph, f"{name}.attention.self", x, table, added, size), size
        )
    graph.question_answering(x, size.hidden, size.sequence, outputs)
    return graph


def _attention(graph: Graph, name: str, x: str, table: str, mask: str, size: Sizes) -> str:
    """Scores are content-content + content-position + position-content, each scaled by 1 / sqrt(3
    hidden / heads).
    """
    hidden, heads, each, n = size.hidden, size.heads, size.head, size.sequence
    scale = 1.0 / math.sqrt(3 * each)
    # in_proj has query, key and value of each head side by side
    joint = graph.heads(
        graph.linear(f"{name}.in_proj", x, hidden, 3 * hidden, bias=False), heads, 3 * each
    )
    query, key, value = graph.split(joint, 3, each)
    biases = [graph.parameter(f"{name}.{part}_bias", (hidden,), 0.0) for part in ("q", "v")]
    query, value = (
        graph.op("Add", part, graph.reshape(bias, [heads, 1, each]))
        for part, bias in zip((query, value), biases, strict=True)
    )
    query = graph.op("Mul", query, graph.number(scale))
    places = [graph.linear(f"{name}.pos_proj", table, hidden, hidden, bias=False)]
    places.append(graph.linear(f"{name}.pos_q_proj", table, hidden, hidden))
    key_places, query_places = (
        graph.transpose(graph.reshape(part, [-1, heads, each]), 1, 0, 2) for part in places
    )
    query_places = graph.op("Mul", query_places, graph.number(scale))

    row, column = np.arange(n)[:, None], np.arange(n)[None]
    by_distance = (
        row * 2 * n + row - column + n
    )  # [q, k]: the place of (q, distance q - k) in a row-major [n, 2n]
    by_key = column * 2 * n + row - column + n  # the place of (k, distance q - k)
    to_place = graph.op("MatMul", query, graph.transpose(key_places, 0, 2, 1))
    from_place = graph.op("MatMul", key, graph.transpose(query_places, 0, 2, 1))
    added = [
        _picked(graph, to_place, by_distance, heads, n),
        _picked(graph, from_place, by_key, heads, n),
        mask,
    ]
    return graph.attend(query, key, value, each, added, scale=1.0)


def _picked(graph: Graph, scores: str, places: np.ndarray, heads: int, n: int) -> str:
    """[batch, heads, n, 2n] of scores by distance -> [batch, heads, n, n] by query and key."""
    return graph.op(
        "Gather", graph.reshape(scores, [0, heads, 2 * n * n]), graph.constant(places), axis=2
    )


def build_deberta(path: Path, seed: int, **how: object) -> None:
    deberta_graph(**how).write(path, seed)

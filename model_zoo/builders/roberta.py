"""RoBERTa for question answering, from `transformers.RobertaForQuestionAnswering`'s names and
shapes.

Liu et al., 2019, arXiv:1907.11692: BERT's network; positions count tokens without padding, from 2
on. There is one token type: its input exists, as published, and contains zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .bert import Sizes, encoded
from .graph import INT64, Graph

BASE = {"vocabulary": 50265, "positions": 514, "eps": 1e-5}


def roberta_graph(*, inputs: Sequence[str], outputs: Sequence[str], **sizes: int) -> Graph:
    graph, size = Graph("roberta"), Sizes(**{**BASE, **sizes})
    ids, mask, types = (graph.input(name, ["batch", size.sequence], INT64) for name in inputs)
    base, pad = "roberta.embeddings", graph.ints(1)
    text = graph.op("Cast", graph.op("Not", graph.op("Equal", ids, pad)), to=INT64)
    places = graph.op("Add", graph.op("Mul", graph.op("CumSum", text, graph.ints(1)), text), pad)
    x = graph.embedding(f"{base}.word_embeddings.weight", ids, size.vocabulary, size.hidden)
    x = graph.op(
        "Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", types, 1, size.hidden)
    )
    x = graph.op(
        "Add",
        x,
        graph.embedding(f"{base}.position_embeddings.weight", places, size.positions, size.hidden),
    )
    x = graph.layer_norm(f"{base}.LayerNorm", x, size.hidden, size.eps)
    x = encoded(graph, "roberta.encoder", x, graph.mask(mask), size)
    graph.question_answering(x, size.hidden, size.sequence, outputs)
    return graph


def build_roberta(path: Path, seed: int, **how: object) -> None:
    roberta_graph(**how).write(path, seed)

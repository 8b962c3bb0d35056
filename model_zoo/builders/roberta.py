"""RoBERTa for question answering, from `transformers.RobertaForQuestionAnswering`'s names and shapes.

Liu et al., 2019, arXiv:1907.11692: BERT's network; places are counted over what is no padding, from 2 on. There is one
token type: its input exists, as published, and holds zeros. `build_bert_tf` is BERT itself, in TensorFlow's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .graph import FLOAT, INT32, INT64, Graph


def encoder_layer(graph: Graph, name: str, x: str, mask: str, hidden: int, heads: int, inner: int, eps: float) -> str:
    """One layer of BERT, names as in transformers: attention, then the feed-forward part, each added and normalized."""
    size = hidden // heads
    parts = [graph.linear(f"{name}.attention.self.{each}", x, hidden, hidden) for each in ("query", "key", "value")]
    query, key, value = (graph.heads(part, heads, size) for part in parts)
    mixed = graph.attend(query, key, value, size, [mask])
    return feed_forward(graph, name, x, mixed, hidden, inner, eps)


def feed_forward(graph: Graph, name: str, x: str, mixed: str, hidden: int, inner: int, eps: float) -> str:
    """What follows BERT's attention, whose mixed values are `mixed`."""
    dense = graph.linear(f"{name}.attention.output.dense", mixed, hidden, hidden)
    x = graph.layer_norm(f"{name}.attention.output.LayerNorm", graph.op("Add", dense, x), hidden, eps)
    wide = graph.gelu(graph.linear(f"{name}.intermediate.dense", x, hidden, inner))
    dense = graph.linear(f"{name}.output.dense", wide, inner, hidden)
    return graph.layer_norm(f"{name}.output.LayerNorm", graph.op("Add", dense, x), hidden, eps)


def roberta_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    intermediate: int = 3072,
    vocabulary: int = 50265,
    positions: int = 514,
    sequence: int = 384,
) -> Graph:
    graph = Graph("roberta")
    ids, mask, types = (graph.input(name, ["batch", sequence], INT64) for name in inputs)
    base, pad = "roberta.embeddings", graph.ints(1)
    text = graph.op("Cast", graph.op("Not", graph.op("Equal", ids, pad)), to=INT64)
    places = graph.op("Add", graph.op("Mul", graph.op("CumSum", text, graph.ints(1)), text), pad)
    x = graph.embedding(f"{base}.word_embeddings.weight", ids, vocabulary, hidden)
    x = graph.op("Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", types, 1, hidden))
    x = graph.op("Add", x, graph.embedding(f"{base}.position_embeddings.weight", places, positions, hidden))
    x = graph.layer_norm(f"{base}.LayerNorm", x, hidden, 1e-5)
    added = graph.mask(mask)
    for index in range(layers):
        x = encoder_layer(graph, f"roberta.encoder.layer.{index}", x, added, hidden, heads, intermediate, 1e-5)
    graph.question_answering(x, hidden, sequence, outputs)
    return graph


def bert_tf_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    intermediate: int = 3072,
    vocabulary: int = 30522,
    positions: int = 512,
    sequence: int = 384,
) -> Graph:
    """BERT with int32 inputs and one output: [batch, sequence, 2], the start's and the end's logits."""
    graph = Graph("bert_tf")
    ids, mask, types = (graph.input(name, ["batch", sequence], INT32) for name in inputs)
    base = "bert.embeddings"
    x = graph.embedding(f"{base}.word_embeddings.weight", ids, vocabulary, hidden)
    x = graph.op("Add", x, graph.embedding(f"{base}.token_type_embeddings.weight", types, 2, hidden))
    places = graph.parameter(f"{base}.position_embeddings.weight", (positions, hidden))
    x = graph.layer_norm(f"{base}.LayerNorm", graph.op("Add", x, graph.slice(places, 0, 0, sequence)), hidden, 1e-12)
    added = graph.mask(mask)
    for index in range(layers):
        x = encoder_layer(graph, f"bert.encoder.layer.{index}", x, added, hidden, heads, intermediate, 1e-12)
    logits = graph.linear("qa_outputs", x, hidden, 2)
    graph.output(outputs[0], logits, ["batch", sequence, 2], FLOAT)
    return graph


def build_roberta(path: Path, seed: int, **how: object) -> None:
    roberta_graph(**how).write(path, seed)


def build_bert_tf(path: Path, seed: int, **how: object) -> None:
    bert_tf_graph(**how).write(path, seed)

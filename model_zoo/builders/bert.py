"""BERT, and the encoder that related models share. Parameters have the names of
`transformers.BertForQuestionAnswering`.

Devlin et al., 2018, arXiv:1810.04805. `build_bert_qa` and `build_bert_tf` draw random weights:
good for speed and numeric agreement, never for accuracy. `build_bert_encoder` builds the encoder
from trained weights that a source fetched; sentence encoders such as MiniLM are this graph.
Left out: the pooler (nothing here uses it) and any tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .graph import INT32, INT64, Graph


@dataclass(frozen=True)
class Sizes:
    """Of an encoder; the defaults are BERT-base, uncased, at the published sequence length.
    ValueError for invalid ones.
    """

    layers: int = 12
    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    vocabulary: int = 30522
    positions: int = 512
    sequence: int = 384
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.sequence > self.positions:
            raise ValueError(
                f"sequence ({self.sequence}) must not exceed positions ({self.positions})"
            )

    @property
    def head(self) -> int:
        return self.hidden // self.heads


def bert_qa_graph(*, inputs: Sequence[str], outputs: Sequence[str], **sizes: int) -> Graph:
    """inputs: token ids, attention mask, token types, int64 [batch, sequence]. outputs: logits of
    an answer's start and end.
    """
    graph, size = Graph("bert_qa"), Sizes(**sizes)
    graph.question_answering(_bert(graph, inputs, size), size.hidden, size.sequence, outputs)
    return graph


def bert_tf_graph(*, inputs: Sequence[str], outputs: Sequence[str], **sizes: int) -> Graph:
    """The same with int32 inputs and one output, [batch, sequence, 2]: TensorFlow's signature."""
    graph, size = Graph("bert_tf"), Sizes(**sizes)
    logits = graph.linear("qa_outputs", _bert(graph, inputs, size, INT32), size.hidden, 2)
    graph.output(outputs[0], logits, ["batch", size.sequence, 2])
    return graph


def bert_encoder_graph(*, inputs: Sequence[str], output: str, **sizes: int) -> Graph:
    """The encoder alone: its last hidden state, [batch, sequence, hidden]."""
    graph, size = Graph("bert_encoder"), Sizes(**sizes)
    graph.output(output, _bert(graph, inputs, size), ["batch", size.sequence, size.hidden])
    return graph


def _bert(graph: Graph, inputs: Sequence[str], size: Sizes, kind: int = INT64) -> str:
    ids, mask, types = (graph.input(name, ["batch", size.sequence], kind) for name in inputs)
    x = embedded(graph, "bert.embeddings", ids, types, size, size.hidden)
    return encoded(graph, "bert.encoder", x, graph.mask(mask), size)


def embedded(graph: Graph, name: str, ids: str, types: str, size: Sizes, width: int) -> str:
    """Sums of the embeddings of token, type and position, normalized."""
    x = graph.embedding(f"{name}.word_embeddings.weight", ids, size.vocabulary, width)
    x = graph.op("Add", x, graph.embedding(f"{name}.token_type_embeddings.weight", types, 2, width))
    places = graph.parameter(f"{name}.position_embeddings.weight", (size.positions, width))
    x = graph.op("Add", x, graph.slice(places, 0, 0, size.sequence))
    return graph.layer_norm(f"{name}.LayerNorm", x, width, size.eps)


def encoded(graph: Graph, name: str, x: str, mask: str, size: Sizes) -> str:
    """BERT's layers; `mask` is what is added to the scores."""
    for index in range(size.layers):
        layer = f"{name}.layer.{index}"
        query, key, value = projected(graph, f"{layer}.attention.self", x, size)
        x = feed_forward(graph, layer, x, graph.attend(query, key, value, size.head, [mask]), size)
    return x


def projected(graph: Graph, name: str, x: str, size: Sizes) -> list[str]:
    """Query, key and value, [batch, heads, sequence, hidden / heads] each."""
    parts = (
        graph.linear(f"{name}.{each}", x, size.hidden, size.hidden)
        for each in ("query", "key", "value")
    )
    return [graph.heads(part, size.heads, size.head) for part in parts]


def feed_forward(graph: Graph, name: str, x: str, mixed: str, size: Sizes) -> str:
    """The rest of a layer after attention, whose mixed values are `mixed`: each part is added to
    its input, and normalized.
    """
    dense = graph.linear(f"{name}.attention.output.dense", mixed, size.hidden, size.hidden)
    x = graph.layer_norm(
        f"{name}.attention.output.LayerNorm", graph.op("Add", dense, x), size.hidden, size.eps
    )
    wide = graph.gelu(graph.linear(f"{name}.intermediate.dense", x, size.hidden, size.intermediate))
    dense = graph.linear(f"{name}.output.dense", wide, size.intermediate, size.hidden)
    return graph.layer_norm(
        f"{name}.output.LayerNorm", graph.op("Add", dense, x), size.hidden, size.eps
    )


def build_bert_qa(path: Path, seed: int, **how: object) -> None:
    bert_qa_graph(**how).write(path, seed)


def build_bert_tf(path: Path, seed: int, **how: object) -> None:
    bert_tf_graph(**how).write(path, seed)


def build_bert_encoder(
    path: Path, seed: int, *, weights: Mapping[str, np.ndarray], **how: object
) -> None:
    """`weights`: trained ones, named as in transformers.BertModel, so without "bert."; further
    ones are not used.
    """
    bert_encoder_graph(**how).write(
        path, seed, {f"bert.{name}": value for name, value in weights.items()}
    )

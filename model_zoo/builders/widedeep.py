"""Wide & Deep for click-through rates at the published shapes.

Cheng et al., 2016, arXiv:1606.07792; sizes of Intel's wide_deep_large_ds, which the published model
was trained with: 26 categories of 1000 hashed values, embeddings of 32, 13 numbers, hidden layers
of 1024, 512 and 256. In: 26 rows [category, hashed value] an item, int64 [26 * batch, 2], and
float32 [batch, 13]. Both columns are taken modulo their size, so that no value lies outside a
table. Out: probabilities of no click and click, [batch, 2].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .graph import FLOAT, INT64, Graph


def widedeep_graph(
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    categories: int = 26,
    buckets: int = 1000,
    embedding: int = 32,
    numbers: int = 13,
    hidden: Sequence[int] = (1024, 512, 256),
) -> Graph:
    graph = Graph("widedeep")
    rows = graph.input(inputs[0], [f"{categories}*batch", 2], INT64)
    numeric = graph.input(inputs[1], ["batch", numbers], FLOAT)
    category, value = graph.split(rows, 2, 1)
    category = graph.op("Mod", category, graph.ints(categories))
    value = graph.op("Mod", value, graph.ints(buckets))
    index = graph.op("Add", graph.op("Mul", category, graph.ints(buckets)), value)
    index = graph.reshape(index, [-1, categories])

    deep = graph.embedding("deep.embeddings", index, categories * buckets, embedding, std=1.0)
    x = graph.op("Concat", numeric, graph.reshape(deep, [-1, categories * embedding]), axis=1)
    into = numbers + categories * embedding
    for layer, out in enumerate(hidden):
        x = graph.op("Relu", graph.linear(f"deep.{layer}", x, into, out, std=(2.0 / into) ** 0.5))
        into = out
    deep = graph.linear("deep.logits", x, into, 1, std=(1.0 / into) ** 0.5)

    weights = graph.embedding("wide.weights", index, categories * buckets, 1, std=0.1)
    wide = graph.op("ReduceSum", weights, graph.ints([1]), keepdims=0)
    wide = graph.op("Add", wide, graph.parameter("wide.bias", (1,), 0.0))
    click = graph.op("Sigmoid", graph.op("Add", deep, wide))
    both = graph.op("Concat", graph.op("Sub", graph.number(1.0), click), click, axis=1)
    graph.output(outputs[0], both, ["batch", 2])
    return graph


def build_widedeep(path: Path, seed: int, **how: object) -> None:
    widedeep_graph(**how).write(path, seed)

"""BERT as one ONNX graph, for question answering or as a plain encoder, from a configuration and its parameters.

`build_bert_qa` is what a `build` source names: it writes a graph with seeded weights, drawn as BERT's own
initializer draws them. Such weights know nothing: they serve speed and numeric agreement, never accuracy.
`build_bert_encoder` makes the encoder of trained weights that a source fetched (sentence encoders such as MiniLM are this graph).
Parameters carry the names and shapes of `transformers.BertForQuestionAnswering` (linear weights are [out,
in]), so that trained ones can be passed to `write_model` as they are.

Architecture: Devlin et al., 2018, "BERT: Pre-training of Deep Bidirectional Transformers", arXiv:1810.04805.
Left out: pooler (neither uses it), dropout (inference only), and any tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .graph import announced

OPSET = 17  # the first with LayerNormalization; GELU is spelled out with Erf, which every runtime knows
IR_VERSION = 8  # the one of opset 17: older runtimes refuse newer files
# Added to the scores of masked tokens, as the original code does. Its exponential is exactly 0 in fp32, and
# unlike the smallest float it survives a conversion to fp16.
MASKED_SCORE = -10000.0
INITIALIZER_STD = 0.02


@dataclass(frozen=True)
class BertConfig:
    """Sizes of the network; the defaults are BERT-base, uncased, at the published sequence length."""

    layers: int = 12
    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    vocabulary: int = 30522
    positions: int = 512
    token_types: int = 2
    sequence: int = 384
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.sequence > self.positions:
            raise ValueError(f"sequence ({self.sequence}) must not exceed positions ({self.positions})")


def parameter_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter, in the order of the network, without making one."""
    hidden, inner = config.hidden, config.intermediate
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(name: str, into: int, out: int) -> None:
        shapes[f"{name}.weight"] = (out, into)
        shapes[f"{name}.bias"] = (out,)

    def layer_norm(name: str) -> None:
        shapes[f"{name}.weight"] = (hidden,)
        shapes[f"{name}.bias"] = (hidden,)

    embeddings = "bert.embeddings"
    shapes[f"{embeddings}.word_embeddings.weight"] = (config.vocabulary, hidden)
    shapes[f"{embeddings}.position_embeddings.weight"] = (config.positions, hidden)
    shapes[f"{embeddings}.token_type_embeddings.weight"] = (config.token_types, hidden)
    layer_norm(f"{embeddings}.LayerNorm")
    for index in range(config.layers):
        layer = f"bert.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", hidden, hidden)
        linear(f"{layer}.attention.output.dense", hidden, hidden)
        layer_norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", hidden, inner)
        linear(f"{layer}.output.dense", inner, hidden)
        layer_norm(f"{layer}.output.LayerNorm")
    linear("qa_outputs", hidden, 2)
    return shapes


def encoder_shapes(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """parameter_shapes of the encoder alone."""
    return {name: shape for name, shape in parameter_shapes(config).items() if name.startswith("bert.")}


def seeded_parameters(config: BertConfig, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, float32 array) of every parameter: N(0, 0.02), LayerNorm 1 and 0, biases 0, the padding token's
    row 0.

    Each parameter has a random stream of its own, so a change in one does not move the others.
    """
    for index, (name, shape) in enumerate(parameter_shapes(config).items()):
        if name.endswith("LayerNorm.weight"):
            yield name, np.ones(shape, np.float32)
        elif name.endswith(".bias"):
            yield name, np.zeros(shape, np.float32)
        else:
            # Drawn transposed where the graph stores it transposed, which saves a copy of the whole model.
            table = name.endswith("embeddings.weight")
            stored = shape if table else shape[::-1]
            values = np.random.default_rng([seed, index]).standard_normal(stored, dtype=np.float32)
            values *= np.float32(INITIALIZER_STD)
            if name.endswith("word_embeddings.weight"):
                values[0] = 0.0
            yield name, values if table else values.T


class _Graph:
    """Nodes and constants as they are added. Every method returns the name of the tensor that it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, op: str, name: str, *inputs: str, outputs: Sequence[str] = (), **attributes: object) -> str:
        made = list(outputs) or [name]
        self.nodes.append(helper.make_node(op, list(inputs), made, name=name, **attributes))
        return name

    def constant(self, name: str, value: object, dtype: type) -> str:
        self.constants.setdefault(name, np.asarray(value, dtype))
        return name

    def linear(self, name: str, x: str) -> str:
        product = self.add("MatMul", f"{name}/MatMul", x, f"{name}.weight")
        return self.add("Add", f"{name}/Add", product, f"{name}.bias")

    def layer_norm(self, name: str, x: str, eps: float) -> str:
        return self.add("LayerNormalization", name, x, f"{name}.weight", f"{name}.bias", axis=-1, epsilon=eps)

    def gelu(self, name: str, x: str) -> str:
        """x * (1 + erf(x / sqrt 2)) / 2: the exact form, not the tanh approximation."""
        scaled = self.add("Div", f"{name}/Div", x, self.constant("sqrt_two", np.sqrt(2.0), np.float32))
        erf = self.add("Erf", f"{name}/Erf", scaled)
        shifted = self.add("Add", f"{name}/Add", erf, self.constant("one", 1.0, np.float32))
        product = self.add("Mul", f"{name}/Mul", x, shifted)
        return self.add("Mul", f"{name}/Half", product, self.constant("half", 0.5, np.float32))


def _embeddings(graph: _Graph, config: BertConfig, ids: str, token_types: str) -> str:
    base = "bert.embeddings"
    words = graph.add("Gather", f"{base}/words", f"{base}.word_embeddings.weight", ids)
    types = graph.add("Gather", f"{base}/types", f"{base}.token_type_embeddings.weight", token_types)
    start = graph.constant("positions_start", [0], np.int64)
    end = graph.constant("positions_end", [config.sequence], np.int64)
    places = graph.add("Slice", f"{base}/positions", f"{base}.position_embeddings.weight", start, end)
    total = graph.add("Add", f"{base}/Add", graph.add("Add", f"{base}/AddTypes", words, types), places)
    return graph.layer_norm(f"{base}.LayerNorm", total, config.layer_norm_eps)


def _mask(graph: _Graph, mask: str) -> str:
    """[batch, sequence] of 1 (token) and 0 (padding) -> [batch, 1, 1, sequence] of what is added to the
    scores.
    """
    heads = graph.add("Unsqueeze", "mask/heads", mask, graph.constant("axis_1", [1], np.int64))
    queries = graph.add("Unsqueeze", "mask/queries", heads, graph.constant("axis_2", [2], np.int64))
    kept = graph.add("Cast", "mask/Cast", queries, to=TensorProto.FLOAT)
    masked = graph.add("Sub", "mask/Sub", graph.constant("one", 1.0, np.float32), kept)
    return graph.add("Mul", "mask/Mul", masked, graph.constant("masked_score", MASKED_SCORE, np.float32))


def _attention(graph: _Graph, config: BertConfig, layer: str, x: str, mask: str) -> str:
    base = f"{layer}.attention"
    size = config.hidden // config.heads
    split = graph.constant("split_heads", [0, 0, config.heads, size], np.int64)

    def heads(part: str, order: list[int]) -> str:
        name = f"{base}.self.{part}"
        apart = graph.add("Reshape", f"{name}/Reshape", graph.linear(name, x), split)
        return graph.add("Transpose", f"{name}/Transpose", apart, perm=order)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    products = graph.add("MatMul", f"{base}/scores", query, key)
    sqrt_head = graph.constant("sqrt_head", np.sqrt(size), np.float32)
    scaled = graph.add("Div", f"{base}/scaled", products, sqrt_head)
    masked = graph.add("Add", f"{base}/masked", scaled, mask)
    weights = graph.add("Softmax", f"{base}/Softmax", masked, axis=-1)
    mixed = graph.add("MatMul", f"{base}/context", weights, value)
    together = graph.add("Transpose", f"{base}/Transpose", mixed, perm=[0, 2, 1, 3])
    join = graph.constant("join_heads", [0, 0, config.hidden], np.int64)
    joined = graph.add("Reshape", f"{base}/Reshape", together, join)
    dense = graph.linear(f"{base}.output.dense", joined)
    residual = graph.add("Add", f"{base}/residual", dense, x)
    return graph.layer_norm(f"{base}.output.LayerNorm", residual, config.layer_norm_eps)


def _feed_forward(graph: _Graph, config: BertConfig, layer: str, x: str) -> str:
    inner = graph.linear(f"{layer}.intermediate.dense", x)
    outer = graph.linear(f"{layer}.output.dense", graph.gelu(f"{layer}.gelu", inner))
    residual = graph.add("Add", f"{layer}.output/residual", outer, x)
    return graph.layer_norm(f"{layer}.output.LayerNorm", residual, config.layer_norm_eps)


def bert_qa_graph(config: BertConfig, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    """The model without its parameters, which `write_model` adds.

    inputs: names of token ids, attention mask, token types (int64 [batch, sequence], batch free);
    outputs: names of start and end logits (float32 [batch, sequence]).
    """
    start, end = outputs
    graph = _Graph()
    x = _encoder(graph, config, inputs)
    logits = graph.linear("qa_outputs", x)
    halves = graph.constant("halves", [1, 1], np.int64)
    graph.add("Split", "qa/Split", logits, halves, outputs=["qa/0", "qa/1"], axis=-1)
    last = graph.constant("axis_last", [-1], np.int64)
    graph.add("Squeeze", "qa/start", "qa/0", last, outputs=[start])
    graph.add("Squeeze", "qa/end", "qa/1", last, outputs=[end])

    return _model(graph, config, "bert_qa", inputs, {name: ["batch", config.sequence] for name in outputs})


def bert_encoder_graph(config: BertConfig, inputs: Sequence[str], output: str) -> onnx.ModelProto:
    """The encoder without its parameters: inputs as of bert_qa_graph; output: the name of the last hidden state,
    float32 [batch, sequence, hidden].
    """
    graph = _Graph()
    graph.add("Identity", "last", _encoder(graph, config, inputs), outputs=[output])
    return _model(graph, config, "bert_encoder", inputs, {output: ["batch", config.sequence, config.hidden]})


def _encoder(graph: _Graph, config: BertConfig, inputs: Sequence[str]) -> str:
    ids, mask, token_types = inputs
    x = _embeddings(graph, config, ids, token_types)
    added = _mask(graph, mask)
    for index in range(config.layers):
        layer = f"bert.encoder.layer.{index}"
        x = _feed_forward(graph, config, layer, _attention(graph, config, layer, x, added))
    return x


def _model(
    graph: _Graph, config: BertConfig, name: str, inputs: Sequence[str], outputs: Mapping[str, list]
) -> onnx.ModelProto:
    shape = ["batch", config.sequence]
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [helper.make_tensor_value_info(each, TensorProto.INT64, shape) for each in inputs],
            [helper.make_tensor_value_info(each, TensorProto.FLOAT, sides) for each, sides in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=name,
    )


def write_model(
    path: Path,
    model: onnx.ModelProto,
    config: BertConfig,
    parameters: Iterable[tuple[str, np.ndarray]],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Write `model` and, one after the other, its (name, array) parameters to one ONNX file at `path`.

    `shapes` are those that the model needs, by default parameter_shapes.

    Serialized protobuf messages that follow one another are read as one merged message, so each parameter can
    follow as a model that holds nothing else. Its bytes go to the file as they are: protobuf would copy them
    three times, which for BERT-base takes longer than drawing them. ValueError for a parameter missing or
    misshapen.
    """
    missing = dict(parameter_shapes(config) if shapes is None else shapes)
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
        for name, value in parameters:
            want = missing.pop(name, None)
            if value.shape != want:
                raise ValueError(f"parameter {name} is {value.shape}; wanted is {want or 'no such one'}")
            if value.ndim == 2 and not name.endswith("embeddings.weight"):
                value = value.T  # MatMul(x, weight) wants [in, out]
            data = np.ascontiguousarray(value, "<f4")  # raw_data is little-endian
            tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=data.shape)
            head = tensor.SerializeToString() + announced(TensorProto.RAW_DATA_FIELD_NUMBER, data.nbytes)
            size = len(head) + data.nbytes
            initializer = announced(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, size)
            graph = announced(onnx.ModelProto.GRAPH_FIELD_NUMBER, len(initializer) + size)
            file.write(graph + initializer + head)
            file.write(data.data)
    if missing:
        raise ValueError(f"{len(missing)} parameters are missing, among them {next(iter(missing))}")


def build_bert_qa(path: Path, seed: int, *, inputs: Sequence[str], outputs: Sequence[str], **sizes: int) -> None:
    """Write a BERT-QA ONNX model with seeded weights to `path`. `sizes` are fields of BertConfig."""
    config = BertConfig(**sizes)
    write_model(path, bert_qa_graph(config, inputs, outputs), config, seeded_parameters(config, seed))
    onnx.checker.check_model(str(path))


def build_bert_encoder(
    path: Path, seed: int, *, weights: Mapping[str, np.ndarray], inputs: Sequence[str], output: str, **sizes: int
) -> None:
    """Write the encoder with trained `weights`, named as transformers.BertModel's (so without "bert."), to `path`.

    ValueError where one is missing or misshapen; what else the file holds is not used. `seed` is not either.
    """
    config = BertConfig(**sizes)
    wanted = encoder_shapes(config)
    given = ((name, weights[name.removeprefix("bert.")]) for name in wanted if name.removeprefix("bert.") in weights)
    write_model(path, bert_encoder_graph(config, inputs, output), config, given, wanted)
    onnx.checker.check_model(str(path))

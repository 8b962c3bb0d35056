"""Shared by the builders: an ONNX graph under construction, its parameters, and the building blocks
of networks.

A `Graph` holds nodes, constants and the descriptions of parameters. Parameters are drawn one at a
time while the file is written (`write`), or not at all (`outline`, for counting): a network of a
gigabyte is described in milliseconds. Every method that adds something returns the name of the
tensor that it made. Shapes are at [batch, ...], batch free. Left out: training, dropout. Opset 17
is the first with LayerNormalization; older runtimes refuse a newer IR version.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
FLOAT, INT32, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
)
# Added to the scores of masked tokens. Its exponential is 0 in fp32, and it survives a conversion
# to fp16.
MASKED_SCORE = -10000.0
# A protobuf message is limited to 2 GiB; a larger model has its parameters in a file of their own.
LARGEST_FILE_BYTES = 2_000_000_000
PAGE_BYTES = 4096  # where parameters begin in that file, so that a runtime can map them
TRANSFORMER_STD = 0.02  # what BERT and its kin are initialized with


@dataclass(frozen=True)
class Parameter:
    """shape: as the graph stores it. std 0: all values are `mean`. centred: each output's weights
    have mean 0.

    turned: the graph stores the transpose of what torch does, as a linear layer's weights.
    """

    shape: tuple[int, ...]
    std: float
    mean: float = 0.0
    centred: bool = False
    turned: bool = False

    def draw(self, stream: np.random.Generator) -> np.ndarray:
        if not self.std:
            return np.full(self.shape, self.mean, np.float32)
        values = stream.standard_normal(self.shape, dtype=np.float32)
        if self.centred:
            inner = 0 if self.turned else tuple(range(1, len(self.shape)))
            values -= values.mean(axis=inner, keepdims=True)
        values *= np.float32(self.std)
        if self.mean:
            values += np.float32(self.mean)
        return values


class Graph:
    """Nodes, constants and parameters as they are added. Names of parameters are those of the
    published code.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.parameters: dict[str, Parameter] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    # ---- what a graph consists of

    def input(self, name: str, shape: Sequence[int | str], kind: int = FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, x: str, shape: Sequence[int | str], kind: int = FLOAT) -> None:
        self.nodes.append(
            helper.make_node("Identity", [x], [name], name=f"output_{len(self.outputs)}")
        )
        self.outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        made = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made

    def split(self, x: str, count: int, size: int, axis: int = -1) -> list[str]:
        made = [f"Split_{len(self.nodes)}_{part}" for part in range(count)]
        sizes = self.ints([size] * count)
        self.nodes.append(helper.make_node("Split", [x, sizes], made, name=made[0], axis=axis))
        return made

    def constant(self, value: np.ndarray) -> str:
        """A constant that is not a parameter; equal ones are stored once."""
        for name, known in self.constants.items():
            if (
                known.dtype == value.dtype
                and known.shape == value.shape
                and np.array_equal(known, value)
            ):
                return name
        name = f"constant_{len(self.constants)}"
        self.constants[name] = value
        return name

    def ints(self, values: int | Sequence[int]) -> str:
        return self.constant(np.asarray(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.asarray(value, np.float32))

    def parameter(
        self, name: str, shape: Sequence[int], std: float = TRANSFORMER_STD, **how: object
    ) -> str:
        described = Parameter(tuple(shape), std, **how)
        if self.parameters.setdefault(name, described) != described:
            raise ValueError(
                f"parameter {name} is {self.parameters[name]} already, not {described}"
            )
        return name

    # ---- short spellings

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        return self.op("Reshape", x, self.ints(shape))

    def transpose(self, x: str, *order: int) -> str:
        return self.op("Transpose", x, perm=list(order))

    def slice(self, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
        return self.op(
            "Slice", x, self.ints([start]), self.ints([end]), self.ints([axis]), self.ints([step])
        )

    def embedding(
        self, name: str, ids: str, rows: int, size: int, std: float = TRANSFORMER_STD
    ) -> str:
        return self.op("Gather", self.parameter(name, (rows, size), std), ids)

    # ---- blocks

    def linear(
        self,
        name: str,
        x: str,
        into: int,
        out: int,
        bias: bool = True,
        std: float = TRANSFORMER_STD,
    ) -> str:
        product = self.op(
            "MatMul", x, self.parameter(f"{name}.weight", (into, out), std, turned=True)
        )
        return (
            self.op("Add", product, self.parameter(f"{name}.bias", (out,), 0.0))
            if bias
            else product
        )

    def layer_norm(self, name: str, x: str, size: int, eps: float) -> str:
        scale = self.parameter(f"{name}.weight", (size,), 0.0, mean=1.0)
        shift = self.parameter(f"{name}.bias", (size,), 0.0)
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=eps)

    def group_norm(
        self, name: str, x: str, channels: int, side: int, groups: int = 32, eps: float = 1e-6
    ) -> str:
        """[batch, channels, side, side]; opset 17 spells it as an instance normalization of joined
        channels.
        """
        ones, zeros = (self.constant(np.full(groups, value, np.float32)) for value in (1.0, 0.0))
        joined = self.reshape(x, [0, groups, -1])
        alike = self.op("InstanceNormalization", joined, ones, zeros, epsilon=eps)
        apart = self.reshape(alike, [-1, channels, side, side])
        scale = self.reshape(
            self.parameter(f"{name}.weight", (channels,), 0.0, mean=1.0), [channels, 1, 1]
        )
        shift = self.reshape(self.parameter(f"{name}.bias", (channels,), 0.0), [channels, 1, 1])
        return self.op("Add", self.op("Mul", apart, scale), shift)

    def conv(
        self,
        name: str,
        x: str,
        into: int,
        out: int,
        size: int,
        stride: int = 1,
        *,
        pads: Sequence[int] | None = None,
        groups: int = 1,
        bias: bool = True,
        gain: float = 1.0,
    ) -> str:
        """A square convolution; weights N(0, gain / fan-in), each filter of mean 0, so that the
        common part of all inputs does not grow from layer to layer and make all answers alike.
        """
        seen = into // groups
        std = math.sqrt(gain / (seen * size * size))
        inputs = [x, self.parameter(f"{name}.weight", (out, seen, size, size), std, centred=True)]
        if bias:
            inputs.append(self.parameter(f"{name}.bias", (out,), 0.0))
        around = list(pads) if pads is not None else [size // 2] * 4
        shared = {"group": groups} if groups > 1 else {}
        return self.op(
            "Conv", *inputs, kernel_shape=[size] * 2, strides=[stride] * 2, pads=around, **shared
        )

    def batch_norm(
        self, name: str, x: str, channels: int, gamma: float = 1.0, eps: float = 1e-5
    ) -> str:
        initial = {"weight": gamma, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        parts = [
            self.parameter(f"{name}.{part}", (channels,), 0.0, mean=mean)
            for part, mean in initial.items()
        ]
        return self.op("BatchNormalization", x, *parts, epsilon=eps)

    def gelu(self, x: str) -> str:
        """x * (1 + erf(x / sqrt 2)) / 2: the exact form."""
        erf = self.op("Erf", self.op("Div", x, self.number(math.sqrt(2.0))))
        return self.op(
            "Mul", self.op("Mul", x, self.op("Add", erf, self.number(1.0))), self.number(0.5)
        )

    def gelu_tanh(self, x: str) -> str:
        """The tanh approximation, which ALBERT was trained with."""
        cube = self.op("Mul", self.op("Mul", x, x), x)
        inner = self.op("Add", x, self.op("Mul", cube, self.number(0.044715)))
        tanh = self.op("Tanh", self.op("Mul", inner, self.number(math.sqrt(2.0 / math.pi))))
        return self.op(
            "Mul", self.op("Mul", x, self.number(0.5)), self.op("Add", tanh, self.number(1.0))
        )

    def silu(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def quick_gelu(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", self.op("Mul", x, self.number(1.702))))

    # ---- attention

    def heads(self, x: str, heads: int, size: int) -> str:
        """[batch, n, heads * size] -> [batch, heads, n, size]."""
        return self.transpose(self.reshape(x, [0, 0, heads, size]), 0, 2, 1, 3)

    def attend(
        self,
        query: str,
        key: str,
        value: str,
        size: int,
        added: Sequence[str] = (),
        scale: float = 0,
    ) -> str:
        """Softmax attention of [batch, heads, n, size]; `added` are added to the scaled scores.

        -> [batch, n, heads * size]. scale: a factor for the scores; 0 means 1 / sqrt(size).
        """
        scores = self.op("MatMul", query, self.transpose(key, 0, 1, 3, 2))
        scores = self.op("Mul", scores, self.number(scale or 1.0 / math.sqrt(size)))
        for each in added:
            scores = self.op("Add", scores, each)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        return self.joined(mixed)

    def joined(self, x: str) -> str:
        """[batch, heads, n, size] -> [batch, n, heads * size]."""
        return self.reshape(self.transpose(x, 0, 2, 1, 3), [0, 0, -1])

    def mask(self, kept: str) -> str:
        """[batch, n] of 1 (token) and 0 (padding) -> [batch, 1, 1, n], to be added to the
        scores.
        """
        wide = self.op("Unsqueeze", self.op("Cast", kept, to=FLOAT), self.ints([1, 2]))
        return self.op("Mul", self.op("Sub", self.number(1.0), wide), self.number(MASKED_SCORE))

    def question_answering(
        self, x: str, hidden: int, sequence: int, outputs: Sequence[str]
    ) -> None:
        """The head of extractive question answering: logits of an answer's start and of its end,
        [batch, sequence].
        """
        logits = self.linear("qa_outputs", x, hidden, 2)
        for name, part in zip(outputs, self.split(logits, 2, 1), strict=True):
            self.output(name, self.op("Squeeze", part, self.ints([-1])), ["batch", sequence])

    # ---- the whole

    def outline(self) -> onnx.ModelProto:
        """The model with its parameters declared as inputs: enough to check it, to infer shapes and
        to count.
        """
        declared = [
            helper.make_tensor_value_info(name, FLOAT, each.shape)
            for name, each in self.parameters.items()
        ]
        return self._model([*self.inputs, *declared])

    def write(self, path: Path, seed: int, given: Mapping[str, np.ndarray] | None = None) -> None:
        """The model as an ONNX file, its parameters drawn, or taken from `given` (name -> array,
        laid out as torch's).

        They are in the file, or in `<path>.data` if they are too large for it. Each has a random
        stream of its own.
        """
        total = sum(4 * math.prod(each.shape) for each in self.parameters.values())
        (self._write_apart if total > LARGEST_FILE_BYTES else self._write_whole)(
            path, self._values(seed, given)
        )
        onnx.checker.check_model(str(path))

    def _values(
        self, seed: int, given: Mapping[str, np.ndarray] | None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Every parameter in its stored form, little-endian, one at a time."""
        for index, (name, described) in enumerate(self.parameters.items()):
            if given is None:
                value = described.draw(np.random.default_rng([seed, index]))
            elif name not in given:
                raise ValueError(f"parameter {name} is missing")
            else:
                value = given[name].T if described.turned else given[name]
            if value.shape != described.shape:
                raise ValueError(f"parameter {name} is {value.shape}; wanted is {described.shape}")
            yield name, np.ascontiguousarray(value, "<f4")

    def _write_whole(self, path: Path, values: Iterator[tuple[str, np.ndarray]]) -> None:
        """Concatenated protobuf messages are read as one merged message, so each parameter follows
        as a model of its own, with nothing else in it: no second copy of a gigabyte.
        """
        with open(path, "wb") as file:
            file.write(self._model(self.inputs).SerializeToString())
            for name, data in values:
                tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=data.shape)
                head = tensor.SerializeToString() + announced(
                    TensorProto.RAW_DATA_FIELD_NUMBER, data.nbytes
                )
                size = len(head) + data.nbytes
                initializer = announced(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, size)
                graph = announced(onnx.ModelProto.GRAPH_FIELD_NUMBER, len(initializer) + size)
                file.write(graph + initializer + head)
                file.write(data.data)

    def _write_apart(self, path: Path, values: Iterator[tuple[str, np.ndarray]]) -> None:
        model, beside = self._model(self.inputs), path.with_name(f"{path.name}.data")
        with open(beside, "wb") as file:
            for name, data in values:
                file.write(bytes(-file.tell() % PAGE_BYTES))
                tensor = model.graph.initializer.add(name=name, data_type=FLOAT, dims=data.shape)
                tensor.data_location = TensorProto.EXTERNAL
                place = {"location": beside.name, "offset": file.tell(), "length": data.nbytes}
                for key, value in place.items():
                    tensor.external_data.add(key=key, value=str(value))
                file.write(data.data)
        path.write_bytes(model.SerializeToString())

    def _model(self, inputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, self.name, list(inputs), self.outputs, constants)
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name=self.name
        )


def announced(field: int, size: int) -> bytes:
    """The header in a protobuf message before `size` bytes of `field` (wire type 2,
    length-delimited); see protobuf.dev/programming-guides/encoding.
    """
    return _varint(field << 3 | 2) + _varint(size)


def _varint(number: int) -> bytes:
    """Seven bits per byte, the lowest first; the high bit means that more follow."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)

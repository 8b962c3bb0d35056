"""An ONNX file as plain nodes: local functions inlined, values numbered, weights as arrays.

Numbers take the place of names, which a file may choose to look like code; names are kept for
messages alone. Left out: subgraphs (If, Loop, Scan), which no node of the table takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line

LONGEST_NAME = 80


@dataclass(frozen=True)
class Node:
    """`inputs` and `outputs` are numbers of values; None is an optional input that is not given."""

    op: str
    domain: str
    name: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        named = f" {one_line(self.name, LONGEST_NAME)!r}" if self.name else ""
        kind = f"{self.domain}.{self.op}" if self.domain else self.op
        return f"the node{named} ({one_line(kind, LONGEST_NAME)})"

    def given(self, at: int) -> int | None:
        """The value at that position, None if the node has no such input."""
        return self.inputs[at] if at < len(self.inputs) else None


@dataclass
class PlainGraph:
    """`inputs`: (value, numpy type) in the order of forward's arguments; `types` has that of every
    input and weight.
    """

    opset: int
    inputs: list[tuple[int, str]]
    outputs: list[int]
    nodes: list[Node]
    weights: dict[int, np.ndarray] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)

    def users(self) -> dict[int, int]:
        """How often each value is used, by nodes and as an output."""
        count: dict[int, int] = {}
        for node in self.nodes:
            for value in node.inputs:
                if value is not None:
                    count[value] = count.get(value, 0) + 1
        for value in self.outputs:
            count[value] = count.get(value, 0) + 1
        return count


def read_graph(path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> PlainGraph:
    """The graph of the ONNX file, with its inputs and outputs in the order given; only the nodes
    that these outputs need. UserError for values that torch has no type for.
    """
    import onnx
    from onnx import inliner

    model = onnx.load(str(path))
    if model.functions:
        model = inliner.inline_local_functions(model)
    graph = model.graph
    numbers: dict[str, int] = {}

    def number(name: str) -> int | None:
        return numbers.setdefault(name, len(numbers)) if name else None

    def known(name: str) -> int:
        return numbers.setdefault(name, len(numbers))

    made = PlainGraph(_opset(model), [], [], [])
    declared = {each.name: each.type.tensor_type.elem_type for each in graph.input}
    for name in inputs:
        kind = _type_name(declared[name], f"the input {name!r} of {path}")
        made.inputs.append((known(name), kind))
    for tensor in graph.initializer:
        if tensor.name in inputs:
            continue  # a default that is always replaced
        value = known(tensor.name)
        made.weights[value], made.types[value] = _array(tensor, str(path))
    if graph.sparse_initializer:
        raise UserError(f"{path} has sparse weights, which are not turned into TorchScript")
    made.types |= dict(made.inputs)
    nodes = [
        Node(
            node.op_type,
            "" if node.domain == "ai.onnx" else node.domain,
            node.name,
            tuple(number(name) for name in node.input),
            tuple(number(name) for name in node.output),
            {each.name: _attribute(each, str(path)) for each in node.attribute},
        )
        for node in graph.node
    ]
    made.outputs = [known(name) for name in outputs]
    made.nodes = _needed(nodes, made.outputs)
    used = made.users()
    made.weights = {value: array for value, array in made.weights.items() if value in used}
    return made


def _needed(nodes: Sequence[Node], outputs: Sequence[int]) -> list[Node]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if any(value in wanted for value in node.outputs):
            kept.append(node)
            wanted |= {value for value in node.inputs if value is not None}
    return kept[::-1]


def _opset(model: Any) -> int:
    for each in model.opset_import:
        if each.domain in ("", "ai.onnx"):
            return int(each.version)
    return 1


def _type_name(code: int, what: str) -> str:
    """numpy's name of an ONNX type, or "bfloat16"."""
    import onnx

    name = onnx.TensorProto.DataType.Name(code) if code else "UNDEFINED"
    known = {
        "FLOAT": "float32",
        "FLOAT16": "float16",
        "BFLOAT16": "bfloat16",
        "DOUBLE": "float64",
        "INT8": "int8",
        "UINT8": "uint8",
        "INT16": "int16",
        "INT32": "int32",
        "INT64": "int64",
        "BOOL": "bool",
    }
    if name not in known:
        raise UserError(f"{what} has the type {name}, which is not turned into TorchScript")
    return known[name]


def _array(tensor: Any, path: str) -> tuple[np.ndarray, str]:
    """The values, and their type; bfloat16 as its bits in uint16."""
    from onnx import numpy_helper

    kind = _type_name(tensor.data_type, f"a weight of {path}")
    array = np.array(numpy_helper.to_array(tensor))
    return (array.view(np.uint16) if kind == "bfloat16" else array), kind


def _attribute(attribute: Any, path: str) -> Any:
    """A number, a text, a list of those, or (array, type); None for what no node of ours has."""
    import onnx

    kinds = onnx.AttributeProto
    if attribute.type == kinds.TENSOR:
        return _array(attribute.t, path)
    if attribute.type in (kinds.INT, kinds.FLOAT, kinds.INTS, kinds.FLOATS):
        value = onnx.helper.get_attribute_value(attribute)
        return value if attribute.type in (kinds.INT, kinds.FLOAT) else list(value)
    if attribute.type == kinds.STRING:
        return attribute.s.decode("utf-8", "replace")
    if attribute.type == kinds.STRINGS:
        return [each.decode("utf-8", "replace") for each in attribute.strings]
    return None


def type_of_code(code: int, node: Node) -> str:
    """The type that a Cast names."""
    return _type_name(code, str(node))

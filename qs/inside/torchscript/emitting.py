"""Writes `forward` in the TorchScript language, node by node.

A value is a tensor, or, where it comes from a tensor's shape, a list of integers or one integer:
shapes are computed as Python would, on the CPU, and become tensors only where a node wants one.
Everything in the text is our own: names are numbers, attributes are checked literals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.inside.torchscript.graph import Node, PlainGraph

TENSOR, INTS, INT = "tensor", "ints", "int"
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "int32", "int64")
MOST_INTS = 64  # a constant this long at most is written into the text


class Unsupported(UserError):
    """A node that is not turned into TorchScript."""


def unsupported(node: Node, why: str) -> Unsupported:
    return Unsupported(f"{node} is not turned into TorchScript: {why}")


@dataclass(frozen=True)
class Value:
    """`text` is an expression; a constant has `array` and gets a text where it is used as a
    tensor.
    """

    text: str
    dtype: str
    kind: str = TENSOR
    array: np.ndarray | None = None


@dataclass(frozen=True)
class Script:
    """`source` is the text of forward; `constants` are the attributes of `self` that it uses, with
    their types.
    """

    source: str
    constants: dict[str, np.ndarray]
    types: dict[str, str]


Emit = Callable[["Emitter", Node], "Value | list[Value | None] | str"]


@dataclass
class Emitter:
    """The state of writing one graph."""

    graph: PlainGraph
    values: dict[int, Value] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    # values that are inputs, at most in another type
    from_inputs: set[int | None] = field(default_factory=set)
    _named: dict[tuple[int, str], str] = field(default_factory=dict)
    _kept: list[np.ndarray] = field(default_factory=list)  # whose ids are keys of _named
    _made: int = 0

    # ---- what a node has

    def value(self, node: Node, at: int) -> Value:
        """Of an input that has to be there."""
        number = node.given(at)
        if number is None:
            raise unsupported(node, f"it has no input {at}")
        if number not in self.values:
            raise unsupported(node, f"its input {at} is computed by no earlier node")
        return self.values[number]

    def optional(self, node: Node, at: int) -> Value | None:
        return None if node.given(at) is None else self.value(node, at)

    def tensor(self, node: Node, at: int = 0) -> str:
        """The expression of an input as a tensor."""
        return self.as_tensor(self.value(node, at))

    def as_tensor(self, value: Value) -> str:
        if value.array is not None:
            return self.constant(value)
        if value.kind == TENSOR:
            return value.text
        return f"torch.tensor({value.text}, dtype=torch.int64, device=device)"

    def constant(
        self, value: Value, how: str = "", change: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> str:
        """The attribute of `self` that holds a constant, or what `change` makes of it; `how` names
        the change, so that each is kept once.
        """
        assert value.array is not None
        key = (id(value.array), how)
        if key not in self._named:
            self._kept.append(value.array)
            name = self._named[key] = f"c{len(self.constants)}"
            self.constants[name], self.types[name] = change(value.array), value.dtype
        return f"self.{self._named[key]}"

    def operand(self, node: Node, at: int) -> str:
        """A tensor, or the literal of a constant of no dimensions, which needs no tensor."""
        value = self.value(node, at)
        literal = scalar(value)
        return self.tensor(node, at) if literal is None else literal

    def ints(self, node: Node, at: int) -> str:
        """An input as a list of integers: a literal if it is constant."""
        value = self.value(node, at)
        if value.array is not None:
            return repr([int(each) for each in value.array.reshape(-1)])
        if value.kind == INTS:
            return value.text
        if value.kind == INT:
            return f"[{value.text}]"
        return self.line(f"{value.text}.to(torch.int64).flatten().tolist()", "List[int]")

    def one_int(self, node: Node, at: int) -> str:
        """An input as one integer."""
        value = self.value(node, at)
        if value.array is not None and value.array.size == 1:
            return repr(int(value.array.reshape(-1)[0]))
        if value.kind == INT:
            return value.text
        return f"{self.ints(node, at)}[0]"

    def known_ints(self, node: Node, at: int, attribute: str = "") -> list[int] | None:
        """Of an attribute in older opsets, an input in newer; None if it is neither. Unsupported if
        it is computed.
        """
        if attribute and attribute in node.attributes:
            stated = node.attributes[attribute]
            return [int(each) for each in (stated if isinstance(stated, list) else [stated])]
        value = self.optional(node, at)
        if value is None:
            return None
        if value.array is None:
            raise unsupported(node, f"its input {at} is computed, not a constant")
        return [int(each) for each in value.array.reshape(-1)]

    # ---- what is written

    def name(self) -> str:
        self._made += 1
        return f"v{self._made}"

    def line(self, expression: str, annotation: str = "") -> str:
        """A statement that gives the expression a name."""
        name = self.name()
        self.lines.append(f"{name}{f': {annotation}' if annotation else ''} = {expression}")
        return name

    def same(self, node: Node, expression: str, at: int = 0) -> Value:
        """A tensor of the type of an input."""
        return Value(expression, self.value(node, at).dtype)


def scalar(value: Value) -> str | None:
    """The literal of a constant of no dimensions; None for anything else."""
    if value.kind == INT:
        return value.text
    if value.array is None or value.array.ndim or value.dtype not in (*FLOATS, *INTEGERS):
        return None
    return number(value.array, value.dtype)


def number(array: np.ndarray, dtype: str) -> str:
    """The literal of a single number."""
    one = array.reshape(-1)[0]
    if dtype == "bool":
        return repr(bool(one))
    if dtype in INTEGERS:
        return repr(int(one))
    if dtype == "bfloat16":
        one = np.uint32(int(one) << 16).view(np.float32)
    return real(float(one))


def real(one: float) -> str:
    if math.isnan(one):
        return 'float("nan")'
    if math.isinf(one):
        return f'{"-" if one < 0 else ""}float("inf")'
    return repr(float(one))


def script_of(
    graph: PlainGraph,
    table: Mapping[str, Emit],
    fused: Callable[[PlainGraph], PlainGraph],
    cast: Collection[int] = (),
) -> Script:
    """The text of `forward` for the graph, after `fused` has joined nodes. Unsupported names the
    first node that the table has not, or cannot write. `cast` are the places of
    the inputs that arrive as another type than the graph's.
    """
    missing = [node for node in graph.nodes if node.domain or node.op not in table]
    if missing:
        others = len({(node.domain, node.op) for node in missing}) - 1
        more = f" (and {others} other kinds of node)" if others else ""
        raise unsupported(missing[0], f"the operator is not known{more}")
    emitter = Emitter(graph)
    graph = emitter.graph = fused(graph)
    arguments = []
    for at, (number_, dtype) in enumerate(graph.inputs):
        arguments.append(f"a{at}: Tensor")
        # What feeds integers may have them in another width than the file. Floats stay as they are:
        # a module may be turned into half precision, with its inputs.
        kept = dtype in FLOATS and at not in cast
        text = f"a{at}" if kept else emitter.line(f"a{at}.to(torch.{dtype})")
        emitter.values[number_] = Value(text, dtype)
        emitter.from_inputs.add(number_)
    for number_, array in graph.weights.items():
        emitter.values[number_] = Value("", graph.types[number_], array=array)
    for node in graph.nodes:
        _write(emitter, node, table[node.op])
    results = [emitter.as_tensor(_output(emitter, value)) for value in graph.outputs]
    kinds = ", ".join(["Tensor"] * len(results))
    returned = kinds if len(results) == 1 else f"Tuple[{kinds}]"
    head = f"def forward(self, {', '.join(arguments)}) -> {returned}:"
    body = ["device = a0.device", *emitter.lines, f"return {', '.join(results)}"]
    source = "\n".join([head, *(f"    {line}" for line in body), ""])
    return Script(source, emitter.constants, emitter.types)


def _output(emitter: Emitter, value: int) -> Value:
    if value not in emitter.values:
        raise UserError("the model's outputs are computed by no node")
    return emitter.values[value]


def _write(emitter: Emitter, node: Node, emit: Emit) -> None:
    try:
        answer: Any = emit(emitter, node)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        # An attribute of another type than the operator has: a damaged or made-up file.
        why = f"its attributes or inputs are not those of the operator ({one_line(str(error))})"
        raise unsupported(node, why) from None
    if node.op in ("Identity", "Cast") and node.inputs[0] in emitter.from_inputs:
        emitter.from_inputs.add(node.outputs[0])
    answers = answer if isinstance(answer, list) else [answer]
    for number_, each in zip(node.outputs, answers, strict=False):
        if number_ is None or each is None:
            continue
        value = emitter.same(node, each) if isinstance(each, str) else each
        if value.array is None and not value.text.isidentifier():
            annotation = {INTS: "List[int]", INT: "int"}.get(value.kind, "")
            value = Value(emitter.line(value.text, annotation), value.dtype, value.kind)
        emitter.values[number_] = value

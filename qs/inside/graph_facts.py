"""What an ONNX graph says of its inputs beyond the shapes that it declares: the channels of a first
Conv, the width of a first MatMul, the rows of a table, and inputs without any shape.

Only weights that feed the first layers are looked at, through operators that keep shapes. What is
inside branches, loops and functions is left out: then a size is guessed and tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from qs.artifact.inputs import Facts

# Operators whose result has the axes of its first input; of these two, of either.
_EITHER = frozenset(("Add", "Mul"))
_KEEPING = _EITHER | frozenset(
    [
        "Abs",
        "BatchNormalization",
        "Cast",
        "Clip",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "Exp",
        "Identity",
        "LayerNormalization",
        "Log",
        "Neg",
        "Pad",
        "QuantizeLinear",
        "Relu",
        "Sigmoid",
        "Sqrt",
        "Sub",
        "Tanh",
        "Transpose",
    ]
)
# Operators whose result has the values of its input, some of them in other places.
_MOVING = frozenset(("Expand", "Flatten", "Reshape", "Squeeze", "Unsqueeze"))
_SAME_VALUES = _MOVING | {"Cast", "Identity", "Transpose"}
_CONSTANT_THROUGH = frozenset(["Cast", "DequantizeLinear", "Identity"])
MOST_STEPS = 500  # tensors looked at for one input

Axes = tuple[int, ...] | None
"""Which of the input's dimensions each dimension is; None: no longer known."""
Users = Mapping[str, list[tuple[Any, int]]]
"""Tensor -> the nodes that take it, and where among their inputs."""


def facts_of(graph: Any) -> Facts:
    """Of a GraphProto; its weights' values are not needed."""
    shapes = _constant_shapes(graph)
    users: dict[str, list[tuple[Any, int]]] = {}
    for node in graph.node:
        for at, name in enumerate(node.input):
            users.setdefault(name, []).append((node, at))
    sizes: dict[tuple[str, int], int] = {}
    tables: dict[str, int] = {}
    unranked = []
    for value in graph.input:
        kind = value.type.tensor_type
        if value.name in shapes or not value.type.HasField("tensor_type"):
            continue
        if not kind.HasField("shape"):
            unranked.append(value.name)
            continue
        start: Axes = tuple(range(len(kind.shape.dim)))
        for node, at, axes, exact in _met(value.name, start, users):
            rows = _rows(node, at, shapes) if exact else None
            if rows is not None:
                tables[value.name] = min(rows, tables.get(value.name, rows))
            for position, size in _sizes(node, at, shapes):
                if axes is not None and -len(axes) <= position < len(axes):
                    sizes.setdefault((value.name, axes[position]), size)
    return Facts(sizes, tables, frozenset(unranked))


def _constant_shapes(graph: Any) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {each.name: tuple(each.dims) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = tuple(attribute.t.dims)
        elif node.op_type in _CONSTANT_THROUGH and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
        elif node.op_type == "Transpose" and node.input[0] in found:
            before = found[node.input[0]]
            found[node.output[0]] = tuple(before[at] for at in _permutation(node, len(before)))
    return found


def _met(name: str, axes: Axes, users: Users) -> Iterator[tuple[Any, int, Axes, bool]]:
    """Each node that gets the input or what such operators make of it, the position that it gets it
    at, where the input's dimensions are in it, and whether the values are still the input's.
    """
    waiting, seen = [(name, axes, True)], {name}
    while waiting and len(seen) < MOST_STEPS:
        current, axes, exact = waiting.pop()
        for node, at in users.get(current, ()):
            yield node, at, axes, exact
            kind = node.op_type
            first = at == 0 or kind in _EITHER
            if not first or kind not in _KEEPING | _MOVING or node.output[0] in seen:
                continue
            after = None if kind in _MOVING else axes
            if kind == "Transpose" and axes is not None:
                after = tuple(axes[each] for each in _permutation(node, len(axes)))
            seen.add(node.output[0])
            waiting.append((node.output[0], after, exact and kind in _SAME_VALUES))


def _permutation(node: Any, rank: int) -> Sequence[int]:
    stated = _attribute(node, "perm")
    found = list(stated) if stated is not None else list(reversed(range(rank)))
    return found if sorted(found) == list(range(rank)) else list(range(rank))


def _attribute(node: Any, name: str) -> Any:
    for each in node.attribute:
        if each.name == name:
            return list(each.ints) if each.ints else each.i
    return None


def _sizes(node: Any, at: int, shapes: Mapping[str, Sequence[int]]) -> Iterator[tuple[int, int]]:
    """(position, size) that an operator's weights need of what it gets at `at`."""
    if at != 0:
        return
    place, needs = _LAYERS.get(node.op_type, (0, None))
    weights = shapes.get(node.input[place]) if needs and place < len(node.input) else None
    if needs and weights:
        try:
            yield from needs(node, weights)
        except IndexError:
            return  # not the shape that the operator takes: ONNX Runtime says it


def _conv(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield 1, weights[1] * (_attribute(node, "group") or 1)


def _conv_transpose(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield 1, weights[0]


def _matmul(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield -1, weights[-2] if len(weights) > 1 else weights[0]


def _gemm(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    if not _attribute(node, "transA"):
        yield 1, weights[1] if _attribute(node, "transB") else weights[0]


def _recurrent(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield 2, weights[2]


def _normalized(node: Any, weights: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield 1, weights[0]


# Operator -> where its weights are among its inputs, and what they need of the first.
_LAYERS: Mapping[str, tuple[int, Callable[[Any, Sequence[int]], Iterator[tuple[int, int]]]]] = {
    "Conv": (1, _conv),
    "ConvInteger": (1, _conv),
    "QLinearConv": (3, _conv),
    "ConvTranspose": (1, _conv_transpose),
    "MatMul": (1, _matmul),
    "MatMulInteger": (1, _matmul),
    "QLinearMatMul": (3, _matmul),
    "Gemm": (1, _gemm),
    "LSTM": (1, _recurrent),
    "GRU": (1, _recurrent),
    "RNN": (1, _recurrent),
    "BatchNormalization": (1, _normalized),
    "InstanceNormalization": (1, _normalized),
}
# EmbedLayerNormalization of ONNX Runtime: tables of words and segments.
_EMBEDDED = {0: 2, 1: 4}


def _rows(node: Any, at: int, shapes: Mapping[str, Sequence[int]]) -> int | None:
    """The rows of the table that an operator looks its input up in."""
    place = axis = 0
    if node.op_type == "Gather" and at == 1:
        axis = _attribute(node, "axis") or 0
    elif node.op_type == "EmbedLayerNormalization" and at in _EMBEDDED:
        place = _EMBEDDED[at]
    else:
        return None
    table = shapes.get(node.input[place]) if place < len(node.input) else None
    return table[axis] if table and -len(table) <= axis < len(table) else None

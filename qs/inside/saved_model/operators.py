"""ONNX's operators by TensorFlow's: those on elements, on shapes, and products of matrices.

Each takes the state and the node and returns the tensor that it makes; those in LAYERS
(qs.inside.saved_model.layers) are of networks of images. Semantics: ONNX operators, opset 13 to 21.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qs.inside.saved_model.values import TO_SECOND, Build, Operation, Values, unsupported

# onnx.TensorProto.DataType, as Cast states it.
TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}


class Last:
    """An answer with its channels last."""

    def __init__(self, tensor: Any):
        self.tensor = tensor


def _each(name: str) -> Build:
    """A function of one tensor's elements, wherever its channels are."""

    def build(v: Values, node: Operation) -> Any:
        function = _named(v.tf, name)
        if v.is_last(node):
            return Last(function(v.last(node)))
        return function(v.tensor(node))

    return build


def _two(name: str) -> Build:
    """A function of the elements of two tensors, or of one and a number."""

    def build(v: Values, node: Operation) -> Any:
        function = _named(v.tf, name)
        if v.is_last(node, 0) or v.is_last(node, 1):
            shapes = [_rank(v, node, at) for at in (0, 1)]
            if shapes == [4, 4]:
                return Last(function(v.last(node, 0), v.last(node, 1)))
        return function(v.tensor(node, 0), v.tensor(node, 1))

    return build


def _named(tf: Any, name: str) -> Any:
    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _rank(v: Values, node: Operation, at: int) -> int | None:
    array = v.array(node, at)
    if array is not None:
        return array.ndim
    return (v.last(node, at) if v.is_last(node, at) else v.tensor(node, at)).shape.rank


def _div(v: Values, node: Operation) -> Any:
    one, other = v.tensor(node, 0), v.tensor(node, 1)
    return one / other if one.dtype.is_floating else v.tf.truncatediv(one, other)


def _mod(v: Values, node: Operation) -> Any:
    function = v.tf.truncatemod if node.attributes.get("fmod") else v.tf.math.floormod
    return function(v.tensor(node, 0), v.tensor(node, 1))


def _cast(v: Values, node: Operation) -> Any:
    kind = TYPES.get(int(node.attributes.get("to", 0)))
    if kind is None:
        raise unsupported(node, f"it casts to a type (number {node.attributes.get('to')})")
    return v.tf.cast(v.tensor(node), kind)


def _identity(v: Values, node: Operation) -> Any:
    return Last(v.last(node)) if v.is_last(node) else v.tensor(node)


def _reshape(v: Values, node: Operation) -> Any:
    wanted = v.ints(node, 1)
    assert wanted is not None
    return v.reshaped(v.tensor(node), wanted, bool(node.attributes.get("allowzero")))


def _flatten(v: Values, node: Operation) -> Any:
    axis = int(node.attributes.get("axis", 1))
    x = v.tensor(node)
    if axis != 1:
        raise unsupported(node, f"its axis is {axis}, not 1")
    size = int(np.prod([each or 0 for each in x.shape.as_list()[1:]]))
    return v.tf.reshape(x, [-1, size] if size else [v.tf.shape(x)[0], -1])


def _transpose(v: Values, node: Operation) -> Any:
    order = node.attributes.get("perm")
    if order is not None and tuple(order) == TO_SECOND and not v.is_last(node):
        return Last(v.tensor(node))  # what has its channels last already
    return v.tf.transpose(v.tensor(node), order)


def _concat(v: Values, node: Operation) -> Any:
    parts = [v.tensor(node, at) for at in range(len(node.inputs))]
    return v.tf.concat(parts, int(node.attributes["axis"]))


def _split(v: Values, node: Operation) -> list[Any]:
    axis = int(node.attributes.get("axis", 0))
    sizes = v.ints(node, 1, "split")
    count = len(node.outputs)
    return v.tf.split(v.tensor(node), count if sizes is None else sizes, axis)


def _slice(v: Values, node: Operation) -> Any:
    x = v.tensor(node)
    starts, ends = v.ints(node, 1, "starts"), v.ints(node, 2, "ends")
    if starts is None or ends is None:
        raise unsupported(node, "it says no starts or ends")
    axes = v.ints(node, 3, "axes") or list(range(len(starts)))
    steps = v.ints(node, 4) or [1] * len(starts)
    cuts = [slice(None)] * x.shape.rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # INT_MAX and its like mean the end, which Python spells None.
        far = 2**31 - 1
        first = None if step < 0 and start >= far else start
        cuts[axis] = slice(first, None if abs(end) >= far else end, step)
    return x[tuple(cuts)]


def _squeeze(v: Values, node: Operation) -> Any:
    return v.tf.squeeze(v.tensor(node), v.ints(node, 1, "axes"))


def _unsqueeze(v: Values, node: Operation) -> Any:
    x, axes = v.tensor(node), v.ints(node, 1, "axes") or []
    rank = x.shape.rank + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = v.tf.expand_dims(x, axis)
    return x


def _gather(v: Values, node: Operation) -> Any:
    axis = int(node.attributes.get("axis", 0))
    x, constant = v.tensor(node), v.array(node, 1)
    if constant is None:
        return v.tf.gather(x, v.tensor(node, 1), axis=axis)
    if (constant < 0).any():  # counted from the end, which TensorFlow does not
        size = x.shape.as_list()[axis]
        if size is None:
            raise unsupported(node, "it counts from the end of a dimension of unknown size")
        constant = np.where(constant < 0, constant + size, constant)
    return v.tf.gather(x, constant, axis=axis)


def _reduced(name: str) -> Build:
    def build(v: Values, node: Operation) -> Any:
        axes = v.ints(node, 1, "axes")
        if not axes and node.attributes.get("noop_with_empty_axes"):
            return v.tensor(node)
        keeps = bool(node.attributes.get("keepdims", 1))
        return _named(v.tf, name)(v.tensor(node), axis=axes or None, keepdims=keeps)

    return build


def _softmax(v: Values, node: Operation) -> Any:
    if v.opset < 13:
        raise unsupported(node, f"opset {v.opset} has it over all of the last dimensions at once")
    return v.tf.nn.softmax(v.tensor(node), axis=int(node.attributes.get("axis", -1)))


def _matmul(v: Values, node: Operation) -> Any:
    x, weights = v.tensor(node), v.tensor(node, 1)
    sizes = x.shape.as_list()
    if weights.shape.rank != 2 or len(sizes) <= 2:
        return v.tf.linalg.matmul(x, weights)
    # One product of two matrices, as published graphs have it, not one for each item.
    flat = v.tf.linalg.matmul(v.tf.reshape(x, [-1, sizes[-1]]), weights)
    return v.reshaped_as(flat, x, int(weights.shape[-1]))


def _gemm(v: Values, node: Operation) -> Any:
    a = v.tensor(node)
    if node.attributes.get("transA"):
        a = v.tf.transpose(a)
    if not node.attributes.get("transB"):
        b = v.tensor(node, 1)
    elif v.array(node, 1) is not None:
        b = v.changed(node, 1, "turned", np.transpose)
    else:
        b = v.tf.transpose(v.tensor(node, 1))
    product = v.tf.linalg.matmul(a, b)
    alpha, beta = (float(node.attributes.get(name, 1.0)) for name in ("alpha", "beta"))
    if alpha != 1.0:
        product = product * alpha
    if node.given(2) is None:
        return product
    added = v.tensor(node, 2)
    if beta != 1.0:
        added = added * beta
    return v.tf.nn.bias_add(product, added) if added.shape.rank == 1 else product + added


OPERATORS: dict[str, Build] = {
    "Abs": _each("abs"),
    "Add": _two("add"),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _div,
    "Dropout": _identity,
    "Erf": _each("math.erf"),
    "Exp": _each("exp"),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": _identity,
    "Log": _each("math.log"),
    "MatMul": _matmul,
    "Max": _two("maximum"),
    "Min": _two("minimum"),
    "Mod": _mod,
    "Mul": _two("multiply"),
    "Neg": _each("negative"),
    "Pow": _two("pow"),
    "ReduceMax": _reduced("reduce_max"),
    "ReduceMean": _reduced("reduce_mean"),
    "ReduceSum": _reduced("reduce_sum"),
    "Relu": _each("nn.relu"),
    "Reshape": _reshape,
    "Sigmoid": _each("sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _each("sqrt"),
    "Squeeze": _squeeze,
    "Sub": _two("subtract"),
    "Tanh": _each("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

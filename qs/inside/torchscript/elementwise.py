"""Operators that work on each element, and those of types."""

from __future__ import annotations

from collections.abc import Callable

from qs.inside.torchscript.emitting import (
    INT,
    INTEGERS,
    Emit,
    Emitter,
    Value,
    real,
    scalar,
    unsupported,
)
from qs.inside.torchscript.graph import Node, type_of_code


def _called(function: str, dtype: str | None = None) -> Emit:
    """function(x)."""

    def emit(e: Emitter, node: Node) -> Value:
        return Value(f"{function}({e.tensor(node)})", dtype or e.value(node, 0).dtype)

    return emit


def _with(text: str, **defaults: float) -> Emit:
    """An expression of x and of attributes that are numbers."""

    def emit(e: Emitter, node: Node) -> Value:
        numbers = {
            name: real(float(node.attributes.get(name, default)))
            for name, default in defaults.items()
        }
        return e.same(node, text.format(x=e.tensor(node), **numbers))

    return emit


def _binary(sign: str) -> Callable[[Emitter, Node], Value]:
    def emit(e: Emitter, node: Node) -> Value:
        one, other = e.value(node, 0), e.value(node, 1)
        literal, second = scalar(one), scalar(other)
        if literal and second and one.dtype == other.dtype == "int64":
            return Value(f"({literal} {sign} {second})", "int64", INT)
        if literal is None or second is not None:
            return e.same(node, f"({e.tensor(node)} {sign} {e.operand(node, 1)})")
        return e.same(node, f"({literal} {sign} {e.tensor(node, 1)})", 1)

    return emit


def _div(e: Emitter, node: Node) -> Value:
    one, other = e.value(node, 0), e.value(node, 1)
    if one.dtype not in INTEGERS:
        return _as_float(e, node)
    if one.kind == INT and scalar(other) is not None and scalar(other) != "0":
        return Value(f"({one.text} // {scalar(other)})", "int64", INT)
    quotient = f"torch.div({e.tensor(node)}, {e.operand(node, 1)}, rounding_mode='trunc')"
    return e.same(node, quotient)


_as_float = _binary("/")


def _compared(function: str) -> Emit:
    def emit(e: Emitter, node: Node) -> Value:
        return Value(f"torch.{function}({e.tensor(node)}, {e.operand(node, 1)})", "bool")

    return emit


def _of_tensors(function: str) -> Emit:
    """function(a, b), of tensors."""

    def emit(e: Emitter, node: Node) -> Value:
        return e.same(node, f"torch.{function}({e.tensor(node)}, {e.tensor(node, 1)})")

    return emit


def _chained(function: str) -> Emit:
    """function(function(a, b), c) of any number of tensors."""

    def emit(e: Emitter, node: Node) -> Value:
        text = e.tensor(node)
        for at in range(1, len(node.inputs)):
            text = f"torch.{function}({text}, {e.tensor(node, at)})"
        return e.same(node, text)

    return emit


def _mean(e: Emitter, node: Node) -> Value:
    total = _chained("add")(e, node)
    assert isinstance(total, Value)
    return Value(f"({total.text} / {len(node.inputs)})", total.dtype)


def _pow(e: Emitter, node: Node) -> Value:
    base, power = e.value(node, 0), e.value(node, 1)
    text = f"torch.pow({e.tensor(node)}, {e.operand(node, 1)})"
    return e.same(node, text if base.dtype == power.dtype else f"{text}.to(torch.{base.dtype})")


def _mod(e: Emitter, node: Node) -> Value:
    function = "fmod" if node.attributes.get("fmod", 0) else "remainder"
    return e.same(node, f"torch.{function}({e.tensor(node)}, {e.operand(node, 1)})")


def _clip(e: Emitter, node: Node) -> Value:
    x = e.tensor(node)
    bounds = [
        real(float(node.attributes[name]))
        if name in node.attributes
        else (e.operand(node, at) if e.optional(node, at) is not None else "None")
        for at, name in ((1, "min"), (2, "max"))
    ]
    # torch takes two numbers or two tensors
    if any(bound.startswith(("v", "self.")) for bound in bounds):
        bounds = [
            "None" if each == "None" else e.tensor(node, 1 + at) for at, each in enumerate(bounds)
        ]
    if bounds == ["None", "None"]:
        return e.same(node, x)
    return e.same(node, f"torch.clamp({x}, {bounds[0]}, {bounds[1]})")


def _prelu(e: Emitter, node: Node) -> Value:
    x = e.tensor(node)
    return e.same(node, f"torch.where({x} < 0, {x} * {e.tensor(node, 1)}, {x})")


def _gelu(e: Emitter, node: Node) -> Value:
    how = "tanh" if node.attributes.get("approximate") == "tanh" else "none"
    return e.same(node, f"torch.nn.functional.gelu({e.tensor(node)}, approximate='{how}')")


def _where(e: Emitter, node: Node) -> Value:
    text = f"torch.where({e.tensor(node)}, {e.tensor(node, 1)}, {e.tensor(node, 2)})"
    return e.same(node, text, 1)


def _identity(e: Emitter, node: Node) -> Value:
    return e.value(node, 0)


def _dropout(e: Emitter, node: Node) -> Value:
    if len(node.outputs) > 1 and node.outputs[1] in e.graph.users():
        raise unsupported(node, "its mask is used")
    return e.value(node, 0)


def _constant(e: Emitter, node: Node) -> Value:
    import numpy as np

    found = node.attributes
    if isinstance(found.get("value"), tuple):
        array, dtype = found["value"]
        return Value("", dtype, array=array)
    for name, dtype in (
        ("value_int", "int64"),
        ("value_ints", "int64"),
        ("value_float", "float32"),
        ("value_floats", "float32"),
    ):
        if name in found:
            return Value("", dtype, array=np.asarray(found[name], dtype))
    raise unsupported(node, "it holds neither a tensor nor numbers")


def _cast(e: Emitter, node: Node) -> Value:
    x = e.value(node, 0)
    dtype = type_of_code(int(node.attributes["to"]), node)
    if dtype == x.dtype:
        return x
    return Value(f"{e.tensor(node)}.to(torch.{dtype})", dtype)


def _cast_like(e: Emitter, node: Node) -> Value:
    x, like = e.value(node, 0), e.value(node, 1)
    return (
        x
        if x.dtype == like.dtype
        else Value(f"{e.tensor(node)}.to(torch.{like.dtype})", like.dtype)
    )


def _sign_kept(e: Emitter, node: Node) -> Value:
    x = e.value(node, 0)
    if x.kind == INT:
        return Value(f"(-{x.text})", "int64", INT)
    return e.same(node, f"torch.neg({e.tensor(node)})")


_PLAIN = (
    *("abs", "exp", "log", "sqrt", "reciprocal", "floor", "ceil", "round", "sign", "sin", "cos"),
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "tanh", "sigmoid"),
    *("relu", "erf"),
)
_NEURAL = {
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSwish": "hardswish",
    "Mish": "mish",
}

ELEMENTWISE: dict[str, Emit] = {
    **{name.capitalize(): _called(f"torch.{name}") for name in _PLAIN},
    **{name: _called(f"torch.nn.functional.{own}") for name, own in _NEURAL.items()},
    "Neg": _sign_kept,
    "Not": _called("torch.logical_not", "bool"),
    "IsNaN": _called("torch.isnan", "bool"),
    "IsInf": _called("torch.isinf", "bool"),
    "BitwiseNot": _called("torch.bitwise_not"),
    "LeakyRelu": _with("torch.nn.functional.leaky_relu({x}, {alpha})", alpha=0.01),
    "Elu": _with("torch.nn.functional.elu({x}, {alpha})", alpha=1.0),
    "Celu": _with("torch.nn.functional.celu({x}, {alpha})", alpha=1.0),
    "Selu": _with(
        "({gamma} * torch.where({x} > 0, {x}, {alpha} * torch.exp({x}) - {alpha}))",
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "HardSigmoid": _with("torch.clamp({x} * {alpha} + {beta}, 0.0, 1.0)", alpha=0.2, beta=0.5),
    "ThresholdedRelu": _with("torch.threshold({x}, {alpha}, 0.0)", alpha=1.0),
    "Swish": _with("({x} * torch.sigmoid({x} * {alpha}))", alpha=1.0),
    "Gelu": _gelu,
    "PRelu": _prelu,
    "Clip": _clip,
    "Add": _binary("+"),
    "Sub": _binary("-"),
    "Mul": _binary("*"),
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "Min": _chained("minimum"),
    "Max": _chained("maximum"),
    "Sum": _chained("add"),
    "Mean": _mean,
    "And": _of_tensors("logical_and"),
    "Or": _of_tensors("logical_or"),
    "Xor": _of_tensors("logical_xor"),
    "BitwiseAnd": _of_tensors("bitwise_and"),
    "BitwiseOr": _of_tensors("bitwise_or"),
    "BitwiseXor": _of_tensors("bitwise_xor"),
    "Equal": _compared("eq"),
    "Greater": _compared("gt"),
    "GreaterOrEqual": _compared("ge"),
    "Less": _compared("lt"),
    "LessOrEqual": _compared("le"),
    "Where": _where,
    "Identity": _identity,
    "Dropout": _dropout,
    "Constant": _constant,
    "Cast": _cast,
    "CastLike": _cast_like,
}

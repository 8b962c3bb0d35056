"""Operators between real and whole numbers: weights and activations in eight bits."""

from __future__ import annotations

import numpy as np

from qs.inside.torchscript.emitting import Emit, Emitter, Value, scalar, unsupported
from qs.inside.torchscript.graph import Node


def _quantize(e: Emitter, node: Node) -> Value:
    zero = e.optional(node, 2)
    dtype = "uint8" if zero is None else zero.dtype
    if dtype not in ("int8", "uint8", "int16", "int32"):
        raise unsupported(node, f"it makes {dtype}")
    limits = np.iinfo(dtype)
    x, axis = e.tensor(node), int(node.attributes.get("axis", 1))
    scaled = f"torch.round({x} / {_along(e, node, 1, x, axis)})"
    if zero is not None:
        moved = (
            f"{_along(e, node, 2, x, axis)}"
            if scalar(zero)
            else (f"{_along(e, node, 2, x, axis)}.to({x}.dtype)")
        )
        scaled = f"({scaled} + {moved})"
    text = f"torch.clamp({scaled}, {float(limits.min)}, {float(limits.max)}).to(torch.{dtype})"
    return Value(text, dtype)


def _dequantize(e: Emitter, node: Node) -> Value:
    scale, axis = e.value(node, 1), int(node.attributes.get("axis", 1))
    if node.attributes.get("block_size", 0):
        raise unsupported(node, "it is quantized in blocks")
    zero = e.optional(node, 2)
    whole = _dequantized(e.value(node, 0), scale, zero, axis)
    if whole is not None:
        return whole
    x = e.tensor(node)
    text = f"{x}.to(torch.{scale.dtype})"
    if zero is not None:
        moved = _along(e, node, 2, x, axis)
        text = f"({text} - {moved if scalar(zero) else f'{moved}.to(torch.{scale.dtype})'})"
    return Value(f"({text} * {_along(e, node, 1, x, axis)})", scale.dtype)


def _dequantized(x: Value, scale: Value, zero: Value | None, axis: int) -> Value | None:
    """Weights that are stored as whole numbers, as the constants that they stand for."""
    if x.array is None or scale.array is None or scale.dtype != "float32":
        return None
    if zero is not None and zero.array is None:
        return None
    parts = [
        one.reshape([-1 if at == axis % x.array.ndim else 1 for at in range(x.array.ndim)])
        if one.ndim == 1
        else one
        for one in (scale.array, zero.array if zero is not None and zero.array is not None else ())
        if isinstance(one, np.ndarray)
    ]
    values = x.array.astype(np.float32)
    if len(parts) > 1:
        values = values - parts[1].astype(np.float32)
    return Value("", "float32", array=values * parts[0])


def _along(e: Emitter, node: Node, at: int, x: str, axis: int) -> str:
    """A scale or zero point: a number, or one for each place of an axis."""
    literal = scalar(e.value(node, at))
    return literal if literal is not None else f"along({x}, {e.tensor(node, at)}, {axis})"


def _quantize_dynamically(e: Emitter, node: Node) -> list[Value | None]:
    parts = e.line(f"quantized_dynamically({e.tensor(node)})")
    kinds = ("uint8", "float32", "uint8")
    return [Value(f"{parts}[{at}]", kind) for at, kind in enumerate(kinds)]


def _matmul_integer(e: Emitter, node: Node) -> Value:
    """In float64, which holds every sum of products of bytes, and which every device multiplies."""
    sides = []
    for at in (0, 1):
        text = f"{e.tensor(node, at)}.to(torch.float64)"
        if node.given(at + 2) is not None:
            text = f"({text} - {e.tensor(node, at + 2)}.to(torch.float64))"
        sides.append(text)
    return Value(f"torch.matmul({sides[0]}, {sides[1]}).to(torch.int32)", "int32")


QUANTIZED: dict[str, Emit] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _quantize_dynamically,
    "MatMulInteger": _matmul_integer,
}

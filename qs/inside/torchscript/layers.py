"""Operators with weights, windows or a norm: products, convolutions, pools, normalizations."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qs.inside.torchscript.emitting import Emit, Emitter, Value, real, unsupported
from qs.inside.torchscript.fusing import GELU, LINEAR
from qs.inside.torchscript.graph import Node

_EQUATION = re.compile(r"[a-zA-Z]*(?:\.\.\.)?[a-zA-Z,. ]*(?:->[a-zA-Z. ]*)?")
_SAME = ("SAME_UPPER", "SAME_LOWER")


def _turned(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.T)


def _matmul(e: Emitter, node: Node) -> Value:
    """With a constant matrix [in, out] a linear layer, whose weights are [out, in] in torch."""
    second = e.value(node, 1)
    bias = e.tensor(node, 2) if node.given(2) is not None else "None"
    x = e.tensor(node)
    if second.array is not None and second.array.ndim == 2:
        weights = e.constant(second, "turned", _turned)
        return e.same(node, f"torch.nn.functional.linear({x}, {weights}, {bias})")
    return e.same(node, f"torch.matmul({x}, {e.tensor(node, 1)})")


def _gemm(e: Emitter, node: Node) -> Value:
    found = node.attributes
    alpha, beta = float(found.get("alpha", 1.0)), float(found.get("beta", 1.0))
    second, third = e.value(node, 1), e.optional(node, 2)
    x = f"{e.tensor(node)}.t()" if found.get("transA", 0) else e.tensor(node)
    plain_bias = third is None or (third.array is not None and third.array.ndim == 1)
    if alpha == beta == 1.0 and second.array is not None and plain_bias:
        stored = found.get("transB", 0)
        weights = e.constant(second) if stored else e.constant(second, "turned", _turned)
        out = second.array.shape[0 if stored else 1]
        bias = None if third is None or third.array is None else third.array
        if bias is None or len(bias) == out:
            text = "None" if bias is None else e.tensor(node, 2)
            return e.same(node, f"torch.nn.functional.linear({x}, {weights}, {text})")
    other = f"{e.tensor(node, 1)}.t()" if found.get("transB", 0) else e.tensor(node, 1)
    made = f"torch.matmul({x}, {other})"
    if alpha != 1.0:
        made = f"({made} * {real(alpha)})"
    if third is not None:
        added = e.tensor(node, 2)
        made = f"({made} + {added if beta == 1.0 else f'{added} * {real(beta)}'})"
    return e.same(node, made)


def _einsum(e: Emitter, node: Node) -> Value:
    equation = str(node.attributes["equation"]).replace(" ", "")
    if not _EQUATION.fullmatch(equation):
        raise unsupported(node, "its equation has other signs than letters")
    parts = ", ".join(e.tensor(node, at) for at in range(len(node.inputs)))
    return e.same(node, f"torch.einsum('{equation}', [{parts}])")


# ---- windows


def _ints(node: Node, name: str, default: Sequence[int]) -> list[int]:
    stated = node.attributes.get(name)
    return [int(each) for each in (default if stated is None else stated)]


def _rank(e: Emitter, node: Node) -> int:
    """Spatial dimensions, of the weights or of the kernel."""
    if "kernel_shape" in node.attributes:
        return len(node.attributes["kernel_shape"])
    weights = e.value(node, 1)
    if weights.array is None:
        raise unsupported(node, "neither its weights nor its kernel_shape are constant")
    return weights.array.ndim - 2


def _windows(
    e: Emitter, node: Node, rank: int, kernel: Sequence[int], filled: str
) -> tuple[str, list[int], list[int], list[int]]:
    """(x, padded if torch cannot pad so itself; strides, the pads that are left, dilations)."""
    if rank not in (1, 2, 3):
        raise unsupported(node, f"it has {rank} spatial dimensions; known: 1, 2, 3")
    strides, dilations = _ints(node, "strides", [1] * rank), _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * 2 * rank)
    x, how = e.tensor(node), node.attributes.get("auto_pad", "NOTSET")
    if how in _SAME:
        upper = how == "SAME_UPPER"
        x = e.line(f"pad_alike({x}, {list(kernel)}, {strides}, {dilations}, {upper}, {filled})")
        return x, strides, [0] * rank, dilations
    if how == "VALID":
        pads = [0] * 2 * rank
    if pads[:rank] == pads[rank:] and min(pads) >= 0:
        return x, strides, pads[:rank], dilations
    both = [side for at in reversed(range(rank)) for side in (pads[at], pads[rank + at])]
    x = e.line(f"torch.nn.functional.pad({x}, {both}, 'constant', {filled})")
    return x, strides, [0] * rank, dilations


def _conv(e: Emitter, node: Node) -> Value:
    rank = _rank(e, node)
    weights = e.value(node, 1)
    kernel = _ints(
        node, "kernel_shape", weights.array.shape[2:] if weights.array is not None else []
    )
    x, strides, pads, dilations = _windows(e, node, rank, kernel, "0.0")
    bias = e.tensor(node, 2) if node.given(2) is not None else "None"
    groups = int(node.attributes.get("group", 1))
    arguments = f"{x}, {e.tensor(node, 1)}, {bias}, {strides}, {pads}, {dilations}, {groups}"
    return e.same(node, f"torch.conv{rank}d({arguments})")


def _conv_transpose(e: Emitter, node: Node) -> Value:
    rank = _rank(e, node)
    if node.attributes.get("auto_pad", "NOTSET") in _SAME or "output_shape" in node.attributes:
        raise unsupported(node, "it states output_shape or auto_pad; known: pads")
    strides, dilations = _ints(node, "strides", [1] * rank), _ints(node, "dilations", [1] * rank)
    pads, more = _ints(node, "pads", [0] * 2 * rank), _ints(node, "output_padding", [0] * rank)
    begins, ends = pads[:rank], pads[rank:]
    # torch cuts both sides alike: what the end is cut less is added, what it is cut more sliced off
    kept = [
        max(begin - end, 0) + extra for begin, end, extra in zip(begins, ends, more, strict=True)
    ]
    if any(extra >= max(s, d) for extra, s, d in zip(kept, strides, dilations, strict=True)):
        raise unsupported(node, "its pads differ by more than its strides")
    bias = e.tensor(node, 2) if node.given(2) is not None else "None"
    groups = int(node.attributes.get("group", 1))
    text = (
        f"torch.conv_transpose{rank}d({e.tensor(node)}, {e.tensor(node, 1)}, {bias}, {strides}, "
        f"{begins}, {kept}, {groups}, {dilations})"
    )
    for at, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if end > begin:
            text = f"torch.ops.aten.slice({text}, {at + 2}, 0, {begin - end}, 1)"
    return e.same(node, text)


def _max_pool(e: Emitter, node: Node) -> Value:
    if len(node.outputs) > 1 and node.outputs[1] in e.graph.users():
        raise unsupported(node, "its indices are used")
    kernel = _ints(node, "kernel_shape", [])
    x, strides, pads, dilations = _windows(e, node, len(kernel), kernel, '-float("inf")')
    x, pads = _narrow(e, x, kernel, pads, '-float("inf")')
    ceil = bool(node.attributes.get("ceil_mode", 0))
    arguments = f"{x}, {kernel}, {strides}, {pads}, {dilations}, {ceil}"
    return e.same(node, f"torch.max_pool{len(kernel)}d({arguments})")


def _narrow(
    e: Emitter, x: str, kernel: Sequence[int], pads: list[int], filled: str
) -> tuple[str, list[int]]:
    """torch's pools pad by half a window at most."""
    if all(2 * pad <= size for pad, size in zip(pads, kernel, strict=True)):
        return x, pads
    both = [pad for pad in reversed(pads) for _ in range(2)]
    return e.line(f"torch.nn.functional.pad({x}, {both}, 'constant', {filled})"), [0] * len(pads)


def _average_pool(e: Emitter, node: Node) -> Value:
    kernel = _ints(node, "kernel_shape", [])
    rank = len(kernel)
    counted = bool(node.attributes.get("count_include_pad", 0))
    ceil = bool(node.attributes.get("ceil_mode", 0))
    if any(each != 1 for each in _ints(node, "dilations", [1] * rank)):
        raise unsupported(node, "its dilations are not 1")
    before = e.tensor(node)
    x, strides, pads, _ = _windows(e, node, rank, kernel, "0.0")
    if x != before and not counted:
        # The padded places do not count: divided by the share of each window that is inside.
        ones, _, _, _ = _windows_of(e, node, f"torch.ones_like({before})", rank, kernel)
        pool = f"torch.nn.functional.avg_pool{rank}d"
        rest = f"{kernel}, {strides}, {pads}, {ceil}"
        return e.same(node, f"({pool}({x}, {rest}) / {pool}({ones}, {rest}))")
    arguments = f"{x}, {kernel}, {strides}, {pads}, {ceil}, {counted}"
    return e.same(node, f"torch.nn.functional.avg_pool{rank}d({arguments})")


def _windows_of(
    e: Emitter, node: Node, text: str, rank: int, kernel: Sequence[int]
) -> tuple[str, list[int], list[int], list[int]]:
    """_windows of another tensor than the node's input."""
    first = node.inputs[0]
    assert first is not None
    kept, e.values[first] = e.values[first], Value(e.line(text), e.values[first].dtype)
    try:
        return _windows(e, node, rank, kernel, "0.0")
    finally:
        e.values[first] = kept


def _global_pool(function: str) -> Emit:
    def emit(e: Emitter, node: Node) -> Value:
        x = e.tensor(node)
        return e.same(node, f"torch.{function}({x}, every_axis({x}, 2), True)")

    return emit


# ---- norms


def _batch_norm(e: Emitter, node: Node) -> Value:
    if node.attributes.get("training_mode", 0):
        raise unsupported(node, "it is in training mode")
    x, scale, bias, mean, variance = (e.tensor(node, at) for at in range(5))
    eps = real(float(node.attributes.get("epsilon", 1e-5)))
    call = f"{x}, {mean}, {variance}, {scale}, {bias}, False, 0.0, {eps}"
    return e.same(node, f"torch.nn.functional.batch_norm({call})")


def _instance_norm(e: Emitter, node: Node) -> Value:
    x, scale, bias = (e.tensor(node, at) for at in range(3))
    eps = real(float(node.attributes.get("epsilon", 1e-5)))
    return e.same(
        node, f"torch.instance_norm({x}, {scale}, {bias}, None, None, True, 0.0, {eps}, False)"
    )


def _layer_norm(e: Emitter, node: Node) -> Value:
    if any(value in e.graph.users() for value in node.outputs[1:]):
        raise unsupported(node, "its mean or deviation is used")
    axis = int(node.attributes.get("axis", -1))
    eps = real(float(node.attributes.get("epsilon", 1e-5)))
    x, scale, bias = e.tensor(node), e.value(node, 1), e.optional(node, 2)
    if axis == -1 and all(
        each is None or (each.array is not None and each.array.ndim == 1) for each in (scale, bias)
    ):
        assert scale.array is not None
        shift = "None" if bias is None else e.tensor(node, 2)
        call = f"{x}, [{len(scale.array)}], {e.tensor(node, 1)}, {shift}, {eps}"
        return e.same(node, f"torch.nn.functional.layer_norm({call})")
    text = f"torch.nn.functional.layer_norm({x}, {x}.size()[{axis}:], None, None, {eps})"
    text = f"({text} * {e.tensor(node, 1)})"
    return e.same(node, text if bias is None else f"({text} + {e.tensor(node, 2)})")


def _group_norm(e: Emitter, node: Node) -> Value:
    groups = int(node.attributes["num_groups"])
    eps = real(float(node.attributes.get("epsilon", 1e-5)))
    x, parts = e.tensor(node), [e.tensor(node, at) for at in (1, 2)]
    if e.graph.opset < 21:  # a scale and a shift for each group
        parts = [f"{part}.repeat_interleave({x}.size(1) // {groups})" for part in parts]
    return e.same(
        node, f"torch.nn.functional.group_norm({x}, {groups}, {parts[0]}, {parts[1]}, {eps})"
    )


def _lrn(e: Emitter, node: Node) -> Value:
    found = node.attributes
    numbers = (float(found.get(*each)) for each in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    rest = ", ".join(map(real, numbers))
    text = (
        f"torch.nn.functional.local_response_norm({e.tensor(node)}, {int(found['size'])}, {rest})"
    )
    return e.same(node, text)


def _softmax(function: str) -> Emit:
    def emit(e: Emitter, node: Node) -> Value:
        x, late = e.tensor(node), e.graph.opset >= 13
        axis = int(node.attributes.get("axis", -1 if late else 1))
        if late or axis == -1:
            return e.same(node, f"torch.{function}({x}, {axis})")
        if function != "softmax":
            raise unsupported(node, "before opset 13 it is known along the last axis alone")
        return e.same(node, f"softmax_from({x}, {axis})")

    return emit


def _gelu(e: Emitter, node: Node) -> Value:
    return e.same(node, f"torch.nn.functional.gelu({e.tensor(node)})")


LAYERS: dict[str, Emit] = {
    "MatMul": _matmul,
    LINEAR: _matmul,
    GELU: _gelu,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("amax"),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "LRN": _lrn,
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
}

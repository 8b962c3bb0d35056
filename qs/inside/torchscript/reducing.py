"""Operators that make one element of many."""

from __future__ import annotations

from qs.inside.torchscript.emitting import INTEGERS, Emit, Emitter, Value, unsupported
from qs.inside.torchscript.graph import Node


def _reduced(text: str) -> Emit:
    """`text` with {x}, {axes} and {kept}."""

    def emit(e: Emitter, node: Node) -> Value:
        x, axes = e.value(node, 0), _axes(e, node)
        if not axes:
            return x
        kept = bool(node.attributes.get("keepdims", 1))
        made = text.format(x=e.tensor(node), axes=axes, kept=kept)
        # torch widens sums of whole numbers
        wide = x.dtype in (*INTEGERS, "bool")
        return e.same(node, f"{made}.to(torch.{x.dtype})" if wide else made)

    return emit


def _axes(e: Emitter, node: Node) -> str:
    """The axes as a list of integers; "" where nothing is reduced."""
    if "axes" in node.attributes:
        return repr([int(each) for each in node.attributes["axes"]])
    stated = e.optional(node, 1)
    if stated is not None and (stated.array is None or stated.array.size):
        return e.ints(node, 1)
    if node.attributes.get("noop_with_empty_axes", 0):
        return ""
    return f"every_axis({e.tensor(node)}, 0)"


def _place(function: str) -> Emit:
    def emit(e: Emitter, node: Node) -> Value:
        if node.attributes.get("select_last_index", 0):
            raise unsupported(node, "it selects the last of equal values")
        axis, kept = int(node.attributes.get("axis", 0)), bool(node.attributes.get("keepdims", 1))
        return Value(f"torch.{function}({e.tensor(node)}, {axis}, {kept})", "int64")

    return emit


def _top_k(e: Emitter, node: Node) -> list[Value | None]:
    found = node.attributes
    k = repr(int(found["k"])) if "k" in found else e.one_int(node, 1)
    largest, ordered = bool(found.get("largest", 1)), bool(found.get("sorted", 1))
    axis = int(found.get("axis", -1))
    parts = e.line(f"torch.topk({e.tensor(node)}, {k}, {axis}, {largest}, {ordered})")
    return [e.same(node, f"{parts}[0]"), Value(f"{parts}[1]", "int64")]


def _cum_sum(e: Emitter, node: Node) -> Value:
    exclusive, reverse = (bool(node.attributes.get(each, 0)) for each in ("exclusive", "reverse"))
    call = f"{e.tensor(node)}, {e.one_int(node, 1)}, {exclusive}, {reverse}"
    return e.same(node, f"running_sum({call})")


REDUCING: dict[str, Emit] = {
    "ReduceSum": _reduced("torch.sum({x}, {axes}, {kept})"),
    "ReduceMean": _reduced("torch.mean({x}, {axes}, {kept})"),
    "ReduceMax": _reduced("torch.amax({x}, {axes}, {kept})"),
    "ReduceMin": _reduced("torch.amin({x}, {axes}, {kept})"),
    "ReduceProd": _reduced("product({x}, {axes}, {kept})"),
    "ReduceL1": _reduced("torch.sum(torch.abs({x}), {axes}, {kept})"),
    "ReduceL2": _reduced("torch.sqrt(torch.sum({x} * {x}, {axes}, {kept}))"),
    "ReduceSumSquare": _reduced("torch.sum({x} * {x}, {axes}, {kept})"),
    "ReduceLogSum": _reduced("torch.log(torch.sum({x}, {axes}, {kept}))"),
    "ReduceLogSumExp": _reduced("torch.logsumexp({x}, {axes}, {kept})"),
    "ArgMax": _place("argmax"),
    "ArgMin": _place("argmin"),
    "TopK": _top_k,
    "CumSum": _cum_sum,
}

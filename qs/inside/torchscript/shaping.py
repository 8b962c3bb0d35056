"""Operators that move elements: shapes, slices, gathering and scattering."""

from __future__ import annotations

import numpy as np

from qs.inside.torchscript.emitting import (
    INT,
    INTS,
    MOST_INTS,
    Emit,
    Emitter,
    Value,
    number,
    unsupported,
)
from qs.inside.torchscript.graph import Node

_REDUCTIONS = {"none": "", "add": "add"}


def _shape(e: Emitter, node: Node) -> Value:
    x = e.value(node, 0)
    size = f"{e.tensor(node)}.size()" if x.array is None else repr(list(x.array.shape))
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    if start or end is not None:
        size += f"[{int(start)}:{'' if end is None else int(end)}]"
    return Value(size, "int64", INTS)


def _size(e: Emitter, node: Node) -> Value:
    return Value(f"{e.tensor(node)}.numel()", "int64", INT)


def _reshape(e: Emitter, node: Node) -> Value:
    x, shape = e.value(node, 0), e.value(node, 1)
    if shape.array is None:
        if x.kind in (INT, INTS):
            return e.same(node, f"{e.tensor(node)}.reshape({e.ints(node, 1)})")
        kept = bool(node.attributes.get("allowzero", 0))
        sizes = e.ints(node, 1) if kept else f"shape_of({e.tensor(node)}, {e.ints(node, 1)})"
        return e.same(node, f"{e.tensor(node)}.reshape({sizes})")
    wanted = [int(each) for each in shape.array.reshape(-1)]
    if x.kind == INT and wanted in ([1], [-1]):
        return Value(f"[{x.text}]", "int64", INTS)
    if x.kind == INTS and wanted == [-1]:
        return x
    text = e.tensor(node)
    parts = [
        f"{text}.size({at})" if size == 0 and not node.attributes.get("allowzero", 0) else str(size)
        for at, size in enumerate(wanted)
    ]
    return e.same(node, f"{text}.reshape([{', '.join(parts)}])" if parts else f"{text}.reshape(())")


def _flatten(e: Emitter, node: Node) -> Value:
    axis = int(node.attributes.get("axis", 1))
    x = e.tensor(node)
    return e.same(node, f"torch.flatten({x}, 1)" if axis == 1 else f"flat_at({x}, {axis})")


def _squeeze(e: Emitter, node: Node) -> Value:
    x = e.value(node, 0)
    if x.kind == INTS:
        return Value(f"{x.text}[0]", "int64", INT)
    if x.kind == INT:
        return x
    axes = e.known_ints(node, 1, "axes")
    text = e.tensor(node)
    if axes is None:
        return e.same(node, f"torch.squeeze({text})")
    if len(axes) == 1:
        return e.same(node, f"torch.squeeze({text}, {axes[0]})")
    return e.same(node, f"without({text}, {axes})")


def _unsqueeze(e: Emitter, node: Node) -> Value:
    x, axes = e.value(node, 0), e.known_ints(node, 1, "axes") or []
    if x.kind == INT and axes in ([0], [-1]):
        return Value(f"[{x.text}]", "int64", INTS)
    text = e.tensor(node)
    if len(axes) == 1 or (axes == sorted(axes) and all(axis >= 0 for axis in axes)):
        for axis in axes:
            text += f".unsqueeze({axis})"
        return e.same(node, text)
    return e.same(node, f"with_ones({text}, {axes})")


def _transpose(e: Emitter, node: Node) -> Value:
    order = node.attributes.get("perm")
    if order is None:
        return e.same(node, f"turned({e.tensor(node)})")
    return e.same(node, f"{e.tensor(node)}.permute({[int(each) for each in order]})")


def _concat(e: Emitter, node: Node) -> Value:
    values = [e.value(node, at) for at in range(len(node.inputs))]
    if any(each.kind == INTS for each in values) and all(map(_list_like, values)):
        return Value(
            f"({' + '.join(e.ints(node, at) for at in range(len(values)))})", "int64", INTS
        )
    parts = ", ".join(e.tensor(node, at) for at in range(len(values)))
    return e.same(node, f"torch.cat([{parts}], {int(node.attributes.get('axis', 1))})")


def _list_like(value: Value) -> bool:
    """A list of integers, or a short constant that is as good as one."""
    array = value.array
    return value.kind == INTS or (
        array is not None and value.dtype == "int64" and array.ndim == 1 and array.size <= MOST_INTS
    )


def _split(e: Emitter, node: Node) -> list[Value | None]:
    x, axis = e.tensor(node), int(node.attributes.get("axis", 0))
    count = len(node.outputs)
    sizes = e.known_ints(node, 1, "split")
    parts = e.line(
        f"torch.chunk({x}, {count}, {axis})"
        if sizes is None
        else f"torch.split_with_sizes({x}, {sizes}, {axis})"
    )
    return [e.same(node, f"{parts}[{at}]") for at in range(count)]


def _slice(e: Emitter, node: Node) -> Value:
    x = e.value(node, 0)
    if "starts" in node.attributes:  # before opset 10
        starts, ends = (list(map(int, node.attributes[name])) for name in ("starts", "ends"))
        axes = list(map(int, node.attributes.get("axes", range(len(starts)))))
        return _sliced(e, node, starts, ends, axes, [1] * len(starts))
    constant = all(
        each is None or each.array is not None
        for each in (e.optional(node, at) for at in range(1, 5))
    )
    if constant:
        starts, ends = e.known_ints(node, 1) or [], e.known_ints(node, 2) or []
        steps = e.known_ints(node, 4) or [1] * len(starts)
        axes = e.known_ints(node, 3) or list(range(len(starts)))
        if x.kind == INTS and steps == [1] and axes in ([0], [-1]):
            return Value(f"{x.text}[{starts[0]}:{ends[0]}]", "int64", INTS)
        return _sliced(e, node, starts, ends, axes, steps)
    starts_text, ends_text = e.ints(node, 1), e.ints(node, 2)
    axes_text, steps_text = (
        e.ints(node, at) if e.optional(node, at) is not None else "None" for at in (3, 4)
    )
    call = f"sliced({e.tensor(node)}, {starts_text}, {ends_text}, {axes_text}, {steps_text})"
    return e.same(node, call)


def _sliced(
    e: Emitter, node: Node, starts: list[int], ends: list[int], axes: list[int], steps: list[int]
) -> Value:
    text = e.tensor(node)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step > 0:
            text = f"torch.ops.aten.slice({text}, {axis}, {start}, {end}, {step})"
        else:
            text = f"sliced({text}, [{start}], [{end}], [{axis}], [{step}])"
    return e.same(node, text)


def _gather(e: Emitter, node: Node) -> Value:
    x, at, axis = e.value(node, 0), e.value(node, 1), int(node.attributes.get("axis", 0))
    if x.kind == INTS and (at.array is not None and at.array.ndim < 2 or at.kind == INT):
        if at.array is None or at.array.ndim == 0:
            place = at.text if at.array is None else int(at.array)
            return Value(f"{x.text}[{place}]", "int64", INT)
        places = [int(each) for each in at.array]
        return Value(f"[{', '.join(f'{x.text}[{each}]' for each in places)}]", "int64", INTS)
    text = e.tensor(node)
    if at.array is not None and at.array.ndim == 0:
        return e.same(node, f"{text}.select({axis}, {int(at.array)})")
    if at.kind == INT:
        return e.same(node, f"{text}.select({axis}, {at.text})")
    table = x.array
    if table is not None and table.ndim == 2 and axis == 0 and table.dtype.kind == "f":
        # ids are looked up as torch's own embeddings do; those below 0 raise there
        if at.array is None and node.given(1) in e.from_inputs:
            return e.same(node, f"torch.embedding({text}, {e.tensor(node, 1)})")
    return e.same(node, f"gathered({text}, {e.tensor(node, 1)}, {axis})")


def _gather_elements(e: Emitter, node: Node) -> Value:
    axis = int(node.attributes.get("axis", 0))
    return e.same(node, f"gathered_elements({e.tensor(node)}, {e.tensor(node, 1)}, {axis})")


def _gather_nd(e: Emitter, node: Node) -> Value:
    if node.attributes.get("batch_dims", 0):
        raise unsupported(node, "batch_dims is not 0")
    return e.same(node, f"gathered_nd({e.tensor(node)}, {e.tensor(node, 1)})")


def _scatter_elements(e: Emitter, node: Node) -> Value:
    added, axis = _added(node), int(node.attributes.get("axis", 0))
    x, at, new = (e.tensor(node, each) for each in range(3))
    return e.same(node, f"scattered_elements({x}, {at}, {new}, {axis}, {added})")


def _scatter_nd(e: Emitter, node: Node) -> Value:
    x, at, new = (e.tensor(node, each) for each in range(3))
    return e.same(node, f"scattered_nd({x}, {at}, {new}, {_added(node)})")


def _added(node: Node) -> bool:
    reduction = node.attributes.get("reduction", "none")
    if reduction not in _REDUCTIONS:
        raise unsupported(node, f"its reduction is {reduction!r}; known: {', '.join(_REDUCTIONS)}")
    return reduction == "add"


def _expand(e: Emitter, node: Node) -> Value:
    return e.same(node, f"expanded({e.tensor(node)}, {e.ints(node, 1)})")


def _tile(e: Emitter, node: Node) -> Value:
    return e.same(node, f"{e.tensor(node)}.repeat({e.ints(node, 1)})")


def _pad(e: Emitter, node: Node) -> Value:
    mode = node.attributes.get("mode", "constant")
    known = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in known:
        raise unsupported(node, f"its mode is {mode!r}; known: {', '.join(known)}")
    if "pads" in node.attributes:
        pads, value = repr(list(map(int, node.attributes["pads"]))), node.attributes.get("value", 0)
        filled = repr(float(value))
    else:
        pads, filled = e.ints(node, 1), "0.0"
        stated = e.optional(node, 2)
        if stated is not None and mode == "constant":
            filled = (
                f"float({number(stated.array, stated.dtype)})"
                if stated.array is not None and stated.array.size == 1
                else f"float({e.tensor(node, 2)}.item())"
            )
    axes = e.ints(node, 3) if e.optional(node, 3) is not None else "None"
    return e.same(node, f"padded({e.tensor(node)}, {pads}, '{known[mode]}', {filled}, {axes})")


def _constant_of_shape(e: Emitter, node: Node) -> Value:
    array, dtype = node.attributes.get("value") or (np.zeros(1, np.float32), "float32")
    literal = number(array, dtype)
    text = f"torch.full({e.ints(node, 0)}, {literal}, dtype=torch.{dtype}, device=device)"
    return Value(text, dtype)


def _range(e: Emitter, node: Node) -> Value:
    dtype = e.value(node, 0).dtype
    if dtype == "int64":
        ends = [e.one_int(node, at) for at in range(3)]
    else:
        ends = [_single(e, node, at) for at in range(3)]
    return Value(f"torch.arange({', '.join(ends)}, dtype=torch.{dtype}, device=device)", dtype)


def _single(e: Emitter, node: Node, at: int) -> str:
    value = e.value(node, at)
    if value.array is not None:
        return number(value.array, value.dtype)
    kind = "float" if value.dtype.startswith(("float", "bfloat")) else "int"
    return f"{kind}({e.tensor(node, at)}.item())"


def _one_hot(e: Emitter, node: Node) -> Value:
    depth, axis = e.one_int(node, 1), int(node.attributes.get("axis", -1))
    text = f"one_hot({e.tensor(node)}, {depth}, {e.tensor(node, 2)}, {axis})"
    return e.same(node, text, 2)


def _trilu(e: Emitter, node: Node) -> Value:
    side = "triu" if node.attributes.get("upper", 1) else "tril"
    k = e.one_int(node, 1) if e.optional(node, 1) is not None else "0"
    return e.same(node, f"torch.{side}({e.tensor(node)}, {k})")


def _non_zero(e: Emitter, node: Node) -> Value:
    return Value(f"torch.nonzero({e.tensor(node)}).t()", "int64")


def _depth_to_space(e: Emitter, node: Node) -> Value:
    size = int(node.attributes["blocksize"])
    if node.attributes.get("mode", "DCR") == "CRD":
        return e.same(node, f"torch.pixel_shuffle({e.tensor(node)}, {size})")
    return e.same(node, f"depth_to_space({e.tensor(node)}, {size})")


def _space_to_depth(e: Emitter, node: Node) -> Value:
    size = int(node.attributes["blocksize"])
    return e.same(node, f"space_to_depth({e.tensor(node)}, {size})")


SHAPING: dict[str, Emit] = {
    "Shape": _shape,
    "Size": _size,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Expand": _expand,
    "Tile": _tile,
    "Pad": _pad,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "OneHot": _one_hot,
    "Trilu": _trilu,
    "NonZero": _non_zero,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}

"""Resize and Upsample: pictures and sequences in another size."""

from __future__ import annotations

from qs.inside.torchscript.emitting import Emit, Emitter, Value, unsupported
from qs.inside.torchscript.graph import Node


def _resize(e: Emitter, node: Node) -> Value:
    """nearest in every way of placing and rounding; linear as torch places it."""
    found = node.attributes
    mode = found.get("mode", "nearest")
    place = found.get("coordinate_transformation_mode", "half_pixel" if e.graph.opset > 10 else "")
    upsample = node.op == "Upsample"
    if upsample or not place:
        place = "asymmetric"
    if found.get("axes") is not None or found.get("antialias", 0):
        raise unsupported(node, "it states axes or antialias")
    scales = _floats(e, node, 1 if upsample or e.graph.opset == 10 else 2)
    sizes = e.known_ints(node, 3) if node.given(3) is not None else None
    if scales is None and sizes is None:
        raise unsupported(node, "its scales and sizes are computed, or missing")
    x = e.tensor(node)
    if mode == "nearest":
        return _nearest(e, node, place, scales, sizes)
    spatial = len(scales or sizes or []) - 2
    torch_mode = {1: "linear", 2: "bilinear", 3: "trilinear"}.get(spatial)
    placed = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}
    first = (scales or [1.0, 1.0])[:2] == [1.0, 1.0]
    if mode != "linear" or torch_mode is None or place not in placed or not first:
        raise unsupported(node, f"its mode is {mode!r}, placed as {place!r}")
    target = f"{sizes[2:]}, None" if sizes else f"None, {[float(each) for each in scales[2:]]}"  # type: ignore[index]
    call = f"{x}, {target}, '{torch_mode}', {placed[place]}, False"
    return e.same(node, f"torch.nn.functional.interpolate({call})")


def _nearest(
    e: Emitter, node: Node, place: str, scales: list[float] | None, sizes: list[int] | None
) -> Value:
    known = ("asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel")
    kinds = ("floor", "ceil", "round_prefer_ceil", "round_prefer_floor")
    early = node.op == "Upsample" or e.graph.opset == 10
    rounding = "floor" if early else node.attributes.get("nearest_mode", "round_prefer_floor")
    if place not in known or rounding not in kinds:
        raise unsupported(node, f"its mode is 'nearest', placed as {place!r}, {rounding!r}")
    text = e.tensor(node)
    plain = place == "asymmetric" and rounding == "floor"
    if plain and scales and len(scales) in (3, 4, 5) and scales[:2] == [1.0, 1.0]:
        target = [float(each) for each in scales[2:]]
        call = f"{text}, None, {target}, 'nearest', None, False"
        return e.same(node, f"torch.nn.functional.interpolate({call})")
    for axis, one in enumerate(scales or sizes or []):
        if scales and one == 1.0:
            continue
        own = f"{text}.size({axis})"
        size = f"int({own} * {float(one)!r})" if scales else repr(int(one))
        scale = repr(float(one)) if scales else f"({int(one)} / float({own}))"
        text = e.line(f"nearest({text}, {axis}, {size}, {scale}, '{place}', '{rounding}')")
    return e.same(node, text)


def _floats(e: Emitter, node: Node, at: int) -> list[float] | None:
    if "scales" in node.attributes:
        return [float(each) for each in node.attributes["scales"]]
    value = e.optional(node, at)
    if value is None or (value.array is not None and not value.array.size):
        return None
    if value.array is None:
        raise unsupported(node, "its scales are computed, not a constant")
    return [float(each) for each in value.array]


RESIZING: dict[str, Emit] = {
    "Resize": _resize,
    "Upsample": _resize,
}

"""What `forward` calls where ONNX means something that torch has no single operation for. Compiled
into the archive by torch, so it is written in the part of Python that TorchScript knows.

Shapes, axes and sizes are integers; negative ones count from the end, as in both.
"""

from __future__ import annotations

from typing import List, Optional  # noqa: UP035 - older compilers know these alone

import torch
from torch import Tensor


def shape_of(x: Tensor, wanted: List[int]) -> List[int]:  # noqa: UP006
    """A Reshape's shape, where 0 means the dimension as it is."""
    return [x.size(at) if size == 0 else size for at, size in enumerate(wanted)]


def flat_at(x: Tensor, axis: int) -> Tensor:
    if axis < 0:
        axis = axis + x.dim()
    rows = 1
    for size in x.size()[:axis]:
        rows = rows * size
    columns = 1
    for size in x.size()[axis:]:
        columns = columns * size
    return x.reshape([rows, columns])


def without(x: Tensor, axes: List[int]) -> Tensor:  # noqa: UP006
    """x without those dimensions of size 1."""
    dropped = [axis + x.dim() if axis < 0 else axis for axis in axes]
    kept: List[int] = []  # noqa: UP006
    for at in range(x.dim()):
        if at not in dropped:
            kept.append(x.size(at))
    return x.reshape(kept)


def with_ones(x: Tensor, axes: List[int]) -> Tensor:  # noqa: UP006
    """x with dimensions of size 1 at those places of the result."""
    rank = x.dim() + len(axes)
    places = [axis + rank if axis < 0 else axis for axis in axes]
    for at in range(rank):
        if at in places:
            x = x.unsqueeze(at)
    return x


def turned(x: Tensor) -> Tensor:
    return x.permute([x.dim() - 1 - at for at in range(x.dim())])


def sliced(
    x: Tensor,
    starts: List[int],  # noqa: UP006
    ends: List[int],  # noqa: UP006
    axes: Optional[List[int]],  # noqa: UP006, UP045
    steps: Optional[List[int]],  # noqa: UP006, UP045
) -> Tensor:
    for at in range(len(starts)):
        axis = at if axes is None else axes[at]
        step = 1 if steps is None else steps[at]
        start, end = starts[at], ends[at]
        if step > 0:
            x = torch.ops.aten.slice(x, axis, start, end, step)
        else:
            size = x.size(axis)
            start = max(min(start + size if start < 0 else start, size - 1), -1)
            end = max(min(end + size if end < 0 else end, size - 1), -1)
            places = torch.arange(start, min(end, start), step, device=x.device)
            x = x.index_select(axis, places)
    return x


def gathered(x: Tensor, places: Tensor, axis: int) -> Tensor:
    if axis < 0:
        axis = axis + x.dim()
    places = torch.where(places < 0, places + x.size(axis), places)
    shape = x.size()[:axis] + places.size() + x.size()[axis + 1 :]
    return x.index_select(axis, places.flatten()).reshape(shape)


def gathered_elements(x: Tensor, places: Tensor, axis: int) -> Tensor:
    places = places.to(torch.int64)
    return torch.gather(x, axis, torch.where(places < 0, places + x.size(axis), places))


def rows_at(x: Tensor, places: Tensor) -> Tensor:
    """Of x with its first dimensions flattened: the row that each of `places` [..., n] names."""
    at = torch.zeros_like(places.select(-1, 0))
    for axis in range(places.size(-1)):
        one = places.select(-1, axis)
        at = at * x.size(axis) + torch.where(one < 0, one + x.size(axis), one)
    return at


def gathered_nd(x: Tensor, places: Tensor) -> Tensor:
    deep = places.size(-1)
    rows = x.reshape([-1] + list(x.size()[deep:]))
    at = rows_at(x, places)
    return rows.index_select(0, at.flatten()).reshape(at.size() + x.size()[deep:])


def scattered_nd(x: Tensor, places: Tensor, new: Tensor, added: bool) -> Tensor:
    deep = places.size(-1)
    rows = x.reshape([-1] + list(x.size()[deep:]))
    at = rows_at(x, places).flatten()
    new = new.reshape([-1] + list(x.size()[deep:]))
    made = rows.index_add(0, at, new) if added else rows.index_copy(0, at, new)
    return made.reshape(x.size())


def scattered_elements(x: Tensor, places: Tensor, new: Tensor, axis: int, added: bool) -> Tensor:
    places = places.to(torch.int64)
    places = torch.where(places < 0, places + x.size(axis), places)
    if added:
        return torch.scatter_add(x, axis, places, new)
    return torch.scatter(x, axis, places, new)


def expanded(x: Tensor, shape: List[int]) -> Tensor:  # noqa: UP006
    """x broadcast with a shape: both may have a 1 where the other has more."""
    more = len(shape) - x.dim()
    wanted: List[int] = []  # noqa: UP006
    for at in range(max(len(shape), x.dim())):
        own = x.size(at - max(more, 0)) if at >= more else 1
        other = shape[at + min(more, 0)] if at + min(more, 0) >= 0 else 1
        wanted.append(other if own == 1 else own)
    return x.expand(wanted)


def padded(
    x: Tensor,
    pads: List[int],  # noqa: UP006
    mode: str,
    value: float,
    axes: Optional[List[int]],  # noqa: UP006, UP045
) -> Tensor:
    """`pads`: all begins, then all ends, of `axes` or of every dimension."""
    count = len(pads) // 2
    both = [0 for at in range(2 * x.dim())]
    for at in range(count):
        axis = at if axes is None else axes[at]
        if axis < 0:
            axis = axis + x.dim()
        both[2 * (x.dim() - 1 - axis)] = pads[at]
        both[2 * (x.dim() - 1 - axis) + 1] = pads[count + at]
    while len(both) > 2 and both[-1] == 0 and both[-2] == 0:
        both = both[:-2]
    if mode == "constant":
        return torch.nn.functional.pad(x, both, mode, value)
    lacking = max(len(both) // 2 + 1 - x.dim(), 0)  # these modes want dimensions before
    if lacking == 0 and x.dim() - len(both) // 2 > 2:
        whole = x.reshape([-1, 1] + list(x.size()[x.dim() - len(both) // 2 :]))
        made = torch.nn.functional.pad(whole, both, mode)
        return made.reshape(x.size()[: x.dim() - len(both) // 2] + made.size()[2:])
    for _ in range(lacking):
        x = x.unsqueeze(0)
    x = torch.nn.functional.pad(x, both, mode)
    for _ in range(lacking):
        x = x.squeeze(0)
    return x


def one_hot(places: Tensor, depth: int, values: Tensor, axis: int) -> Tensor:
    """`values`: what is written elsewhere, and what at the place."""
    places = places.to(torch.int64)
    places = torch.where(places < 0, places + depth, places)
    if axis < 0:
        axis = axis + places.dim() + 1
    line = torch.arange(depth, device=places.device)
    shape = [depth if at == axis else 1 for at in range(places.dim() + 1)]
    return torch.where(places.unsqueeze(axis) == line.reshape(shape), values[1], values[0])


def depth_to_space(x: Tensor, size: int) -> Tensor:
    b, c, h, w = x.size(0), x.size(1) // (size * size), x.size(2), x.size(3)
    x = x.reshape([b, size, size, c, h, w]).permute([0, 3, 4, 1, 5, 2])
    return x.reshape([b, c, h * size, w * size])


def space_to_depth(x: Tensor, size: int) -> Tensor:
    b, c, h, w = x.size(0), x.size(1), x.size(2) // size, x.size(3) // size
    x = x.reshape([b, c, h, size, w, size]).permute([0, 3, 5, 1, 2, 4])
    return x.reshape([b, c * size * size, h, w])


def every_axis(x: Tensor, first: int) -> List[int]:  # noqa: UP006
    return [first + at for at in range(x.dim() - first)]


def product(x: Tensor, axes: List[int], keepdim: bool) -> Tensor:  # noqa: UP006
    for axis in axes:
        x = torch.prod(x, axis if axis >= 0 else axis + x.dim(), keepdim=True)
    return x if keepdim else without(x, axes)


def running_sum(x: Tensor, axis: int, exclusive: bool, reverse: bool) -> Tensor:
    whole = torch.flip(x, [axis]) if reverse else x
    made = torch.cumsum(whole, axis, dtype=x.dtype)
    if exclusive:
        made = made - whole
    return torch.flip(made, [axis]) if reverse else made


def softmax_from(x: Tensor, axis: int) -> Tensor:
    """Over all dimensions from `axis` on, as before opset 13."""
    if axis < 0:
        axis = axis + x.dim()
    return torch.softmax(torch.flatten(x, axis), -1).reshape(x.size())


def along(x: Tensor, values: Tensor, axis: int) -> Tensor:
    """A value for each place of one dimension of x, so that they can be broadcast."""
    if values.dim() != 1:
        return values
    if axis < 0:
        axis = axis + x.dim()
    return values.reshape([-1 if at == axis else 1 for at in range(x.dim())])


def quantized_dynamically(x: Tensor) -> List[Tensor]:  # noqa: UP006
    """[uint8 values, scale, zero point], of a range that holds 0 (DynamicQuantizeLinear)."""
    low = torch.clamp(torch.amin(x), max=0.0)
    high = torch.clamp(torch.amax(x), min=0.0)
    scale = (high - low) / 255.0
    zero = torch.clamp(torch.round(-low / scale), 0.0, 255.0)
    made = torch.clamp(torch.round(x / scale) + zero, 0.0, 255.0)
    return [made.to(torch.uint8), scale, zero.to(torch.uint8)]


def pad_alike(
    x: Tensor,
    kernel: List[int],  # noqa: UP006
    strides: List[int],  # noqa: UP006
    dilations: List[int],  # noqa: UP006
    more_after: bool,
    value: float,
) -> Tensor:
    """x padded so that a window gives ceil(size / stride) places (auto_pad SAME_*)."""
    both: List[int] = []  # noqa: UP006
    for back in range(len(kernel)):
        at = len(kernel) - 1 - back
        size = x.size(2 + at)
        places = (size + strides[at] - 1) // strides[at]
        total = (places - 1) * strides[at] + (kernel[at] - 1) * dilations[at] + 1 - size
        total = max(total, 0)
        less = total // 2
        both.append(less if more_after else total - less)
        both.append(total - less if more_after else less)
    return torch.nn.functional.pad(x, both, "constant", value)


def nearest(
    x: Tensor,
    axis: int,
    size: int,
    scale: float,
    place: str,
    rounding: str,
) -> Tensor:
    """One dimension of x in another size, each place taken from the nearest (Resize)."""
    own = x.size(axis)
    at = torch.arange(size, device=x.device, dtype=torch.float64)
    if place == "asymmetric":
        at = at / scale
    elif place == "align_corners":
        at = at * (float(own - 1) / float(max(size - 1, 1)))
    elif place == "pytorch_half_pixel" and size == 1:
        at = at * 0.0
    else:
        at = (at + 0.5) / scale - 0.5
    if rounding == "floor":
        at = torch.floor(at)
    elif rounding == "ceil":
        at = torch.ceil(at)
    elif rounding == "round_prefer_ceil":
        at = torch.floor(at + 0.5)
    else:
        at = torch.ceil(at - 0.5)
    return x.index_select(axis, torch.clamp(at, 0.0, float(own - 1)).to(torch.int64))

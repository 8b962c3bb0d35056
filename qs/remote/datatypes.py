"""Tensors of the Open Inference Protocol (KServe v2): their types, and their values as bytes.

Little-endian, row by row. BYTES: each value with its length in front, in four bytes. BF16, which
numpy does not have, is the upper half of a float32 (rounded to nearest, ties to even).
Source: the protocol's binary tensor data extension. Left out: JSON and messages.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.remote.protocol import BadAnswer, ServedModel, ServedTensor
from qs.tensors.casting import Bent, cast
from qs.tensors.contents import content_of, path_in

TEXT = np.dtype(np.str_)
# what a tensor of each type is here; BF16's values all fit into float32
DATATYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype(np.float32),
    "BYTES": TEXT,
}
MOST_DIMENSIONS, MOST_TENSORS = 32, 1_000
_LENGTH = struct.Struct("<I")


def tensor_of(name: object, datatype: object, shape: object, what: str) -> ServedTensor:
    """An announced tensor; `what` is "input" or "output". BadAnswer if it is none."""
    if not isinstance(name, str) or not name:
        raise BadAnswer(f"an {what} without a name: {one_line(repr(name), 60)}")
    shown = one_line(name, 60)
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise BadAnswer(
            f"{what} {shown!r} has the datatype {one_line(repr(datatype), 60)}; known: "
            f"{', '.join(DATATYPES)}"
        )
    sizes = _sizes(shape, -1)
    if sizes is None:
        raise BadAnswer(f"{what} {shown!r} has the shape {one_line(repr(shape), 60)}")
    return ServedTensor(name, datatype, DATATYPES[datatype], sizes)


def tensors_of(
    stated: Iterable[tuple[object, object, object]], what: str
) -> tuple[ServedTensor, ...]:
    """All inputs or outputs of a model from (name, datatype, shape); BadAnswer."""
    found: dict[str, ServedTensor] = {}
    for each in stated:
        tensor = tensor_of(*each, what)
        if tensor.name in found:
            raise BadAnswer(f"two {what}s are named {one_line(tensor.name, 60)!r}")
        if len(found) == MOST_TENSORS:
            raise BadAnswer(f"the model has more than {MOST_TENSORS:,} {what}s")
        found[tensor.name] = tensor
    return tuple(found.values())


def _sizes(shape: object, least: int) -> tuple[int, ...] | None:
    if not isinstance(shape, Sequence) or isinstance(shape, (str, bytes)):
        return None
    if len(shape) > MOST_DIMENSIONS:
        return None
    for size in shape:
        if type(size) is not int or not least <= size < 2**63:
            return None
    return tuple(shape)


def values_of(announced: ServedTensor, array: np.ndarray) -> np.ndarray:
    """A feed as the server's type has it. UserError if that would change its values."""
    array = np.asarray(array)
    if announced.datatype == "BYTES":
        if array.dtype.kind not in "USO":
            raise UserError(
                f"input {announced.name!r} is BYTES (text), and was given {array.dtype}"
            )
        return array
    try:
        return cast(array, announced.dtype, announced.datatype)
    except Bent as bent:
        raise UserError(
            f"input {announced.name!r} is {announced.datatype}; allowed: {bent.allowed}; "
            f"{bent.found}"
        ) from None


def to_bytes(datatype: str, array: np.ndarray) -> bytes:
    """The values of an array of the type that DATATYPES says."""
    if datatype == "BYTES":
        members = [as_bytes(each) for each in array.ravel().tolist()]
        return b"".join(part for each in members for part in (_LENGTH.pack(len(each)), each))
    if datatype == "BF16":
        return _upper_half(array).tobytes()
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def as_bytes(value: object) -> bytes:
    """A value of a BYTES tensor; text is UTF-8, and an item that names a file its content."""
    if isinstance(value, bytes):
        return value
    if path_in(str(value)) is not None:
        return content_of(str(value))
    return str(value).encode("utf-8", "surrogatepass")


def as_text(value: bytes) -> str | bytes:
    """Text where it is UTF-8, else the bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def from_bytes(name: str, datatype: str, shape: Sequence[int], content: bytes) -> np.ndarray:
    """The array of this shape; BadAnswer if the bytes are more, or fewer, than that."""
    shape = tuple(shape)
    count = math.prod(shape)
    if datatype == "BYTES":
        return text_array(name, shape, _members(name, count, content))
    width = 2 if datatype == "BF16" else DATATYPES[datatype].itemsize
    if len(content) != count * width:
        raise BadAnswer(
            f"output {one_line(name, 60)!r} has {len(content)} bytes; {datatype} of shape "
            f"{list(shape)} are {count * width}"
        )
    if datatype == "BF16":
        bits = np.frombuffer(content, "<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)
    if datatype == "BOOL":
        return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
    dtype = DATATYPES[datatype]
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def text_array(name: str, shape: Sequence[int], members: Sequence[str | bytes]) -> np.ndarray:
    """Text as an array of objects; BadAnswer if there are more or fewer than the shape says."""
    count = math.prod(shape)
    if len(members) != count:
        raise BadAnswer(
            f"output {one_line(name, 60)!r} has {len(members)} values; shape {list(shape)} has "
            f"{count}"
        )
    array = np.empty(len(members), object)
    array[:] = members
    return array.reshape(tuple(shape))


def _members(name: str, count: int, content: bytes) -> list[str | bytes]:
    members: list[str | bytes] = []
    at, end = 0, len(content)
    while at < end:
        if at + 4 > end:
            break
        (length,) = _LENGTH.unpack_from(content, at)
        if at + 4 + length > end:
            break
        members.append(as_text(bytes(content[at + 4 : at + 4 + length])))
        at += 4 + length
    if at != end:
        raise BadAnswer(
            f"output {one_line(name, 60)!r}: value {len(members) + 1} of its BYTES goes beyond "
            f"their end"
        )
    return members


def _upper_half(array: np.ndarray) -> np.ndarray:
    """float32 as bfloat16's bits. A NaN stays one: its upper half could be an infinity's."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1)))) >> 16
    return np.where(np.isnan(array), (bits >> 16) | 0x40, rounded).astype("<u2")


def check_shape(announced: ServedTensor | None, shape: object, name: str) -> tuple[int, ...]:
    """The shape of an answer's output; BadAnswer if it is none, or not what was announced."""
    sizes = _sizes(shape, 0)
    shown = one_line(name, 60)
    if sizes is None:
        raise BadAnswer(f"output {shown!r} has the shape {one_line(repr(shape), 60)}")
    if announced is not None and not (
        len(sizes) == len(announced.shape)
        and all(want in (-1, size) for want, size in zip(announced.shape, sizes))
    ):
        raise BadAnswer(
            f"output {shown!r} has the shape {list(sizes)}; announced: {list(announced.shape)}"
        )
    return sizes


def check_output(
    announced: Mapping[str, ServedTensor], name: object, datatype: object, shape: object
) -> tuple[str, str, tuple[int, ...]]:
    """(name, datatype, shape) of one output of an answer, as it was announced; BadAnswer."""
    found = tensor_of(name, datatype, shape, "output")
    want = announced.get(found.name)
    if want is not None and want.datatype != found.datatype:
        raise BadAnswer(
            f"output {one_line(found.name, 60)!r} is {found.datatype}; announced: {want.datatype}"
        )
    return found.name, found.datatype, check_shape(want, shape, found.name)


def check_names(model: ServedModel, found: Mapping[str, np.ndarray]) -> None:
    """BadAnswer if an announced output is missing."""
    for each in model.outputs:
        if each.name not in found:
            names = ", ".join(one_line(name, 40) for name in list(found)[:8]) or "none"
            raise BadAnswer(f"output {one_line(each.name, 60)!r} is missing; there are: {names}")

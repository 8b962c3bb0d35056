"""JSON from servers, read with bounds, and tensors in it.

NaN and infinities, which JSON does not have, are read as Python's own writer spells them, and as
null. Left out: what the members mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.remote.datatypes import DATATYPES, as_bytes, as_text, text_array
from qs.remote.protocol import BadAnswer
from qs.tensors.casting import Bent, cast

# A list takes 56 bytes and more where it took two of the answer: so many of them fit anywhere.
MOST_NESTED = 4_000_000
DEEPEST = 64


def read_json(content: bytes | memoryview, what: str = "the answer") -> Any:
    """The document. BadAnswer if it is none, or is nested too deeply or too often."""
    content = bytes(content)
    if content.count(b"[") + content.count(b"{") > MOST_NESTED:
        raise BadAnswer(f"{what} has more than {MOST_NESTED:,} lists and objects")
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if any(each in content for each in (b"NaN", b"Infinity")):
            try:
                return json.loads(content)
            except (ValueError, RecursionError):
                pass
        begin = one_line(content[:60].decode("utf-8", "replace"))
        raise BadAnswer(f"{what} is no JSON ({error}); it begins {begin!r}") from None


def read_object(content: bytes | memoryview, what: str = "the answer") -> dict[str, Any]:
    """The same for an object; BadAnswer if it is something else."""
    document = read_json(content, what)
    if not isinstance(document, dict):
        raise BadAnswer(f"{what} is a JSON {type(document).__name__}, not an object")
    return document


def from_json(name: str, datatype: str, shape: Sequence[int], data: object) -> np.ndarray:
    """A tensor from its `data`, flat or nested. BadAnswer if it is not of that type and shape."""
    shown = one_line(name, 60)
    if not isinstance(data, list):
        raise BadAnswer(f"output {shown!r} has no list of data, but {one_line(repr(data), 40)}")
    if datatype == "BYTES":
        return text_array(name, shape, [_text_of(name, each) for each in flat(name, data)])
    count = math.prod(shape)
    dtype = DATATYPES[datatype]
    found = _numbers(shown, data, dtype)
    if found.size != count:
        raise BadAnswer(
            f"output {shown!r} has {found.size} values; shape {list(shape)} has {count}"
        )
    if not found.size:
        return np.empty(tuple(shape), dtype)
    if found.dtype.kind == "b" and dtype.kind != "b":
        raise BadAnswer(f"output {shown!r} is {datatype}, and its data are true and false")
    try:
        return cast(found, dtype, datatype).reshape(tuple(shape))
    except Bent as bent:
        raise BadAnswer(f"output {shown!r}: {bent.allowed}; {bent.found}") from None


def _numbers(shown: str, data: list, dtype: np.dtype) -> np.ndarray:
    try:
        found = np.array(data)
    except (ValueError, OverflowError, RecursionError, MemoryError):
        raise BadAnswer(f"output {shown!r}: its data are lists of unlike lengths") from None
    if found.dtype.kind == "O" or (found.dtype.kind == "f" and dtype.kind in "iu"):
        # null for NaN, or whole numbers that no one type of numpy's holds
        members = flat(shown, data)
        if dtype.kind == "f":
            members = [math.nan if each is None else each for each in members]
            if all(isinstance(each, (int, float)) for each in members):
                return np.array([_float(each) for each in members])
        elif dtype.kind in "iu" and members and all(type(each) is int for each in members):
            return _whole(shown, members, dtype)
    if found.dtype.kind not in "biuf":
        odd = next(
            (each for each in flat(shown, data) if not isinstance(each, (int, float))), "a number"
        )
        raise BadAnswer(f"output {shown!r}: its data have {one_line(repr(odd), 40)} for a number")
    return found


def _float(member: float) -> float:
    try:
        return float(member)
    except OverflowError:
        return math.inf


def _whole(shown: str, members: list[int], dtype: np.dtype) -> np.ndarray:
    limits = np.iinfo(dtype)
    for each in (min(members), max(members)):
        if not limits.min <= each <= limits.max:
            raise BadAnswer(
                f"output {shown!r}: values from {limits.min} to {limits.max}, for "
                f"{dtype.name.upper()}; it has {one_line(each, 40)}"
            )
    return np.array(members, dtype)


def flat(name: str, data: list) -> list[Any]:
    """The members of nested lists, in order; BadAnswer beyond DEEPEST."""
    for _ in range(DEEPEST):
        if not any(isinstance(each, list) for each in data):
            return data
        data = [one for each in data for one in (each if isinstance(each, list) else (each,))]
    raise BadAnswer(f"output {one_line(name, 60)!r}: its data are nested more than {DEEPEST} deep")


def _text_of(name: str, value: object) -> str | bytes:
    if not isinstance(value, str):
        shown = one_line(repr(value), 40)
        raise BadAnswer(f"output {one_line(name, 60)!r} is BYTES, and its data have {shown}")
    return value


def json_data(name: str, datatype: str, array: np.ndarray) -> Any:
    """What orjson writes as a flat list (with OPT_SERIALIZE_NUMPY). UserError if JSON has no such
    values.
    """
    if datatype == "BYTES":
        texts = []
        for each in array.ravel().tolist():
            text = as_text(as_bytes(each))
            try:
                text.encode()  # type: ignore[union-attr]
            except (AttributeError, UnicodeEncodeError):
                raise UserError(
                    f"input {name!r} has bytes that are no text, which JSON does not have: "
                    "kserve+grpc:// or a server with the binary extension takes them"
                ) from None
            texts.append(text)
        return texts
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(
            f"input {name!r} has NaN or infinite values, which JSON does not have: "
            "kserve+grpc:// or a server with the binary extension takes them; --range keeps "
            "generated values finite"
        )
    return np.ascontiguousarray(array).ravel()

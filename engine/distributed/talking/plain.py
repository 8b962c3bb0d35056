"""Plain data as bytes, for what a node tells its driver: None, bool, int, float, str, bytes, list,
tuple and dict come back as they were, and nothing else can be said.

A node is not trusted, and pickle is no format for that even where it may name no class: forty bytes
of it can ask for a table of gigabytes, or make a tuple whose hash takes for ever. Here it is JSON,
with the bytes behind it. What a message can make of itself is bounded by its length: some thirty
times that of its JSON, and the length of its bytes.
"""

from __future__ import annotations

import json
import re
import struct
from typing import Any

_LENGTH = struct.Struct("<I")
MOST_JSON_BYTES = 16 << 20
# A dict with keys other than text; keys of numbers can be made to collide, those of text cannot.
MOST_OTHER_KEYS = 100
_MARK = "\0"  # the only key of an object that stands for something else
_HALF = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]")


def encoded(value: Any) -> bytes:
    """Raises TypeError for what is not plain data, ValueError for what is too much or holds
    itself.
    """
    parts: list[bytes] = []
    text = json.dumps(_said(value, parts, 0), ensure_ascii=False, separators=(",", ":"))
    body = text.encode()
    if len(body) > MOST_JSON_BYTES:
        raise ValueError(f"more than {MOST_JSON_BYTES:,} bytes beside what is bytes already")
    return b"".join((_LENGTH.pack(len(body)), body, *parts))


def decoded(data: bytes, most_json_bytes: int = MOST_JSON_BYTES) -> Any:
    """What was encoded. Raises ValueError for everything that is not that."""
    if len(data) < _LENGTH.size:
        raise ValueError("a message without a length")
    size = _LENGTH.unpack_from(data)[0]
    if size > min(len(data) - _LENGTH.size, most_json_bytes):
        raise ValueError("a message that is shorter than it says, or has too much text")
    body = data[_LENGTH.size : _LENGTH.size + size]
    if _HALF.search(body):
        # Half a pair of surrogates is no text: it could be neither printed nor written.
        raise ValueError("text that is none")
    reading = _Reading(data, _LENGTH.size + size)
    try:
        return json.loads(body, object_hook=reading.object)
    except RecursionError:
        raise ValueError("data that is too deep") from None
    except (TypeError, KeyError, IndexError, OverflowError) as fault:
        raise ValueError(f"a message that makes no sense ({fault})") from None


_DEEPEST = 100


def _said(value: Any, parts: list[bytes], depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("data that is too deep, or holds itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        return text if text.isascii() else text.encode(errors="replace").decode()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        parts.append(bytes(value))
        return {_MARK: ["b", len(parts[-1])]}
    if isinstance(value, (list, tuple)):
        said = [_said(each, parts, depth + 1) for each in value]
        return said if isinstance(value, list) else {_MARK: ["t", said]}
    if isinstance(value, dict):
        if all(isinstance(key, str) and key != _MARK for key in value):
            return {
                _said(key, parts, depth): _said(each, parts, depth + 1)
                for key, each in value.items()
            }
        if len(value) > MOST_OTHER_KEYS:
            raise ValueError(f"a dict with more than {MOST_OTHER_KEYS} keys that are no text")
        pairs = [
            [_said(key, parts, depth + 1), _said(each, parts, depth + 1)]
            for key, each in value.items()
        ]
        return {_MARK: ["d", pairs]}
    kind = type(value)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is no plain data")


class _Reading:
    """Makes of objects that stand for something else what they stand for. The bytes lie in the
    order in which their objects end.
    """

    def __init__(self, data: bytes, at: int):
        self._data, self._at = data, at

    def object(self, found: dict[str, Any]) -> Any:
        if _MARK not in found:
            return found
        (what, said), *_ = found.values()
        if len(found) > 1:
            raise ValueError("an object of two kinds")
        if what == "b":
            end = self._at + said
            if type(said) is not int or said < 0 or end > len(self._data):
                raise ValueError("bytes that are not there")
            part, self._at = self._data[self._at : end], end
            return part
        if what == "t" and type(said) is list:
            return tuple(said)
        if what == "d" and type(said) is list and len(said) <= MOST_OTHER_KEYS:
            pairs = {}
            for key, value in said:
                if not isinstance(key, (str, int, float, bytes, type(None))):
                    raise ValueError("a key that is none")
                pairs[key] = value
            return pairs
        raise ValueError("an object that stands for nothing")

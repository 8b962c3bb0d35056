"""Walks protobuf messages field by field, without a library for them and without touching what is
not asked for: files of models have gigabytes of weights in a field that is stepped over.

Wire format: protobuf.dev/programming-guides/encoding. Left out: groups, which nobody writes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

Bytes = mmap.mmap | bytes
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


class Damaged(ValueError):
    """Not a protobuf message."""


def fields(content: Bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, byte after the last) of each field; a whole number's value and -1.
    Fields of fixed size are stepped over. Raises Damaged.
    """
    while at < end:
        at, tag = _varint(content, at, end)
        kind = tag & 7
        if kind == _VARINT:
            at, value = _varint(content, at, end)
            yield tag >> 3, value, -1
            continue
        if kind == _BYTES:
            at, size = _varint(content, at, end)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise Damaged
        if at + size > end:
            raise Damaged
        if kind == _BYTES:
            yield tag >> 3, at, at + size
        at += size


def _varint(content: Bytes, at: int, end: int) -> tuple[int, int]:
    """(position of the next byte, number): seven bits a byte, the lowest first."""
    number = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return at, number
        shift += 7
    raise Damaged

"""Samples in shared memory: written once, mapped by every worker process, never pickled per
request.
"""

from __future__ import annotations

import mmap
import os
import pickle
import struct
from collections.abc import Sequence
from typing import Any

from qs.engine.descriptors import anonymous_file

_ALIGN = 64
_HEAD = struct.Struct("<Q")


def pack(samples: Sequence[Any]) -> int:
    """A descriptor of an unnamed file in memory that holds the samples. Arrays are stored as they
    are, aligned to 64 bytes.
    """
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(list(samples), 5, buffer_callback=buffers.append)
    raws = [buffer.raw() for buffer in buffers]
    places, at = [], 0
    for raw in raws:
        places.append((at, raw.nbytes))
        at += -(-raw.nbytes // _ALIGN) * _ALIGN
    head = pickle.dumps((data, places))
    base = -(-(_HEAD.size + len(head)) // _ALIGN) * _ALIGN
    fd = anonymous_file(base + max(at, 1))
    with mmap.mmap(fd, base + max(at, 1)) as whole:
        whole[: _HEAD.size] = _HEAD.pack(len(head))
        whole[_HEAD.size : _HEAD.size + len(head)] = head
        for raw, (start, size) in zip(raws, places):
            whole[base + start : base + start + size] = raw
    return fd


def unpack(fd: int) -> list[Any]:
    """The samples of `pack`; their arrays are read-only views of the shared file."""
    whole = memoryview(mmap.mmap(fd, os.fstat(fd).st_size, prot=mmap.PROT_READ))
    size = _HEAD.unpack(whole[: _HEAD.size])[0]
    data, places = pickle.loads(whole[_HEAD.size : _HEAD.size + size])
    base = -(-(_HEAD.size + size) // _ALIGN) * _ALIGN
    return pickle.loads(
        data, buffers=[whole[base + start : base + start + length] for start, length in places]
    )

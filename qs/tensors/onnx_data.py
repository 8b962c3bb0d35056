"""The files beside an ONNX file that hold its weights (external data): found without an ONNX
library.

A tensor that lies elsewhere has an entry of key "location", whose value is the file's name relative
to the model's folder (onnx.proto3, TensorProto.external_data). In a serialized model that entry
begins with the same eleven bytes always, so they are looked for; weights in the file itself are not
parsed.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from qs.base.errors import UserError

# StringStringEntryProto: field 1 (key), 8 bytes, "location"; field 2 (value), whose length and
# bytes follow.
_ENTRY = b"\x0a\x08location\x12"


def data_files(model: Path) -> list[Path]:
    """Existing files, in order of name; [] where the model holds all of its weights itself.
    UserError where one is missing.
    """
    found = []
    for name in sorted(_locations(model)):
        path = model.parent / name
        if not path.is_file():
            raise UserError(
                f"{model} keeps weights in the file {name}, which is not beside it; put it into {model.parent}"
            )
        found.append(path)
    return found


def _locations(model: Path) -> set[str]:
    if not model.stat().st_size:
        return set()
    names = set()
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(_ENTRY)
        while at >= 0:
            begin, size = _varint(content, at + len(_ENTRY))
            names.add(content[begin : begin + size].decode("utf-8", "replace"))
            at = content.find(_ENTRY, begin)
    return names


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """(where the next byte is, the number): seven bits a byte, the lowest first."""
    number = shift = 0
    while at < len(content):
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return at, number

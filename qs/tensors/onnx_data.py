"""The files beside an ONNX file that hold its weights (external data).

A tensor stored elsewhere has an entry with the key "location", whose value is the file's name
relative to the model's folder (onnx.proto, TensorProto.external_data). Only those entries count:
metadata may have a key of that name, and weights those bytes. So the messages are walked to the
tensors, field by field, past gigabytes of weights that are not touched, and without an ONNX
library, which a backend's process may not have.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from qs.base.errors import UserError
from qs.tensors.protobuf import Damaged, fields

# Fields of the messages that lead to tensors, by message and number (onnx.proto of ONNX 1.16 to
# 1.19; a number that a message does not use is never reused for another type).
_LEADS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL, _DATA_LOCATION = 13, 14  # of a TensorProto
_KEY, _VALUE = 1, 2  # of a StringStringEntryProto


def data_files(model: Path) -> list[Path]:
    """The files, sorted by name; [] if the model contains all of its weights. UserError if one is
    missing.
    """
    found = []
    for name in sorted(_locations(model)):
        path = model.parent / name
        if not path.is_file():
            raise UserError(
                f"{model} keeps weights in the file {name}, which is not beside it; "
                f"put it into {model.parent}"
            )
        found.append(path)
    return found


def _locations(model: Path) -> set[str]:
    """The names that tensors of the model state. Those found so far if the file is damaged: whoever
    loads it reports that.
    """
    names: set[str] = set()
    if not model.stat().st_size:
        return names
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        left = [("model", 0, len(content))]
        try:
            while left:
                kind, begin, end = left.pop()
                if kind == "tensor":
                    names |= _location(content, begin, end)
                    continue
                leads = _LEADS[kind]
                for number, first, last in fields(content, begin, end):
                    if number in leads and last >= 0:
                        left.append((leads[number], first, last))
        except Damaged:
            pass
    return names


def _location(content: mmap.mmap, begin: int, end: int) -> set[str]:
    """The file of one tensor, if its values are outside."""
    found, outside = set(), False
    for number, first, last in fields(content, begin, end):
        if number == _DATA_LOCATION and last < 0:
            outside = first == 1  # TensorProto.EXTERNAL
        elif number == _EXTERNAL and last >= 0:
            entry = {
                key: content[at:to]
                for key, at, to in fields(content, first, last)
                if key in (_KEY, _VALUE) and to >= 0
            }
            if entry.get(_KEY) == b"location" and entry.get(_VALUE):
                found.add(entry[_VALUE].decode("utf-8", "replace"))
    return found if outside else set()

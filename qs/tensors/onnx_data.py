"""The files beside an ONNX file that hold its weights (external data).

A tensor stored elsewhere has an entry with the key "location", whose value is the file's name
relative to the model's folder (onnx.proto3, TensorProto.external_data). In a serialized model such
an entry always begins with the same eleven bytes, so we search for them: without parsing gigabytes
of weights, and without an ONNX library, which a backend's process may not have. Weights may contain
those bytes by chance; for a model with such bytes the onnx package, if installed, decides.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qs.base.errors import UserError

# StringStringEntryProto: field 1 (key), 8 bytes, "location"; field 2 (value), whose length and
# bytes follow.
_ENTRY = b"\x0a\x08location\x12"


def data_files(model: Path) -> list[Path]:
    """The files, sorted by name; [] if the model contains all of its weights. UserError if one is
    missing.
    """
    names = _locations(model)
    if names:
        names = _stated(model, names)
    found = []
    for name in sorted(names):
        path = model.parent / name
        if not path.is_file():
            raise UserError(
                f"{model} keeps weights in the file {name}, which is not beside it; "
                f"put it into {model.parent}"
            )
        found.append(path)
    return found


def _stated(model: Path, names: set[str]) -> set[str]:
    """The names that tensors of the model really state; `names` if the onnx package is missing or
    cannot read the model.
    """
    try:
        import onnx
        from onnx.external_data_helper import ExternalDataInfo, uses_external_data
    except ImportError:
        return names
    try:
        graph = onnx.load_model(str(model), load_external_data=False).graph
    except Exception:  # whoever loads a damaged model reports it
        return names
    return {
        ExternalDataInfo(tensor).location
        for tensor in _tensors(graph)
        if uses_external_data(tensor)
    }


def _tensors(graph: Any) -> Iterator[Any]:
    """Every TensorProto of a graph, those in attributes and subgraphs included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


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
    """(position of the next byte, number): seven bits a byte, the lowest first."""
    number = shift = 0
    while at < len(content):
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return at, number

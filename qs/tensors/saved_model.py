"""What a TensorFlow saved_model says of itself: its signatures, and the operators of its graph.

Read from saved_model.pb without TensorFlow, which takes seconds to import and which neither our
interpreter nor a backend's need have; nothing of the model is run. Weights are stepped over.
Messages: saved_model.proto, meta_graph.proto, graph.proto, function.proto and types.proto of
TensorFlow 2.21, where a number keeps its meaning. Left out: saved_model.pbtxt, which no current
TensorFlow writes, and saved_model.cpb, a split file of more than 2 GB.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qs.base.errors import UserError
from qs.tensors.protobuf import Damaged, fields

GRAPH_FILE = "saved_model.pb"
SERVE = "serve"  # the tag of what is meant for inference
# numpy's names of the types that a model's inputs and outputs have (types.proto).
_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "str",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_MINUS = 1 << 63  # a negative int64 is written as its two's complement in 64 bits


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature."""

    name: str
    """In the graph: "serving_default_x:0"."""
    dtype: str
    """numpy's name, or "type 21" for one that numpy has not."""
    shape: tuple[int | None, ...] | None
    """None: unknown; so are dimensions that are None."""


@dataclass(frozen=True)
class Signature:
    """One function of the model that can be called."""

    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


@dataclass(frozen=True)
class SavedModel:
    """What saved_model.pb says of the graph for inference."""

    signatures: Mapping[str, Signature]
    """By name, without TensorFlow's own (`__saved_model_init_op`)."""
    tags: tuple[str, ...]
    nodes: Mapping[str, str] = field(repr=False)
    """Operator by node, of the graph itself."""
    operators: frozenset[str] = field(repr=False)
    """All of them, those of functions too."""
    objects: bool
    """TensorFlow 2's form, whose functions stand apart from the graph; else that of TensorFlow 1,
    any of whose tensors can be asked for."""


def read(folder: Path) -> SavedModel:
    """UserError for a folder without the file, and for one that is damaged or of no graph for
    inference.
    """
    path = folder / GRAPH_FILE
    if not path.is_file():
        raise UserError(
            f"{folder} has no {GRAPH_FILE}: it is no TensorFlow saved_model; put the folder that "
            "tf.saved_model.save wrote there"
        )
    if not path.stat().st_size:
        raise UserError(f"{path} is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            graphs = [_meta_graph(content, *each) for each in _parts(content, 0, len(content), 2)]
        except (Damaged, ValueError) as error:
            raise UserError(
                f"{path} is damaged, or no saved_model: {str(error) or 'cut short'}"
            ) from None
    if not graphs:
        raise UserError(f"{path} is damaged, or no saved_model: it has no graph")
    serving = [each for each in graphs if SERVE in each.tags]
    if not serving:
        tags = "; ".join(", ".join(each.tags) or "no tag" for each in graphs)
        raise UserError(
            f"{folder} has no graph with the tag {SERVE!r}, of what is for inference; its tags: "
            f"{tags}"
        )
    return serving[0]


def _meta_graph(content: mmap.mmap, begin: int, end: int) -> SavedModel:
    tags: list[str] = []
    nodes: dict[str, str] = {}
    operators: set[str] = set()
    signatures: dict[str, Signature] = {}
    objects = False
    for number, first, last in fields(content, begin, end):
        if last < 0:
            continue
        if number == 1:  # MetaInfoDef
            tags += [_text(content, *each) for each in _parts(content, first, last, 4)]
        elif number == 2:  # GraphDef
            nodes |= dict(_nodes(content, first, last, 1))
            for library in _parts(content, first, last, 2):
                for function in _parts(content, *library, 1):
                    operators |= {kind for _, kind in _nodes(content, *function, 3)}
        elif number == 5:
            name, signature = _entry(content, first, last)
            if not name.startswith("__"):
                signatures[name] = _signature(content, *signature)
        elif number == 7:
            objects = True
    operators |= set(nodes.values())
    return SavedModel(signatures, tuple(tags), nodes, frozenset(operators), objects)


def _signature(content: mmap.mmap, begin: int, end: int) -> Signature:
    sides: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for number, first, last in fields(content, begin, end):
        if number in (1, 2) and last >= 0:
            key, info = _entry(content, first, last)
            sides[number - 1][key] = _tensor(content, *info)
    return Signature(*(dict(sorted(side.items())) for side in sides))


def _tensor(content: mmap.mmap, begin: int, end: int) -> Tensor:
    name, kind = "", 0
    shape: tuple[int | None, ...] | None = None
    for number, first, last in fields(content, begin, end):
        if number == 1 and last >= 0:
            name = _text(content, first, last)
        elif number == 2 and last < 0:
            kind = first
        elif number == 3 and last >= 0:
            shape = _shape(content, first, last)
    return Tensor(name, _TYPES.get(kind, f"type {kind}"), shape)


def _shape(content: mmap.mmap, begin: int, end: int) -> tuple[int | None, ...] | None:
    sizes: list[int | None] = []
    for number, first, last in fields(content, begin, end):
        if number == 3 and last < 0 and first:
            return None  # of unknown rank
        if number == 2 and last >= 0:
            found = [value for at, value, to in fields(content, first, last) if at == 1 and to < 0]
            size = found[-1] if found else 0
            sizes.append(None if size >= _MINUS else size)
    return tuple(sizes)


def _nodes(content: mmap.mmap, begin: int, end: int, number: int) -> Iterator[tuple[str, str]]:
    """(name, operator) of the nodes in a graph's or function's field of that number."""
    for node in _parts(content, begin, end, number):
        said = {1: "", 2: ""}
        for at, first, last in fields(content, *node):
            if at in said and last >= 0:
                said[at] = _text(content, first, last)
        yield said[1], said[2]


def _entry(content: mmap.mmap, begin: int, end: int) -> tuple[str, tuple[int, int]]:
    """The key and the place of the value of a map's entry."""
    key, value = "", (begin, begin)
    for number, first, last in fields(content, begin, end):
        if number == 1 and last >= 0:
            key = _text(content, first, last)
        elif number == 2 and last >= 0:
            value = first, last
    return key, value


def _parts(content: mmap.mmap, begin: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    for number, first, last in fields(content, begin, end):
        if number == wanted and last >= 0:
            yield first, last


def _text(content: mmap.mmap, begin: int, end: int) -> str:
    return bytes(content[begin:end]).decode("utf-8")

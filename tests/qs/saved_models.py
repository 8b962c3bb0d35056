"""Writes saved_model.pb files byte by byte, as TensorFlow lays them out, without TensorFlow.

They say everything that a saved_model says of itself, and compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

FLOAT, INT32, STRING, INT64, BFLOAT16 = 1, 3, 7, 9, 14

# (name in the graph, type, shape; None: of unknown rank, -1: unknown)
Described = tuple[str, int, Sequence[int] | None]


def tag(field: int, wire: int) -> bytes:
    return varint(field << 3 | wire)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def part(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return tag(field, 2) + varint(len(raw)) + raw


def whole(field: int, number: int) -> bytes:
    return tag(field, 0) + varint(number)


def tensor_info(name: str, kind: int, shape: Sequence[int] | None) -> bytes:
    if shape is None:
        described = whole(3, 1)
    else:
        described = b"".join(part(2, whole(1, size) if size else b"") for size in shape)
    return part(1, name) + whole(2, kind) + part(3, described)


def signature(inputs: Mapping[str, Described], outputs: Mapping[str, Described]) -> bytes:
    sides = b""
    for field, side in ((1, inputs), (2, outputs)):
        for key, described in side.items():
            sides += part(field, part(1, key) + part(2, tensor_info(*described)))
    return sides + part(3, "tensorflow/serving/predict")


def graph(nodes: Mapping[str, str], in_functions: Sequence[str] = ()) -> bytes:
    """Operators by node; a Const has a weight that has to be stepped over."""
    weight = part(5, part(1, "value") + part(2, bytes(64)))

    def node(name: str, operator: str) -> bytes:
        return part(1, name) + part(2, operator) + (weight if operator == "Const" else b"")

    function = b"".join(part(3, node(f"f{at}", each)) for at, each in enumerate(in_functions))
    library = part(2, part(1, function)) if in_functions else b""
    return b"".join(part(1, node(*each)) for each in nodes.items()) + library


def meta_graph(
    signatures: Mapping[str, bytes],
    nodes: Mapping[str, str],
    in_functions: Sequence[str] = (),
    tags: Sequence[str] = ("serve",),
    objects: bool = True,
) -> bytes:
    made = part(1, b"".join(part(4, each) for each in tags) + part(5, "2.21.0"))
    made += part(2, graph(nodes, in_functions))
    for name, content in signatures.items():
        made += part(5, part(1, name) + part(2, content))
    return made + (part(7, b"") if objects else b"")


def written(folder: Path, *meta_graphs: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = whole(1, 1) + b"".join(part(2, each) for each in meta_graphs)
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def small(folder: Path, name: str = "serving_default", **how: object) -> Path:
    """One signature: x, float [unknown, 5] -> y, float [unknown, 3]."""
    x, y = ("serving_default_x:0", FLOAT, [-1, 5]), ("PartitionedCall:0", FLOAT, [-1, 3])
    nodes = {"serving_default_x": "Placeholder", "w": "Const", "PartitionedCall": "PartitionedCall"}
    return written(folder, meta_graph({name: signature({"x": x}, {"y": y})}, nodes, **how))

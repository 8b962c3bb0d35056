"""Our side: the nodes and weights of an ONNX file, and what ONNX Runtime answers to generated
items, as files that a process with TensorFlow reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.inside.reference import Graph, open_graph
from qs.inside.torchscript.graph import PlainGraph, read_graph
from qs.tensors.generated import generated_feeds, split_names
from qs.tensors.onnx_io import Fed
from qs.tensors.onnx_words import sentence

CHECKED_SIZES = (1, 2)
WEIGHTS, ABOUT = "weights.npz", "about.json"
MOST_BYTES = 1_900_000_000
"""Of a graph's weights: it is one protobuf message, of less than 2 GiB."""


class WritingService:
    """Stateless."""

    def write(self, onnx_path: str, model_info: dict[str, Any], folder: str) -> dict[str, Any]:
        """Leave nodes, weights and answers in `folder`. Returns {"nodes", "items"}.

        UserError for a model that is too large, or that the reference cannot open or run on
        generated items at batch size 1.
        """
        opened = open_graph(onnx_path, model_info, [])
        order = split_names(model_info.get("inputs")) or list(model_info["input_shape"])
        bound = sorted(opened.bound, key=lambda fed: order.index(fed.declared))
        graph = read_graph(
            Path(onnx_path), [fed.file for fed in bound], [name for name, _ in opened.outputs]
        )
        weights = _weights(graph)
        size = sum(array.nbytes for array in weights.values())
        if size > MOST_BYTES:
            raise UserError(
                f"{onnx_path} has {size / 1e9:.1f} GB of weights; a saved_model is written with at "
                f"most {MOST_BYTES / 1e9:.1f} GB of them"
            )
        place = Path(folder)
        sizes = _answers(opened, model_info, [fed.declared for fed in bound], place, onnx_path)
        stored: dict[str, Any] = {f"w{number}": array for number, array in weights.items()}
        np.savez(place / WEIGHTS, **stored)
        about = _described(graph, bound) | {
            "outputs": [reported for _, reported in opened.outputs],
            "sizes": sizes,
        }
        (place / ABOUT).write_text(json.dumps(about))
        return {"nodes": len(graph.nodes), "items": sum(sizes)}


def _weights(graph: PlainGraph) -> dict[int, np.ndarray]:
    """The constants by number, those of nodes too."""
    made = dict(graph.weights)
    for node in graph.nodes:
        if node.op == "Constant" and not node.domain and node.outputs[0] is not None:
            made[node.outputs[0]] = _constant(node.attributes)
    return made


def _constant(attributes: Mapping[str, Any]) -> np.ndarray:
    """What a Constant is: an array with its type, a number, or a list of numbers."""
    for value in attributes.values():
        if isinstance(value, tuple):
            return np.asarray(value[0])
        if isinstance(value, (int, float, list)):
            found = np.asarray(value)
            return found.astype(np.float32) if found.dtype.kind == "f" else found.astype(np.int64)
    raise UserError("a constant has a value that is not turned into TensorFlow")


def _described(graph: PlainGraph, bound: list[Fed]) -> dict[str, Any]:
    nodes = [
        {
            "op": f"{node.domain}.{node.op}" if node.domain else node.op,
            "name": node.name,
            "inputs": list(node.inputs),
            "outputs": list(node.outputs),
            "attributes": {
                name: value
                for name, value in node.attributes.items()
                if not isinstance(value, tuple)
            },
        }
        for node in graph.nodes
        if node.domain or node.op != "Constant"
    ]
    inputs = [
        {
            "number": number,
            "name": fed.declared,
            "type": kind,
            "shape": [size if isinstance(size, int) else None for size in fed.tensor.shape],
        }
        for (number, kind), fed in zip(graph.inputs, bound, strict=True)
    ]
    return {"opset": graph.opset, "inputs": inputs, "results": graph.outputs, "nodes": nodes}


def answers_file(size: int) -> str:
    return f"answers-{size}.npz"


def _answers(
    graph: Graph, info: Mapping[str, Any], inputs: list[str], place: Path, path: str
) -> list[int]:
    """The batch sizes whose feeds (i0, i1, ...) and answers (o0, ...) were written."""
    written: list[int] = []
    for size in CHECKED_SIZES:
        feeds = generated_feeds(info, size)
        try:
            answers, _ = graph.run(feeds)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
            if written:  # a file that is fixed to one item
                break
            raise UserError(f"{path} cannot be run on generated items: {sentence(error)}") from None
        types = {fed.declared: fed.dtype for fed in graph.bound}
        arrays = {f"i{at}": feeds[name].astype(types[name]) for at, name in enumerate(inputs)}
        arrays |= {f"o{at}": array for at, array in enumerate(answers.values())}
        np.savez(place / answers_file(size), **arrays)  # type: ignore[arg-type]
        written.append(size)
    return written

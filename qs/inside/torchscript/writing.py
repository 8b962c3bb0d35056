"""Our side: the text of `forward` for an ONNX file, its weights, and what ONNX Runtime answers to
generated items, as files that a process with torch reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.inside.reference import Graph, open_graph
from qs.inside.torchscript.elementwise import ELEMENTWISE
from qs.inside.torchscript.emitting import Script, script_of
from qs.inside.torchscript.fusing import fused
from qs.inside.torchscript.graph import read_graph
from qs.inside.torchscript.layers import LAYERS
from qs.inside.torchscript.quantized import QUANTIZED
from qs.inside.torchscript.reducing import REDUCING
from qs.inside.torchscript.resizing import RESIZING
from qs.inside.torchscript.shaping import SHAPING
from qs.tensors.generated import generated_feeds, split_names
from qs.tensors.onnx_words import sentence

OPERATORS = ELEMENTWISE | SHAPING | LAYERS | RESIZING | REDUCING | QUANTIZED
CHECKED_SIZES = (1, 2)
SOURCE, CONSTANTS, ABOUT = "forward.txt", "constants.npz", "about.json"


class WritingService:
    """Stateless."""

    def write(self, onnx_path: str, model_info: dict[str, Any], folder: str) -> dict[str, Any]:
        """Leave text, weights and answers in `folder`. Returns {"nodes", "items"}.

        UserError for a node that is not known, and for a model that the reference cannot open or
        run on generated items at batch size 1.
        """
        graph = open_graph(onnx_path, model_info, [])
        order = split_names(model_info.get("inputs")) or list(model_info["input_shape"])
        bound = sorted(graph.bound, key=lambda fed: order.index(fed.declared))
        script = script_for(
            Path(onnx_path), [fed.file for fed in bound], [name for name, _ in graph.outputs]
        )
        place = Path(folder)
        sizes = _answers(graph, model_info, [fed.declared for fed in bound], place, onnx_path)
        (place / SOURCE).write_text(script.source)
        np.savez(place / CONSTANTS, **script.constants)  # type: ignore[arg-type]
        about = {
            "types": script.types,
            "outputs": [reported for _, reported in graph.outputs],
            "inputs": [fed.declared for fed in bound],
            "sizes": sizes,
        }
        (place / ABOUT).write_text(json.dumps(about))
        return {"statements": script.source.count("\n"), "items": sum(sizes)}


def script_for(path: Path, inputs: list[str], outputs: list[str]) -> Script:
    """The text of forward, its inputs and outputs in the order of these names of the file."""
    return script_of(read_graph(path, inputs, outputs), OPERATORS, fused)


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
        arrays = {f"i{at}": feeds[name] for at, name in enumerate(inputs)}
        arrays |= {f"o{at}": array for at, array in enumerate(answers.values())}
        np.savez(place / answers_file(size), **arrays)  # type: ignore[arg-type]
        written.append(size)
    return written

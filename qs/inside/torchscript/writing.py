"""Our side: the text of `forward` for an ONNX file, its weights, and what ONNX Runtime answers to
generated items, as files that a process with torch reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from qs.models.converted import SAMPLES, Feeds, accepted
from qs.tensors.generated import split_names
from qs.tensors.onnx_words import sentence

OPERATORS = ELEMENTWISE | SHAPING | LAYERS | RESIZING | REDUCING | QUANTIZED
SOURCE, CONSTANTS, ABOUT = "forward.txt", "constants.npz", "about.json"


class WritingService:
    """Stateless."""

    def write(self, onnx_path: str, model_info: dict[str, Any], folder: str) -> dict[str, Any]:
        """Leave text, weights and answers in `folder`. Returns {"items", "batch_sizes", "feeds"} of
        the answers, as qs.models.converted.agreement does.

        UserError for a node that is not known, and for a model that the reference cannot open or
        run on generated items at batch size 1.
        """
        graph = open_graph(onnx_path, model_info, [])
        order = split_names(model_info.get("inputs")) or list(model_info["input_shape"])
        bound = sorted(graph.bound, key=lambda fed: order.index(fed.declared))
        cast = [at for at, fed in enumerate(bound) if fed.spec.dtype != fed.dtype]
        names = [fed.file for fed in bound], [name for name, _ in graph.outputs]
        script = script_for(Path(onnx_path), *names, cast)
        place = Path(folder)
        answers, feeds = _answers(graph, model_info, [fed.declared for fed in bound], place)
        (place / SOURCE).write_text(script.source)
        np.savez(place / CONSTANTS, **script.constants)  # type: ignore[arg-type]
        about = {
            "types": script.types,
            "outputs": [reported for _, reported in graph.outputs],
            "inputs": len(bound),
            "answers": len(answers),
        }
        (place / ABOUT).write_text(json.dumps(about))
        return {"items": sum(answers), "batch_sizes": sorted(set(answers)), "feeds": feeds}


def script_for(
    path: Path, inputs: list[str], outputs: list[str], cast: Sequence[int] = ()
) -> Script:
    """The text of forward, its inputs and outputs in the order of these names of the file; `cast`
    as in script_of.
    """
    return script_of(read_graph(path, inputs, outputs), OPERATORS, fused, cast)


def _answers(
    graph: Graph, info: Mapping[str, Any], inputs: list[str], place: Path
) -> tuple[list[int], str]:
    """Write the sample feeds that the graph takes (i0, i1, ...) and its answers (o0, ...) to
    `answers-<number>.npz`. Returns the batch size of each, and what the feeds are.
    """
    kept: dict[int, list[np.ndarray]] = {}

    def original(feeds: Feeds) -> list[np.ndarray]:
        kept[id(feeds)] = found = list(graph.run(feeds)[0].values())
        return found

    try:
        samples, kind = accepted(original, info)
    except Exception as error:  # ONNX Runtime raises a dozen unrelated classes
        raise UserError(f"it cannot be run on generated items: {sentence(error)}") from None
    sizes: list[int] = []
    for feeds, (_, size) in zip(samples, SAMPLES, strict=True):
        if feeds is None:
            continue
        arrays = {f"i{at}": feeds[name] for at, name in enumerate(inputs)}
        arrays |= {f"o{at}": array for at, array in enumerate(kept[id(feeds)])}
        np.savez(place / f"answers-{len(sizes)}.npz", **arrays)  # type: ignore[arg-type]
        sizes.append(size)
    return sizes, kind

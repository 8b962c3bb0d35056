"""What a TensorFlow saved_model says of its inputs, read without TensorFlow: those of its
signature, by their names there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.artifact.inputs import Facts
from qs.inside.untried import declared
from qs.models.formats import SAVED_MODEL
from qs.models.signatures import signature_of
from qs.tensors.onnx_io import FileTensor
from qs.tensors.saved_model import GRAPH_FILE, Tensor, read

BATCH = "batch"
# By numpy's names, as ONNX calls them.
_NAMES = {"float32": "float", "float64": "double", "str": "string"}


def is_saved_model(file: Path) -> bool:
    return (file / GRAPH_FILE).is_file()


def of_saved_model(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """See ArtifactService.describe. UserError for what is no saved_model, or has no signature."""
    saved = read(folder)
    signature = saved.signatures[signature_of(saved, folder)]
    tensors = [_tensor(key, each) for key, each in signature.inputs.items()]
    open_rank = [key for key, each in signature.inputs.items() if each.shape is None]
    facts = Facts(unranked=frozenset(open_rank))
    found = declared(folder, SAVED_MODEL, tensors, list(signature.outputs), asked, facts=facts)
    return found | {"kind": SAVED_MODEL, "framework": "Tensorflow"}


def _tensor(key: str, tensor: Tensor) -> FileTensor:
    name = _NAMES.get(tensor.dtype, tensor.dtype)
    dimensions = tuple(
        BATCH if size is None and at == 0 else size for at, size in enumerate(tensor.shape or ())
    )
    return FileTensor(key, dimensions, f"tensor({name})")

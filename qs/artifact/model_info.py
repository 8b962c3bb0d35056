"""The model info for a file that comes without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FRAMEWORKS = {
    **dict.fromkeys((".pt", ".pth", ".pt2", ".safetensors"), "Pytorch"),
    ".pb": "Tensorflow",
}
# Words that say nothing of which model it is, in names of files and of the folders they lie in.
_ANY_MODEL = re.compile(
    "models?|saved|savedmodel|net|network|infer|inference|onnx|weights|graph|frozen|best|last|final|"
    "latest|checkpoints?|ckpt|pytorch|torch|tf|quant|quantized|u?int|float|opt|optimi[sz]ed|sim|"
    "simplified|exports?|exported|encoder|decoder|merged|with|past|snapshots?|resolve|main|"
    "artifacts|outputs?|files|"
    r"(u?int|fp|bf|f|q|bnb|v|opset|o|bs|b)?\d+[a-z\d]*|[0-9a-f]{16,}"
)
_CACHED = re.compile(r"^models--")  # how Hugging Face's cache begins a model's folder
BATCH_AXES = "input_batch_axis"


def name_of(path: Path) -> str:
    """A plain name for reports and folders, from the file's name; one that says nothing, as
    model.onnx, has the folder's before it that does.
    """
    stem = path.stem or path.name
    if _says_nothing(stem):
        folders = [each.name for each in path.absolute().parents if each.name]
        telling = [name for name in folders if not _says_nothing(name)]
        for name in (telling or folders)[:1]:
            stem = f"{_CACHED.sub('', name)}-{stem}"
    return plain_name(stem) or "model"


def plain_name(text: str) -> str:
    """The text in characters that any file system and any report takes; empty if none is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")


def _says_nothing(name: str) -> bool:
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    return all(_ANY_MODEL.fullmatch(word) for word in words)


def model_info_of(described: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """In the published spelling; `input_batch_axis` is ours, for inputs whose batch dimension is
    not the first.
    """
    inputs = described["inputs"]
    info: dict[str, Any] = {
        "model": name,
        "model_path": str(path),
        "framework": described.get("framework") or FRAMEWORKS.get(path.suffix.lower(), "Onnx"),
        "model_format": described["format"],
        "model_precision": described["precision"],
        "inputs": [each["name"] for each in inputs],
        "outputs": described["outputs"],
        "input_shape": {each["name"]: list(each["shape"]) for each in inputs},
        "input_type": [each["type"] for each in inputs],
        "dataset_name": None,
        "max_batch_size": None,
        "is_quantized": described["precision"] == "INT8",
    }
    ranges = {each["name"]: list(each["range"]) for each in inputs if each.get("range")}
    axes = {each["name"]: each["batch_axis"] for each in inputs if each["batch_axis"] != 0}
    if ranges:
        info["input_range"] = ranges
    if axes:
        info[BATCH_AXES] = axes
    return info

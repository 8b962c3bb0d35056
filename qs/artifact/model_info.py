"""The model info for a file that comes without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FRAMEWORKS = {".pt": "Pytorch", ".pth": "Pytorch", ".pb": "Tensorflow"}
ANY_MODEL = ("model", "saved_model", "network", "inference")  # names that tell nothing
BATCH_AXES = "input_batch_axis"


def name_of(path: Path) -> str:
    """A plain name for reports and folders, from the file's name."""
    stem = path.stem or path.name
    if stem.lower() in ANY_MODEL and path.absolute().parent.name:
        stem = f"{path.absolute().parent.name}-{stem}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "model"


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

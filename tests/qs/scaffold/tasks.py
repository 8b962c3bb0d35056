"""Small models, and tasks for them that are made in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from qs.base import jsonc
from qs.inside.artifact import ArtifactService
from qs.inside.task_trial import TaskTrial
from qs.scaffold.data.plan import Asked
from qs.scaffold.task import Written, write_task

Shape = Sequence[int | str]
CHECKS = ("data", "items", "labels", "metric", "preparation")


def linear(path: Path, weights: np.ndarray, name: str = "x", shape: Shape | None = None) -> Path:
    """scores = flatten(x) @ weights, for x of [N, rows of the weights] unless a shape is stated."""
    nodes = [
        helper.make_node("Flatten", [name], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    inputs = {name: (TensorProto.FLOAT, shape or ["N", weights.shape[0]])}
    return save(path, nodes, inputs, {"scores": ["N", weights.shape[1]]}, {"w": weights})


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, Shape],
    weights: Mapping[str, np.ndarray],
    types: Mapping[str, int] | None = None,
) -> Path:
    """A model of these nodes; outputs are floats unless `types` says otherwise."""
    kinds = types or {}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, *about) for name, about in inputs.items()],
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in outputs.items()
        ],
        [
            numpy_helper.from_array(
                array.astype(np.float32) if array.dtype == np.float64 else array, name
            )
            for name, array in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def described(path: Path, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The model read in this process."""
    return ArtifactService().describe(str(path), asked)


def new_task(root: Path, model: Path, data: Path | None = None, **stated: Any) -> Written:
    """The task `mine` in a workspace."""
    root.mkdir(exist_ok=True)
    return write_task(Asked("mine", model, into=root, data=data, **stated), described)


def checked(root: Path) -> dict[str, dict[str, str]]:
    """What each check of the task `mine` sees, in this process."""
    info = jsonc.read(root / "model_zoo" / "mine.json")
    folder = root / "datasets" / "mine"
    trial = TaskTrial(info, str(root), str(folder))  # type: ignore[arg-type]
    found = {"model": trial.model(offline=True)}
    for name in CHECKS:
        found[name] = getattr(trial, name)()
        if found[name]["status"] == "fail":
            break
    return found


def guesses(written: Written) -> str:
    return "\n".join(f"{guess.what}: {guess.how}" for guess in written.guesses)

"""A task's workload and its model info: found, read and checked against each other, with all faults
at once.

The backend, its QS config and the answers to its questions are checked where they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError, together
from qs.base.workspace import Found, Workspaces
from qs.config.model_info import ModelInfo, check_model_info
from qs.config.workload import Workload, check_workload


@dataclass(frozen=True)
class TaskConfig:
    """Everything that files and flags say about a task, checked."""

    task: Found
    workload: Workload
    model: Found
    model_info: ModelInfo
    warnings: tuple[str, ...]


def load_task(
    workspaces: Workspaces, name: str, overrides: Mapping[str, Any] | None = None
) -> TaskConfig:
    """The task of that name. `overrides` (key -> value, None: not given) are the command line's.

    Raises UserError with everything that is wrong in the workload, the flags and the model info,
    and between them.
    """
    task = workspaces.task(name)
    file = str(task.path)
    workload = check_workload(jsonc.read(task.path), file, task.name, overrides)
    errors: list[UserError] = []
    faults = list(workload.faults)
    model = info = None
    try:
        if "model" in workload.right:
            model = workspaces.model(workload.right["model"])
            info = check_model_info(jsonc.read(model.path), str(model.path))
            flags = {key for key, value in (overrides or {}).items() if value is not None}
            origin: Callable[[str], str] = lambda key: f"--{key}" if key in flags else file  # noqa: E731
            faults += [*info.faults, *_misfits(workload.right, info.right, origin)]
    except UserError as error:
        errors.append(UserError(f"{file}: model: {error}") if model is None else error)
    if faults:
        errors.insert(0, Faults(faults))
    if errors:
        raise together(errors)
    assert (
        workload.value is not None
        and info is not None
        and info.value is not None
        and model is not None
    )
    return TaskConfig(task, workload.value, model, info.value, (*workload.warnings, *info.warnings))


def _misfits(
    workload: Mapping[str, Any], model_info: Mapping[str, Any], origin: Callable[[str], str]
) -> list[Fault]:
    largest = model_info.get("max_batch_size")
    if largest is None:
        return []
    allowed = f"1 to {largest}, the max_batch_size of {model_info.get('model', 'the model')}"
    return [
        Fault(origin("batch_sizes"), f"batch_sizes[{place}]", size, allowed)
        for place, size in enumerate(workload.get("batch_sizes", ()))
        if size > largest
    ]

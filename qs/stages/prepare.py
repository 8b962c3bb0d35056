"""Before any work: find and check everything that the run names, and report all faults at once.

No model is loaded, no backend code runs, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qs.errors import Fault, Faults, UserError
from qs.plan import Request
from qs.report.files import check_writable

T = TypeVar("T")


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know before it starts, found and checked."""

    request: Request
    workspaces: Any
    workload: Any
    model_info: Any
    backend: Any  # Found: path of the folder, root of its workspace
    model: Any  # Found: path of the model info, root of its workspace
    dataset: Any | None  # Found, or None where there is no such data set on this machine
    given_answers: dict[str, object] | None
    found: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def hardware(self) -> str:
        """The backend's name as its folder spells it; the report's folder is named so too."""
        return self.backend.path.name

    @property
    def out(self) -> Path:
        return self.request.out / self.hardware / self.model_info.model

    @property
    def seed(self) -> int:
        return 0 if self.request.seed is None else self.request.seed


def prepare(request: Request) -> Prepared:
    """Check a request; UserError names everything that is wrong with it."""
    from qs.config.model_info import load_model_info
    from qs.config.workload import load_workload
    from qs.workspace import Workspaces

    workspaces = Workspaces.find(request.workspace)
    notes = _Notes()
    task = notes.attempt(lambda: workspaces.task(request.task))
    backend = notes.attempt(lambda: workspaces.backend(request.hardware_type))
    given = notes.attempt(lambda: _answers(request.answers))
    notes.raise_if_any()

    workload, warnings = load_workload(task.path)
    model = workspaces.model(workload.model)
    model_info, more = load_model_info(model.path)
    dataset = workspaces.dataset(model_info.dataset_name) if model_info.dataset_name else None
    check_batch_sizes(request, workload, model_info, task.path)
    prepared = Prepared(
        request=request,
        workspaces=workspaces,
        workload=workload,
        model_info=model_info,
        backend=backend,
        model=model,
        dataset=dataset,
        given_answers=given,
        warnings=(*warnings, *more),
        found={
            "Task": str(task.path),
            "Backend": str(backend.path),
            "Model": str(model.path),
            "Dataset": str(dataset.path) if dataset else "",
        },
    )
    check_writable(prepared.out)
    return prepared


def check_batch_sizes(request: Request, workload: Any, model_info: Any, task_file: Path) -> None:
    """No batch size above the model's maximum, wherever the sizes come from."""
    maximum = model_info.max_batch_size
    if maximum is None:
        return
    asked = request.batch_sizes is not None
    sizes = request.batch_sizes if asked else workload.batch_sizes
    place, key = ("--batch_sizes", "") if asked else (str(task_file), "batch_sizes")
    allowed = f"1 to {maximum}, the max_batch_size of {model_info.model}"
    faults = [Fault(place, key, size, allowed) for size in sizes if size > maximum]
    if faults:
        raise Faults(faults)


def _answers(path: Path | None) -> dict[str, object] | None:
    if path is None:
        return None
    from qs import jsonc

    answers = jsonc.read(path)
    if not isinstance(answers, dict):
        raise UserError(f"{path}: holds no object; allowed: name of the question -> answer")
    return answers


class _Notes:
    """Collects what several independent checks refuse, to say it in one message."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def attempt(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except UserError as error:
            self._messages.append(str(error))
            return None

    def raise_if_any(self) -> None:
        if self._messages:
            raise UserError("\n".join(self._messages))

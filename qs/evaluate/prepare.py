"""Before any work: find and check everything that the run names, and report all faults at once.

No model is loaded, no backend code runs, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from qs.artifact.model_info import plain_name
from qs.base.errors import Fault, Faults, UserError, together
from qs.base.files import check_writable
from qs.base.workspace import Found, Workspaces
from qs.config.model_info import ModelInfo
from qs.config.task import TaskConfig, load_task
from qs.config.workload import Workload
from qs.contract.model_formats import formats_read_by
from qs.evaluate.artifacts import Artifact, take
from qs.evaluate.gating import bounds_of
from qs.evaluate.nodes_asked import check_nodes
from qs.evaluate.prompted import check_of_task
from qs.evaluate.served import check_answers, check_compiled_before, check_no_server
from qs.evaluate.slo import check_goals
from qs.interact.asking import read_answers
from qs.result.result import Kind
from qs.settings.request import Request
from qs.settings.settings import SEED
from qs.tensors.generated import numpy_dtype
from qs.tensors.ranges import range_fault

T = TypeVar("T")
OVERRIDES = ("clients", "iterations", "batch_sizes")
WORK = "work"  # beside the report


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs to know before it starts, found and checked."""

    request: Request
    workspaces: Workspaces
    workload: Workload
    model_info: ModelInfo
    backend: Found
    model: Found
    dataset: Found | None  # None: this machine has no such data set
    given_answers: dict[str, object] | None
    found: dict[str, str]
    warnings: tuple[str, ...]
    artifact: Artifact | None = None  # what --compiled names, or `qs load` was given
    described: dict[str, Any] | None = None  # what a model file without a task says of itself
    given_data: dict[str, Any] | None = (
        None  # the user's own items for it: see qs.inside.samples.open_given
    )

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for a backend that nobody named, and for each thing that is used in place of
        the shipped one of its name.
        """
        found = (self.backend, self.model, self.dataset)
        said = (self.workspaces.replacing_shipped(each) for each in found if each is not None)
        note = self.request.backend_note
        return (*([note] if note else []), *(text for text in said if text is not None))

    @property
    def hardware(self) -> str:
        """The backend's name as its folder spells it; the report's folder is named so too."""
        return self.backend.path.name

    @property
    def title(self) -> str:
        """What is measured: the task's name, or the file's, after the model's if that says more."""
        if self.request.task:
            return self.request.task
        served = (self.described or {}).get("served")
        if served is not None:
            return str(served["title"])
        file = Path(str(self.request.artifact))
        model = self.model_info.model
        if model == plain_name(file.stem):
            return file.name
        own = file.suffix.lower() != ".json"  # a compile result is called as all of them are
        return f"{model}{file.suffix}" if own else f"{model} ({file.name})"

    @property
    def out(self) -> Path:
        return self.request.out / self.hardware / self.model_info.model

    @property
    def work(self) -> Path:
        """The backend's working folder, absolute."""
        return self.out.absolute() / WORK

    @property
    def seed(self) -> int:
        return SEED if self.request.seed is None else self.request.seed

    @property
    def compares(self) -> bool:
        """Whether the backend's answers are compared with the reference's."""
        asked = self.workload.test_numeric or self.request.kind is Kind.NUMERIC
        return asked and not self.compile_only

    @property
    def compile_only(self) -> bool:
        return self.request.compile_only or (self.workload.compile_only and self.artifact is None)


def prepare(request: Request) -> Prepared:
    """Check a request; UserError names everything that is wrong with it."""
    workspaces = Workspaces.find(request.workspace)
    overrides = {name: getattr(request, name) for name in OVERRIDES}
    checks = Checks()
    task = checks.attempt(lambda: load_task(workspaces, request.task, overrides))
    backend = checks.attempt(lambda: workspaces.backend(request.hardware_type))
    if backend is not None:
        checks.attempt(partial(formats_read_by, backend.path))
    given = checks.attempt(partial(read_answers, request.answers)) if request.answers else None
    checks.attempt(lambda: check_writable(request.out))
    checks.attempt(lambda: check_env(request))
    checks.attempt(lambda: _check_compiled(request))
    checks.attempt(partial(check_no_server, request))
    if request.compiled is not None:
        checks.attempt(partial(check_compiled_before, request))
    checks.attempt(partial(check_answers, request.hardware_type, given))
    checks.attempt(partial(check_of_task, request))
    checks.attempt(request.traffic.check)
    checks.attempt(partial(check_goals, request))
    checks.attempt(partial(check_nodes, request))
    checks.attempt(partial(bounds_of, request, task.workload if task else None))
    if task is not None:
        checks.attempt(lambda: _check_pool(request, task.workload))
        checks.attempt(partial(_check_ranges, task.model_info, str(task.model.path)))
    artifact = None
    if request.compiled and task is not None and backend is not None:
        model = task.model_info.model
        artifact = checks.attempt(partial(take, request.compiled, backend.path.name, model))
    checks.raise_if_any()
    assert task is not None and backend is not None  # what refused them was raised
    request = replace(request, task=task.task.name)  # of which the beginning was enough
    if request.in_process:  # the backend works in another folder, and with it this process
        request = replace(request, out=request.out.absolute())

    dataset = (
        workspaces.dataset(task.model_info.dataset_name) if task.model_info.dataset_name else None
    )
    prepared = Prepared(
        request=request,
        workspaces=workspaces,
        workload=task.workload if request.kind is not Kind.LOAD else _load_alone(request, task),
        model_info=task.model_info,
        backend=backend,
        model=task.model,
        dataset=dataset,
        given_answers=given,
        found={
            "Task": str(task.task.path),
            "Backend": str(backend.path),
            "Model": str(task.model.path),
            "Dataset": str(dataset.path) if dataset else "",
        },
        warnings=task.warnings,
        artifact=artifact,
    )
    check_writable(prepared.out)
    return prepared


def _load_alone(request: Request, task: TaskConfig) -> Workload:
    """A load test of a task's model: no accuracy, no agreement, and the amount of any load test."""
    return task.workload.model_copy(
        update={
            "test_perf": True,
            "test_accuracy": False,
            "test_numeric": False,
            "compile_only": False,
            "clients": request.clients or 1,
            "batch_sizes": request.batch_sizes or (1,),
        }
    )


def _check_ranges(info: ModelInfo, file: str) -> None:
    faults = []
    for name, bounds in info.input_range.items():
        type_name = info.input_type.get(name)
        allowed = type_name and range_fault(numpy_dtype(type_name), type_name, bounds)
        if allowed:
            faults.append(Fault(file, f"input_range.{name}", list(bounds), allowed))
    if faults:
        raise Faults(faults)


def _check_pool(request: Request, workload: Workload) -> None:
    if request.pool == "inline" and workload.clients > 1:
        hint = "inline has one client, the calling thread: add --clients 1"
        raise Faults(
            [Fault("--pool", "", "inline", f"thread with {workload.clients} clients", hint=hint)]
        )


def check_env(request: Request) -> None:
    if request.in_process and request.env == "new":
        hint = "leave out --in_process, or run with --env current"
        raise Faults([Fault("--env", "", "new", "current, with --in_process", hint=hint)])


def _check_compiled(request: Request) -> None:
    if request.compiled is None:
        return
    faults = []
    if request.compile_only:
        faults.append(
            Fault("--compiled", "", str(request.compiled), "alone, without --compile_only")
        )
    if request.answers:
        hint = "the answers are those that it was compiled with"
        faults.append(Fault("--answers", "", str(request.answers), "without --compiled", hint=hint))
    if faults:
        raise Faults(faults)


class Checks:
    """Runs checks that do not need each other, to say in one message what all of them refuse."""

    def __init__(self) -> None:
        self._errors: list[UserError] = []

    def attempt(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except UserError as error:
            self._errors.append(error)
            return None

    def raise_if_any(self) -> None:
        if self._errors:
            raise together(self._errors)

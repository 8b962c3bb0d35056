"""Before a load test: an artifact in a task's place, a file or the address of a served model. What
it says of its inputs becomes a model info, and a workload of its own.

Backend code does not run, and nothing is written. A model file is opened in a process of ours, a
server asked from one; one inference tries what had to be guessed, unless only the plan is asked
for.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qs.artifact import model_info_of
from qs.artifact.user_data import advice
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import check_writable
from qs.base.names import type_name
from qs.base.workspace import Found, Workspaces
from qs.config.model_info import ModelInfo, check_model_info
from qs.config.workload import Workload, check_workload
from qs.contract.model_formats import formats_read_by
from qs.evaluate.artifacts import Artifact, take
from qs.evaluate.choosing import files_read, may_read
from qs.evaluate.gating import bounds_of
from qs.evaluate.naming import told_apart
from qs.evaluate.nodes_asked import check_nodes
from qs.evaluate.own_process import artifact_process
from qs.evaluate.prepare import Checks, Prepared, check_env
from qs.evaluate.prompted import check_traffic, with_load
from qs.evaluate.served import (
    check_answers,
    check_compiled_before,
    check_no_server,
    check_served,
)
from qs.evaluate.slo import check_goals
from qs.interact.asking import read_answers
from qs.settings.request import Request
from qs.tensors.file_kind import foreign

TASK = "load"  # a workload has to have a name; no file of it exists
DEFAULT_BATCH_SIZE = 1


async def prepare_artifact(request: Request, scratch: Path, probe: bool = True) -> Prepared:
    """Check a request for an artifact, and describe it. UserError names everything that is wrong,
    before anything is loaded.

    scratch   a folder for the user's own items, which lasts as long as the backend's process
    """
    workspaces = Workspaces.find(request.workspace)
    checks = Checks()
    backend = checks.attempt(lambda: workspaces.backend(request.hardware_type))
    if request.file is None:
        checks.attempt(partial(check_served, request))
    else:
        checks.attempt(partial(_exists, request.file))
        checks.attempt(partial(check_no_server, request))
        if backend is not None:
            checks.attempt(partial(_readable, request.file, backend.path))
    checks.attempt(lambda: check_writable(request.out))
    checks.attempt(lambda: check_env(request))
    checks.attempt(partial(check_traffic, request))
    checks.attempt(partial(check_goals, request))
    checks.attempt(partial(check_nodes, request))
    checks.attempt(partial(bounds_of, request, None))
    checks.attempt(request.feeding.check)
    given_answers = (
        checks.attempt(partial(read_answers, request.answers)) if request.answers else None
    )
    checks.attempt(partial(check_answers, request.hardware_type, given_answers))
    checks.raise_if_any()
    assert backend is not None
    artifact = None
    if request.file is not None:
        artifact = await asyncio.to_thread(_compiled, request.file, backend.path.name)
        request = replace(request, artifact=request.file.absolute())
    if artifact is not None and request.answers:
        hint = "the answers are those that it was compiled with"
        wanted = f"with a model's file, not the compile result {request.artifact}"
        raise Faults([Fault("--answers", "", str(request.answers), wanted, hint=hint)])
    if artifact is not None:
        check_compiled_before(request)
    described, given = await _described(request, scratch, probe)
    if artifact is None:  # a compile result has its model's name
        reports = request.out / backend.path.name
        described["name"] = await asyncio.to_thread(told_apart, described, reports)
    request = with_load(request, described.get("prompts"))
    request = _at_its_only_size(request, described["batch"])
    if request.in_process:  # the backend works in another folder, and with it this process
        request = replace(request, out=request.out.absolute())
    path = described["path"]
    place = Path(path)
    prepared = Prepared(
        request=request,
        workspaces=workspaces,
        workload=_workload(request, described),
        model_info=_model_info(described, path),
        backend=backend,
        model=Found(described["name"], place, place.parent),
        dataset=None,
        given_answers=given_answers,
        found={"Artifact": path, "Backend": str(backend.path)},
        warnings=tuple(described["notes"]),
        artifact=artifact,
        described=described,
        given_data=given,
    )
    check_writable(prepared.out)
    return prepared


def _at_its_only_size(request: Request, batch: dict[str, Any]) -> Request:
    """Asking for the one batch size that can be run, where no other is asked for."""
    if request.batch_sizes or batch["only"] is None:
        return request
    origins = {**request.origins, "batch_sizes": batch["why"]}
    return replace(request, batch_sizes=(batch["only"],), origins=origins)


def _exists(path: Path) -> None:
    if not path.exists():
        there = "an existing model file or folder, a compile result, or the name of a task"
        hint = "to load a model that ships: qs load digits"
        raise Faults([Fault("FILE", "", str(path), there, hint=hint)])


def _readable(path: Path, backend: Path) -> None:
    """A fault if the backend states that it does not read such a file: no hint leads on then."""
    reads = formats_read_by(backend)
    if not path.exists() or may_read(backend, path):
        return
    kind = foreign(path) or f"a {path.suffix or 'nameless'} file"
    raise UserError(
        f"{path} is {kind}; the {backend.name} backend reads {files_read(reads)} files (and "
        "compile results, .json)"
    )


def _compiled(path: Path, hardware: str) -> Artifact | None:
    """A compile result, checked against the backend and the files that it names; None for a model
    file.
    """
    return take(path, hardware, None) if path.suffix.lower() == ".json" else None


async def _described(
    request: Request, scratch: Path, probe: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The artifact's description, and what its inputs are fed."""
    feeding = request.feeding
    data = {name: str(value) for name, value in feeding.data.items()}
    asked = {
        "shapes": {name: list(shape) for name, shape in feeding.shapes.items()},
        "types": {name: type_name(each) for name, each in feeding.types.items()},
        "ranges": {name: list(bounds) for name, bounds in feeding.ranges.items()},
        "states": None if feeding.states is None else dict(feeding.states),
        "batch_sizes": list(request.batch_sizes or ()),
        "data": data,
        "batch_axis": list(feeding.batch_axis),
        "fill": feeding.fill,
        "probe": probe,
        "folder": str(scratch / "prompts"),
    }
    async with artifact_process(scratch / "artifact.log") as reader:
        if request.file is None:
            described = await reader.describe_served(request.remote, asked)
        else:
            described = await reader.describe(request.file, asked)
        read: dict[str, Any] = {"files": {}, "notes": []}
        if feeding.data:
            read = await reader.read_data(described, data, scratch / "data")
    described["notes"] += read["notes"]
    return described, {
        "files": read["files"],
        "fill": feeding.fill,
        "states": described["states"],
        "ranged": list(feeding.ranges),
        "prompts": described.get("prompts"),
        "of": "a model file" if request.file is not None else "a served model",
        "advice": {
            each["name"]: f"generated; {advice(each['name'])}" for each in described["inputs"]
        },
    }


def _workload(request: Request, described: dict[str, Any]) -> Workload:
    stated: dict[str, Any] = {
        "model": described["name"],
        "test_accuracy": False,
        "test_numeric": False,
        "clients": 1,
        "batch_sizes": list(
            request.batch_sizes or described["batch_sizes"] or (DEFAULT_BATCH_SIZE,)
        ),
    }
    workload, _ = check_workload(stated, "qs load", TASK).result()
    return workload


def _model_info(described: dict[str, Any], path: str) -> ModelInfo:
    plain = model_info_of(described, described["name"], Path(path)) | {"model_path": path}
    info, _ = check_model_info(plain, path).result()
    return info

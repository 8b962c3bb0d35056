"""Which two things are measured: two model files, two compile results, or one task in two
workspaces (checkouts); and whether what a saved result measured can be measured again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from qs.base.addresses import public
from qs.base.errors import Fault, Faults, UserError
from qs.evaluate.prepare import Prepared, prepare
from qs.result.result import Result
from qs.settings.request import Request

FOLDER = "ci"  # beside other reports
PARTS = ("backends", "workloads", "model_zoo")  # of a workspace
Describe = Callable[[Request], Prepared]


def is_workspace(path: Path) -> bool:
    return path.is_dir() and any((path / part).is_dir() for part in PARTS)


def place(request: Request, side: str) -> Request:
    """The request with a folder of its own for the side's report."""
    return replace(request, out=request.out / FOLDER / side)


def at(request: Request, path: Path, flag: str) -> Request:
    """The request, of what lies at `path`. Raises Faults if nothing does, or of the wrong kind."""
    if not path.exists():
        allowed = "a model file, a compile result, or a workspace folder, that is there"
        raise Faults([Fault(flag, "", str(path), allowed)])
    if is_workspace(path):
        if not request.task:
            hint = f"name the task that is measured in it: --task TASK {flag} {path}"
            raise Faults([Fault(flag, "", str(path), "a workspace, with --task", hint=hint)])
        return replace(request, workspace=path)
    if request.task:
        if path.is_dir() and not _has_compiled(path):
            allowed = (
                f"a workspace (a folder with {'/, '.join(PARTS)}/), or a folder with a compile "
                "result (qs run --compile_only)"
            )
            raise Faults([Fault(flag, "", str(path), allowed)])
        return replace(request, compiled=path)
    return replace(request, artifact=path)


def _has_compiled(path: Path) -> bool:
    return any(next(path.glob(f"{at}compile-*.json"), None) for at in ("", "*/", "*/*/"))


def described(request: Request, describe: Describe) -> Prepared:
    """Found and checked, as far as that goes before anything is started."""
    prepared = prepare(request) if request.task else describe(request)
    root = request.workspace
    if request.task and root is not None and is_workspace(root):
        found = (prepared.backend, prepared.model, prepared.dataset)
        inside = root.resolve()
        if not any(each and each.path.resolve().is_relative_to(inside) for each in found):
            raise UserError(
                f"{root}: has neither the backend {prepared.hardware} nor the model or data of "
                f"{request.task}, so nothing in it would be measured"
            )
    return prepared


def words_for(prepared: Prepared) -> str:
    """What a side is, for people: the file, or the folder of the backend."""
    request = prepared.request
    if request.file is not None:
        return _relative(request.file)
    if request.address is not None:
        return public(request.address)
    if request.compiled is not None:
        return f"{request.task}, compiled in {_relative(request.compiled)}"
    return f"{request.task} with the backend in {_relative(prepared.backend.path)}"


def again(result: Result, new: Request) -> Request | str:
    """The request that measures what a saved result measured, or why that cannot be."""
    found = result.found_in
    artifact = found.get("Artifact")
    if isinstance(artifact, str):
        return _same_file(Path(artifact), result, new)
    backend = found.get("Backend")
    if not isinstance(backend, str) or not new.task:
        return "it does not say what it measured"
    root = Path(backend).parent.parent
    if not is_workspace(root):
        return f"its workspace {root} is not there any more"
    if root.resolve() == (new.workspace or Path.cwd()).resolve():
        return f"old and new would be the same workspace, {_relative(root)}"
    return replace(new, workspace=root)


def _same_file(path: Path, result: Result, new: Request) -> Request | str:
    if not path.exists():
        return f"{path} is not there any more"
    if new.file is not None and new.file.exists() and path.samefile(new.file):
        return f"old and new would be the same file, {_relative(path)}"
    stated = (result.model_source or {}).get("sha256")
    if isinstance(stated, str) and path.is_file() and path.suffix.lower() != ".json":
        with suppress(OSError):
            if _sha256(path) != stated:
                return f"{path} has changed since"
    return replace(new, task="", artifact=path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _relative(path: Path) -> str:
    """Below the working folder, without the way there: a comment on a pull request is public."""
    with suppress(ValueError, OSError):
        return str(path.resolve().relative_to(Path.cwd())) or "."
    return str(path)

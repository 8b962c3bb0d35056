"""The source `path`: the user's own file or folder at `model_path`; where there is none, its ONNX
export in that place, named `<stem>.onnx`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import shortened
from qs.models.request import ModelRequest, NotHere

EXPORT = ".onnx"


def export_beside(path: Path) -> Path | None:
    """The ONNX export that lies beside a file or folder of another format. UserError for one that
    cannot be used.
    """
    export = path.with_suffix(EXPORT)
    if export == path or not export.is_file():
        return None
    return _checked(export)


def obtain(entry: Mapping[str, Any], request: ModelRequest) -> tuple[Path, str]:
    """(file or folder, note). NotHere if there is none. A model's is not looked into here."""
    wanted = request.model_info.get("model_path")
    if not wanted:
        raise NotHere("model_path is empty")
    tried = places(request, str(wanted))
    for place in tried:
        _check_name(place, request)
        if place.is_dir() and request.of_data:
            raise UserError(f"{place} is a folder; allowed: a file")
        if place.is_file():
            return (_checked(place) if request.of_data else place), f"the file {place}"
        if place.is_dir():
            return place, f"the folder {place}"
        export = place.with_suffix(request.suffix)
        if export.is_file():
            return export, f"the ONNX export {export}; there is no {place.name}"
    beside = "" if tried[0].suffix == request.suffix else f", nor {tried[0].stem}.onnx beside it"
    # A published path begins with the workspace's own name: the place without it is meant.
    doubled = Path(str(wanted)).parts[:1] == (request.workspace_root.name,) and len(tried) > 1
    shown = tried[1 if doubled else 0]
    raise NotHere(f"no file at {shown}{beside}")


def places(request: ModelRequest, model_path: str) -> list[Path]:
    """Where the user's file may be, best first: in the workspace, then under the working directory.

    Published paths start with `general_perf/`, which is the workspace itself or a folder in it.
    """
    given = Path(os.path.expanduser(model_path))
    if given.is_absolute():
        return [given]
    found: list[Path] = []
    for root in (request.workspace_root, Path.cwd()):
        found.append(root / given)
        if given.parts and given.parts[0] in ("general_perf", "byte_mlperf"):
            found.append(root / Path(*given.parts[1:]))
    return list(dict.fromkeys(found))


def _check_name(place: Path, request: ModelRequest) -> None:
    """Raise UserError for a path that no file can have."""
    reason = "it names no file" if not place.name else None
    try:
        place.stat()
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            reason = error.strerror
    except ValueError:  # a NUL
        reason = "it has a NUL character"
    if reason is not None:
        raise UserError(f"{request.model}: model_path {shortened(place)}: {reason}")


def _checked(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not start:
        raise UserError(f"{path} is empty")
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` where it came "
            "from"
        )
    return path

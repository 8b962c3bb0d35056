"""The source `path`: the user's own file at `model_path`, or a model's ONNX export beside it as
`<stem>.onnx`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.models.request import NotHere, Request, places


def obtain(entry: Mapping[str, Any], request: Request) -> tuple[Path, str]:
    """(file, note). NotHere where no file is, UserError for one that cannot be the model."""
    wanted = request.model_info.get("model_path")
    if not wanted:
        raise NotHere("model_path is empty")
    tried = places(request, str(wanted))
    for place in tried:
        # An export beside the original comes first: it needs no conversion, and someone made it on
        # purpose.
        export = place.with_suffix(request.suffix)
        if export.is_file():
            note = f"the file {place}" if export == place else f"the ONNX export beside {place}"
            return _checked(export), note
        if place.is_file():
            return _checked(place), f"the file {place}"
        if place.is_dir():
            raise UserError(
                f"{place} is a folder (a saved_model); export it to ONNX and put that at {export}"
            )
    beside = "" if tried[0].suffix == request.suffix else f", nor {tried[0].stem}.onnx beside it"
    raise NotHere(f"no file at {tried[0]}{beside}")


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

"""What every kind of source is asked with, and how one says that it has nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """The wish for one file, a model's or a data set's. `progress(bytes so far, bytes in all or
    None)` is called during downloads.

    folder   where builders lie, below the workspace
    suffix   of the file that is wanted
    """

    model_info: Mapping[str, Any]
    workspace_root: Path
    seed: int
    say: Callable[[str], None]
    progress: Callable[[int, int | None], None]
    offline: bool = False
    folder: str = "model_zoo"
    suffix: str = ".onnx"

    @property
    def model(self) -> str:
        return str(self.model_info.get("model") or self.model_info.get("name") or "the model")


class NotHere(Exception):
    """This source cannot give the file now, for the reason said; the next one may be asked."""


def places(request: Request, model_path: str) -> list[Path]:
    """Where the user's file may lie, best first: in the workspace, then under the working
    directory.

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

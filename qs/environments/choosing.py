"""Which interpreter a backend runs under: ours if it has what the backend asks for, else one of
its own.

Checking costs milliseconds and runs nothing of the backend's.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qs.base.errors import UserError
from qs.environments.requirements_file import read

REQUIREMENTS = "requirements.txt"
MODES = ("auto", "current", "new")


@dataclass(frozen=True)
class Environment:
    """`key` names the environment in the cache; None is our own. `variables` must be set for
    whatever runs under `python`.
    """

    python: str
    key: str | None
    created: bool
    why: str
    packages: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


def interpreter_for(
    backend_folder: Path, mode: str, say: Callable[[str], None], stop: threading.Event | None = None
) -> Environment:
    """The interpreter for a backend; builds an environment if one is needed and missing, which can
    take minutes.

    `mode` is "auto" (ours if it satisfies requirements.txt), "current" (always ours) or "new"
    (always one of its own). `say` gets lines of progress. Setting `stop` from another thread ends
    the wait with running.Stopped and leaves nothing behind. Raises UserError if requirements.txt
    cannot be read, or what it asks for cannot be installed.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; allowed: {', '.join(MODES)}")
    if mode == "current":
        return _ours("the current environment was asked for")
    source = (backend_folder / REQUIREMENTS).resolve()
    lines = read(source) if source.is_file() else []
    if mode == "auto":
        from qs.environments.satisfied import unmet

        if not lines:
            return _ours(
                f"the backend asks for nothing: {REQUIREMENTS} "
                + ("is empty" if source.is_file() else "is not there")
            )
        reasons = unmet(lines)
        if not reasons:
            return _ours(f"the current environment satisfies {REQUIREMENTS}")
        why = f"the current environment does not satisfy {REQUIREMENTS}: {'; '.join(reasons)}"
    else:
        why = "an environment of its own was asked for"
    say(why)

    from qs.environments import building, installers
    from qs.environments.identity import identity

    found, created = building.ensure(identity(source.parent, lines), source, lines, say, stop)
    if found.built is None:  # somebody removed it between then and now
        raise UserError(
            f"environment {found.key} is gone: it was removed while it was about to be used"
        )
    if not created:
        say(
            f"environment {found.key}: used again, built {found.built.created} "
            f"with {found.built.tool}"
        )
    variables = installers.activated(found.path) | _apart()
    return Environment(found.python, found.key, created, why, found.built.packages, variables)


def _apart() -> dict[str, str]:
    """What keeps our own packages out: entries of PYTHONPATH come before an environment's packages.
    A vendor's own entries stay.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [
        entry
        for entry in entries
        if entry and not any(Path(entry, name).exists() for name in ("qs", "numpy"))
    ]
    found = {"PYTHONPATH": os.pathsep.join(kept), "PYTHONHOME": ""}
    return {name: value for name, value in found.items() if os.environ.get(name)}


def _ours(why: str) -> Environment:
    return Environment(sys.executable, None, False, why, variables=_first_on_path())


def _first_on_path() -> dict[str, str]:
    """What makes `python3`, as vendors start their own programs, the interpreter that we run under:
    a virtual environment that was not activated is not on PATH.
    """
    own, known = os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)
    found = shutil.which("python3")
    if not own or (found and os.path.dirname(found) == own):
        return {}
    return {"PATH": os.pathsep.join(filter(None, [own, known]))}

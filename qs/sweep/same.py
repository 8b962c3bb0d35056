"""What makes two sweeps the same, besides their axes: what was measured, by which code, with which
options. A resumed sweep takes over no trial of anything else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qs.evaluate.journal import Journal
from qs.evaluate.prepare import Prepared
from qs.settings.request import Request
from qs.sweep.plan import SweepPlan

# A vendor's code; what else lies in its folder may be what it wrote there.
CODE = (".py", ".so", ".c", ".cc", ".cpp", ".cu", ".h", ".pyx")
REQUIREMENTS = "requirements"
MOST_FILES = 10_000
# Options of a request that change what a trial measures, or how.
OPTIONS = ("warmup", "time_limit", "verify", "sample_count", "affinity", "intra_op_threads")
_CHUNK = 1 << 20


def about(plan: SweepPlan, prepared: Prepared, journal: Journal) -> dict[str, Any]:
    """What is swept: a resumed sweep must be of the same."""
    record = journal.record
    return {
        "task": record.task,
        "artifact": (prepared.described or {}).get("path"),
        "hardware": record.hardware,
        "model_sha256": (record.model_source or {}).get("sha256"),
        "artifact_sha256": file_sha256(prepared.request.file),
        "precision": journal.folder.precision,
        "axes": plan.axes.to_dict(),
        "repeats": None if plan.budget_s else plan.repeats,
        "duration_s": None if plan.budget_s else plan.duration_s,
        "budget_s": plan.budget_s,
        "goals": [str(goal) for goal in plan.goals],
        "over": plan.over,
        "seed": prepared.seed,
        "options": measured_options(prepared.request),
        "versions": record.versions,
        "backend_sha256": code_sha256(prepared.backend.path),
        "qs_version": record.qs_version,
    }


def measured_options(request: Request) -> dict[str, Any]:
    """Those of OPTIONS and of what the inputs are fed that were given, as plain data."""
    stated = {name: getattr(request, name) for name in OPTIONS}
    stated |= asdict(request.feeding) | {"remote": dict(request.remote)}
    return {name: _plain(value) for name, value in stated.items() if value not in (None, {}, ())}


def file_sha256(path: Path | None) -> str | None:
    """Of a file's content; None where there is no file to read."""
    if path is None or not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def code_sha256(folder: Path) -> str:
    """Of the code in a vendor's folder, by name and content."""
    digest = hashlib.sha256()
    for file in sorted(_code_in(folder)):
        digest.update(f"{file.relative_to(folder)}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _code_in(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith((".", "__")))
        for name in sorted(files):
            if name.endswith(CODE) or name.startswith(REQUIREMENTS):
                yield Path(place, name)
                seen += 1
                if seen >= MOST_FILES:
                    return


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool)) else str(value)

"""Writes the folder of a new backend: all of its files, or none."""

from __future__ import annotations

import contextlib
import re
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template

from qs.base.errors import Fault, Faults, UserError
from qs.base.names import check_plain
from qs.base.workspace import Workspaces, roots_in

ALLOWED = (
    "upper-case letters A-Z, digits and '_', at most 40 of them: it becomes part of class names"
)
_NAME = re.compile(r"[A-Z0-9_]{1,40}")

# Template -> the file it becomes, in the order in which to read them.
FILES = {
    "runtime_backend.py.txt": "runtime_backend_$name.py",
    "compile_backend.py.txt": "compile_backend_$name.py",
    "profile.json.txt": "$NAME.json",
    "requirements.txt": "requirements.txt",
}


def write_backend(name: str, into: Path) -> list[Path]:
    """Write `backends/<name>/` into `into`, which is or becomes a workspace; the files' paths.

    UserError for an invalid name, a backend of that name in any workspace, and a folder that is not
    writable; then nothing is left behind.
    """
    check_backend_name(name)
    into = into.resolve()
    backends = (roots_in(into) or [into])[0] / "backends"
    _refuse_known(name, backends)
    words = {"NAME": name, "name": name.lower()}
    templates = files("qs.scaffold.templates")
    texts = {
        Template(file).substitute(words): Template(
            (templates / source).read_text("utf-8")
        ).substitute(words)
        for source, file in FILES.items()
    }
    created = not backends.exists()
    try:
        backends.mkdir(exist_ok=True)
        _write_whole(backends / name, texts)
    except OSError as error:
        if created:
            with contextlib.suppress(OSError):
                backends.rmdir()
        raise UserError(f"{backends / name} cannot be written: {error.strerror or error}") from None
    return [backends / name / file for file in texts]


def check_backend_name(name: str) -> str:
    """The name itself if it is valid for a backend; else UserError, which suggests a valid one."""
    check_plain(name, "backend")
    if _NAME.fullmatch(name):
        return name
    near = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    raise Faults([Fault("the backend's name", "", name, ALLOWED, nearest=near[:40] or None)])


def _refuse_known(name: str, backends: Path) -> None:
    """A second folder of the same name would hide the first, and its numbers be taken for those."""
    beside = [entry for entry in backends.iterdir() if entry.is_dir()] if backends.is_dir() else []
    known = {entry.name.casefold(): entry for entry in beside}
    for found in Workspaces.find().list_backends().values():
        known.setdefault(found.name.casefold(), found.path)
    there = known.get(name.casefold())
    if there is not None:
        raise UserError(f"the backend {there.name} already exists, at {there}; choose another name")


def _write_whole(folder: Path, texts: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as scratch:
        # In a folder inside: only the owner may open a temporary one, but others may use a backend.
        made = Path(scratch, folder.name)
        made.mkdir()
        for file, text in texts.items():
            (made / file).write_text(text, "utf-8")
        made.rename(folder)

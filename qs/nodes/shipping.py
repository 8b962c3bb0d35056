"""Which files of this machine a backend needs on a node: its folder, the task's model, data and
configurations, what compiling left, and every file that it was told of.

A small file is staged as well, named by its content, for Ray to bring to each node once; what else
a node lacks is sent to it (qs.nodes.fleet).
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.headers import SOURCES
from qs.environments.folder import MODELS, VIEWS
from qs.nodes.goods import File, Goods, Group, below, over_texts
from qs.tensors.digest import sha256_of
from qs.tensors.model_files import TooLarge, files_below, weights_beside

# Of one folder that is named: what a compile result or a data set may hold.
MOST_FILES, MOST_BYTES = 100_000, 256 << 30
# Installed on every machine by itself: nothing below is sent because something names it.
SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin"),
    *("/sys", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib64", "/usr/sbin"),
)
# Folders of everybody's, which nobody means as a whole.
EVERYBODYS = ("/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/local", "/var")
LEFT_OUT = ("__pycache__", ".git", ".workspaces")
TOOLS = "tools"  # of a workspace, whose modules vendors import
# Staged for Ray's runtime environment, which keeps it in the memory of the cluster's head.
STAGED_FILE, STAGED_ALL = 1 << 20, 32 << 20
ENV, FILE = SOURCES


@dataclass(frozen=True)
class Needed:
    """What is needed, before any file is read.

    backend   its folder
    roots     workspaces in search order, the backend's own first
    files     files and folders of the task: model info, data set, ...
    work      the backend's working folder
    sources   entries of the sources of the model and of the data set
    """

    backend: Path
    roots: Sequence[Path]
    files: Sequence[Path]
    work: Path
    sources: Sequence[Mapping[str, Any]] = ()


@dataclass
class _Collected:
    """Groups as they grow."""

    sources: dict[str, tuple[Mapping[str, Any], ...]]
    files: dict[str, dict[str, File]] = field(default_factory=dict)  # by what they belong to
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, home: str, places: Iterable[str], files: Iterable[str]) -> None:
        own, known = self.files.setdefault(home, {}), self.places.setdefault(home, [])
        known += [place for place in places if place not in known]
        for path in files:
            if path not in own:
                own[path] = self._read(path)

    def _read(self, path: str) -> File:
        try:
            about = os.stat(path)
            digest = sha256_of(Path(path))
        except OSError as error:
            raise UserError(f"{path}, which nodes need, cannot be read: {error.strerror}") from None
        runs = bool(about.st_mode & stat.S_IXUSR)
        return File(path, digest, about.st_size, runs, self.sources.get(digest, ()))


def goods_of(needed: Needed, told: Mapping[str, Any]) -> tuple[Goods, list[str]]:
    """What nodes need, and why some of what was told is not sent. Reads every file; UserError for
    one that cannot be read.

    told   what the backend's process was told, by method: every text in it that names a file or
           folder counts
    """
    work = os.path.abspath(needed.work)
    roots = [os.path.abspath(root) for root in needed.roots]
    collected = _Collected(_by_digest(needed.sources))
    notes: list[str] = []
    named, secrets, variables = _named(told)
    asked = [os.path.abspath(path) for path in (needed.backend, *needed.files)]
    for root in roots:
        tools = os.path.join(root, TOOLS)
        if os.path.isdir(tools) and any(below(path, root) for path in asked):
            asked.append(tools)
    # what a backend keeps beside a model is of that model alone
    models = os.path.join(work, MODELS)
    kept = {_first_below(path, models) for path in named if below(path, models)}
    for entry in _entries(work):
        if entry == models:
            for own in sorted(filter(None, kept)):
                collected.add(work, [work], _inside(own))
        elif os.path.basename(entry) not in (*VIEWS, *LEFT_OUT):
            collected.add(work, [work], _inside(entry))
    collected.places.setdefault(work, [work])
    collected.files.setdefault(work, {})
    for path in dict.fromkeys([*asked, *named]):
        if below(path, work) or path in roots:
            continue
        if path not in asked and _not_meant(path, [*roots, work]):
            continue
        try:
            files = list(_inside(path))
        except TooLarge as reason:
            if path in asked:
                raise
            notes.append(f"{reason}; it is not sent to the nodes, which need it at the same path")
            continue
        home = next((each for each in roots if below(path, each)), None)
        if home is not None:
            collected.add(home, [home], files)
        else:
            collected.add(path, [path, *(file for file in files if not below(file, path))], files)
    groups = tuple(
        Group(tuple(collected.places[home]), tuple(files.values()), home == work)
        for home, files in collected.files.items()
    )
    backend = os.path.abspath(needed.backend)
    return Goods(backend, tuple(roots), groups, variables, tuple(secrets)), notes


def _named(told: Any) -> tuple[list[str], list[str], dict[str, str]]:
    """(Files and folders that are there, files with secrets, variables) that texts name."""
    found: dict[str, None] = {}
    secrets: dict[str, None] = {}
    variables: dict[str, str] = {}

    def look(text: str) -> str:
        if text.startswith(ENV) and text[len(ENV) :] in os.environ:
            variables[text[len(ENV) :]] = os.environ[text[len(ENV) :]]
        elif text.startswith(FILE):
            secrets[text[len(FILE) :]] = None
        elif text.startswith(os.sep) and "\0" not in text and len(text) < 4096:
            path = os.path.normpath(text)
            if _there(path):
                found[path] = None
        return text

    over_texts(told, look)
    return list(found), list(secrets), variables


def _not_meant(path: str, own: Sequence[str]) -> bool:
    """Whether a path is not to be sent, though it is named: what every machine has, and folders
    that hold more than could be meant. `own`: the workspaces and the working folder.
    """
    if any(below(path, root) for root in own):
        return False
    python = [os.path.join(sys.base_prefix, "lib")]
    if sys.prefix != sys.base_prefix:
        python.append(sys.prefix)  # a virtual environment: all of it is installed
    if any(below(path, place) for place in (*SYSTEM, *python)):
        return True
    everybodys = (*EVERYBODYS, os.path.expanduser("~"), tempfile.gettempdir(), os.getcwd())
    return path in everybodys or any(below(root, path) for root in own)


def _there(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _inside(path: str) -> Iterator[str]:
    """A file with the weights beside it; all files of a folder, also through links."""
    if not os.path.isdir(path):
        if os.path.isfile(path):
            yield path
            yield from map(str, weights_beside(Path(path)))
        return
    files = files_below(Path(path), MOST_FILES, MOST_BYTES, left_out=LEFT_OUT, linked=True)
    yield from (str(file) for file in files if file.suffix != ".pyc")


def _by_digest(
    sources: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    found: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for entry in sources:
        if entry.get("kind") in ("url", "pypi") and entry.get("sha256"):
            digest = str(entry["sha256"]).lower()
            found[digest] = (*found.get(digest, ()), dict(entry))
    return found


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    except OSError:
        return []


def _first_below(path: str, folder: str) -> str | None:
    """The entry of a folder that a path lies in."""
    rest = os.path.relpath(path, folder).split(os.sep)
    return None if rest[0] == os.curdir else os.path.join(folder, rest[0])


def stage(folder: Path, goods: Goods) -> Path:
    """Copies of the small files in `folder`, named by their SHA-256: what Ray brings to each node,
    once for the same content. The smallest come first, until STAGED_ALL bytes.
    """
    total = 0
    for file in sorted(goods.files.values(), key=lambda each: (each.size, each.sha256)):
        if file.size > STAGED_FILE or total + file.size > STAGED_ALL:
            break
        total += file.size
        try:
            shutil.copyfile(file.path, folder / file.sha256)
        except OSError as error:
            raise UserError(f"{file.path} cannot be staged: {error.strerror}") from None
    return folder

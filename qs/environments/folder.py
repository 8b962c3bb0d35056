"""The folder that a backend works in: old vendor code opens `general_perf/backends/XXX/XXX.json`
there, whatever the workspace's layout.

It lies beside the report and stays: what a backend writes under relative names is there in the next
run, and a compile result may name it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from qs.base.workspace import FOLDERS

VIEWS = ("general_perf", "byte_mlperf")  # the names that upstream's own folder has had
_TREE = ".workspaces"
MODELS = "models"
MOST_BESIDE = 100  # more is a store of models, not the folder of one
FORMS = (".onnx", ".pt", ".pth", ".py")


def working_folder(folder: Path, roots: Sequence[Path], needed: Sequence[Path | None] = ()) -> Path:
    """Make `folder` one to work in, and return it, absolute.

    roots    workspaces, the backend's own first
    needed   files and folders that a run uses; if all of them are in the first workspace, that
             workspace itself is shown
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    roots = [root.resolve() for root in roots]
    inside = all(path is None or path.absolute().is_relative_to(roots[0]) for path in needed)
    target = roots[0] if inside else _merged(folder / _TREE, roots)
    for name in VIEWS:
        _link(folder / name, target)
    return folder


def shown_model(work: Path, model: Path, digest: str) -> Path:
    """`model` as a backend that writes beside it is given it: in a folder of its own below `work`,
    in which links lead to the model and to what lies beside it.

    Published backends derive names from the model's path and write there. So a model zoo may be
    read-only, and what they wrote is not taken for the user's own export. The folder's name has the
    `digest` of the model: what was made of another content is not found again. Returns `model`
    where no links can be made.
    """
    place = work / MODELS / digest[:16] / model.parent.name
    try:
        if model.is_dir():
            (place / model.name).mkdir(parents=True, exist_ok=True)
            for entry in _entries(model):
                _link(place / model.name / entry.name, entry)
            return place / model.name
        place.mkdir(parents=True, exist_ok=True)
        beside = _entries(model.parent)
        for entry in beside if len(beside) <= MOST_BESIDE else ():
            if _of_the_model(entry, model):
                _link(place / entry.name, entry)
        _link(place / model.name, model)
    except OSError:
        return model
    return place / model.name


def _of_the_model(entry: Path, model: Path) -> bool:
    """Whether a file beside the model may be wanted with it: its weights and configurations, but no
    other form of it, and no other model.
    """
    known = (model.suffix, *FORMS)
    return entry.is_file() and (entry.suffix not in known or entry.name == model.name)


def _merged(tree: Path, roots: Sequence[Path]) -> Path:
    """A folder that shows several workspaces as one: the first that has an entry wins."""
    tree.mkdir(exist_ok=True)
    for entry in _entries(roots[0]):
        if entry.name not in FOLDERS:
            _link(tree / entry.name, entry)
    for name in FOLDERS:
        holders = [root / name for root in roots if (root / name).is_dir()]
        if len(holders) == 1:
            _link(tree / name, holders[0])
        elif holders:
            _show_all(tree / name, holders)
    _link(tree / "reports", roots[0] / "reports")
    return tree


def _show_all(place: Path, holders: Sequence[Path]) -> None:
    if place.is_symlink():
        place.unlink(missing_ok=True)
    place.mkdir(exist_ok=True)
    wanted = {entry.name: entry for holder in reversed(holders) for entry in _entries(holder)}
    for old in _entries(place):
        if old.is_symlink() and old.name not in wanted:
            old.unlink(missing_ok=True)
    for name, entry in wanted.items():
        _link(place / name, entry)


def _link(place: Path, target: Path) -> None:
    """A symbolic link; one that is there already is turned, anything else is the backend's and left
    alone.

    Another run may be doing the same at the same time.
    """
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        if place.is_symlink():
            if os.readlink(place) == str(target):
                return
            place.unlink()
        place.symlink_to(target)


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))

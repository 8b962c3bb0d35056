"""Backends' and data sets' classes, loaded from their folders by path.

Naming rules are checked here, and whatever goes wrong while such code loads becomes one message
that names the line and the cause.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from pathlib import Path
from types import ModuleType

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.inside.imports import folder_package, upstream_imports
from qs.inside.own_names import SHARED


def load_backend_class(folder: str | Path, hardware: str, kind: str = "compile") -> type:
    """CompileBackendXXX or RuntimeBackendXXX (`kind` "compile" or "runtime") of a folder
    `backends/XXX`.

    UserError if the file or the class is missing, or the code cannot be loaded. Imports that the
    class makes later, in its methods, need qs.inside.imports.upstream_imports around the calls.
    """
    if kind not in ("compile", "runtime"):
        raise ValueError(f"kind is {kind!r}; allowed: 'compile', 'runtime'")
    folder = Path(folder).resolve()
    stem = f"{kind}_backend_{hardware.lower()}"
    found = _entry(folder, stem)
    module = _load(folder, found)
    return _class_of(module, f"{kind.capitalize()}Backend{hardware}", folder / f"{found}.py")


def load_dataset_classes(folder: str | Path) -> tuple[type, type | None]:
    """DataLoader of a folder `datasets/<name>`, and its AccuracyChecker if it has a
    test_accuracy.py.
    """
    folder = Path(folder).resolve()
    loader_file = _entry(folder, "data_loader")
    loader = _class_of(_load(folder, loader_file), "DataLoader", folder / f"{loader_file}.py")
    if not (folder / "test_accuracy.py").is_file():
        return loader, None
    checker = _class_of(
        _load(folder, "test_accuracy"), "AccuracyChecker", folder / "test_accuracy.py"
    )
    return loader, checker


def _entry(folder: Path, stem: str) -> str:
    """The stem of the entry file as the folder spells it, in any case."""
    try:
        stems = sorted(path.stem for path in folder.iterdir() if path.suffix == ".py")
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from None
    for found in sorted(stems, key=lambda name: name != stem):
        if found.casefold() == stem.casefold():
            return found
    near = nearest(stem, stems)
    meant = f"; did you mean {near}.py?" if near else ""
    raise UserError(f"{folder}: has no {stem}.py{meant}")


def _load(folder: Path, stem: str) -> ModuleType:
    if "." in folder.name or "." in folder.parent.name:
        raise UserError(
            f"{folder}: code cannot be loaded from a folder with a '.' in its name; rename it"
        )
    package = folder_package(folder)
    importlib.invalidate_caches()  # files written a moment ago (a scaffold, a test) are found too
    with upstream_imports(folder=folder):
        try:
            return importlib.import_module(f"{package}.{stem}")
        except (Exception, SystemExit) as error:
            raise UserError(f"{_place(error, folder, stem)}: {_cause(error)}") from error


def _place(error: BaseException, folder: Path, stem: str) -> str:
    """The vendor's file and line that the error came from: the innermost one in its folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    inside = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder)
    ]
    if not inside:
        return str(folder / f"{stem}.py")
    return f"{inside[-1].filename}, line {inside[-1].lineno}"


def _cause(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the code ended the program (exit status {error.code!r}) while it was being loaded"
    text = " ".join(str(error).split()) or "no message"
    return f"cannot be loaded: {type(error).__name__}: {text}{_hint(error)}"


def _hint(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return ""
    top, _, rest = (error.name or "").partition(".")
    if SHARED in (top, rest.partition(".")[0]):
        return (
            f"; ByteMLPerf has it in general_perf/{SHARED}: copy that folder into the workspace, "
            f"or pass --workspace with the folder general_perf"
        )
    return "; is it in the folder's requirements.txt?"


def _class_of(module: ModuleType, name: str, file: Path) -> type:
    """The class called `name`, in any case; one that was defined elsewhere counts too."""
    classes = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
    for key in sorted(classes, key=lambda key: key != name):
        if key.casefold() == name.casefold():
            return classes[key]
    near = nearest(name, classes)
    meant = f"; did you mean {near}?" if near else ""
    raise UserError(f"{file}: has no class {name}{meant}")

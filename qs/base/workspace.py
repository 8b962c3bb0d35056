"""Finds tasks, models, backends and data sets by path, in the first of several folders that has
them.

A workspace is a folder with some of `workloads/`, `model_zoo/`, `backends/` and `datasets/`; an
upstream `general_perf` folder, or a folder that contains one, is a workspace as it is. Nothing is
imported and no file is opened here: qs.config and qs.inside do that.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qs.base.errors import UserError
from qs.base.names import check_plain, is_plain, nearest
from qs.base.ownership import check_ours, distrust, owner_of

FOLDERS = ("workloads", "model_zoo", "backends", "datasets")
VARIABLE = "QS_WORKSPACE"
_UPSTREAM = ("general_perf", "byte_mlperf", "byte_infer_perf/general_perf")
_NAMES_SHOWN = 20
_FRAMEWORK = re.compile(r"-(onnx|torch|tf)(?=-)")  # in the names of tasks


@dataclass(frozen=True)
class Found:
    """One item of a workspace: its file or folder, and the root of the workspace that has it."""

    name: str
    path: Path
    root: Path


@dataclass(frozen=True)
class Workspaces:
    """Roots in search order; each directly contains some of the four folders."""

    roots: tuple[Path, ...]
    here: tuple[Path, ...] = ()
    """Those that are there because of the working directory, and that nobody named."""

    @classmethod
    def find(cls, explicit: str | Path | None = None) -> Workspaces:
        """The explicit folder, QS_WORKSPACE, the working directory if it is one, and the shipped
        one.

        UserError if a named folder does not exist or is not a workspace.
        """
        roots: list[Path] = []
        if explicit is not None:
            roots += _named(Path(explicit), "--workspace")
        if os.environ.get(VARIABLE):
            roots += _named(Path(os.environ[VARIABLE]), VARIABLE)
        named = {root.resolve() for root in roots}
        here: list[Path] = []
        with contextlib.suppress(FileNotFoundError):  # the working directory was deleted under us
            here = [root.resolve() for root in roots_in(Path.cwd())]
        shipped = shipped_root()
        if shipped is not None:
            named.add(shipped.resolve())
        every = [*roots, *here, *([shipped] if shipped is not None else [])]
        return cls(
            tuple(dict.fromkeys(root.resolve() for root in every)),
            tuple(root for root in here if root not in named),
        )

    def task(self, name: str) -> Found:
        """The workload file of a task: of that name, or of the only name that begins so."""
        return self._file("task", "workloads", self.task_name(name), self.list_tasks)

    def task_name(self, name: str) -> str:
        """The only task whose name begins so, else the name itself; of one model in several formats
        the ONNX one. UserError for several.
        """
        check_plain(name, "task")
        if any((root / "workloads" / f"{name}.json").is_file() for root in self.roots):
            return name
        folded = name.casefold().replace("_", "-")
        begun = [
            each
            for each in self.list_tasks()
            if each.casefold().replace("_", "-").startswith(folded)
        ]
        if len({_FRAMEWORK.sub("", each) for each in begun}) == 1:  # one model, several formats
            begun = [each for each in begun if "-onnx-" in each][:1] or begun
        if len(begun) > 1:
            raise UserError(
                f"{len(begun)} tasks begin with {name!r}: {', '.join(begun[:_NAMES_SHOWN])}"
            )
        return begun[0] if begun else name

    def model(self, name: str) -> Found:
        """The model info file of a model."""
        return self._file("model", "model_zoo", name, self.list_models)

    def backend(self, hardware: str) -> Found:
        """The folder of a backend, whatever the case of the hardware type."""
        if "," in hardware:
            raise UserError(
                f"--hardware_type {hardware}: one backend here; `qs run` and `qs load` measure "
                "several in turn"
            )
        check_plain(hardware, "hardware type")
        wanted = hardware.casefold()
        folders = [
            Found(entry.name, entry, root)
            for root in self.roots
            for entry in _entries(root / "backends")
            if entry.name.casefold() == wanted and entry.is_dir()
        ]
        # A folder without code must not hide a later backend; alone, loading it says what is
        # missing.
        for found in sorted(folders, key=lambda found: not _is_backend(found.path)):
            return self._ours(found)
        raise self._unknown("hardware type", "backends", hardware, self.list_backends)

    def dataset(self, name: str) -> Found | None:
        """The folder of a data set, or None if no workspace has its code."""
        check_plain(name, "data set")
        for root in self.roots:
            if _is_dataset(root / "datasets" / name):
                return self._ours(Found(name, root / "datasets" / name, root))
        return None

    def replacing_shipped(self, found: Found) -> str | None:
        """A sentence if what was found hides what ships under that name, else None."""
        shipped = shipped_root()
        if shipped is None or found.root == shipped.resolve():
            return None
        hidden = shipped / found.path.relative_to(found.root)
        if not hidden.exists():
            return None
        return f"{found.path} is used in place of the one that ships with qs"

    def list_tasks(self) -> dict[str, Found]:
        return self._list("workloads", _json_name)

    def list_models(self) -> dict[str, Found]:
        return self._list("model_zoo", _json_name)

    def list_backends(self) -> dict[str, Found]:
        listed: dict[str, Found] = {}
        folded: set[str] = set()
        for name, found in self._list(
            "backends", lambda path: path.name if _is_backend(path) else None
        ).items():
            if name.casefold() not in folded:
                folded.add(name.casefold())
                listed[name] = found
        return listed

    def list_datasets(self) -> dict[str, Found]:
        return self._list("datasets", lambda entry: entry.name if _is_dataset(entry) else None)

    def _list(self, folder: str, name_of: Callable[[Path], str | None]) -> dict[str, Found]:
        listed: dict[str, Found] = {}
        for root in self.roots:
            for entry in _entries(root / folder):
                name = name_of(entry)
                if name is not None and is_plain(name):
                    listed.setdefault(name, Found(name, entry, root))
        return dict(sorted(listed.items()))

    def _file(
        self, what: str, folder: str, name: str, known: Callable[[], dict[str, Found]]
    ) -> Found:
        check_plain(name, what)
        for root in self.roots:
            path = root / folder / f"{name}.json"
            if path.is_file():
                return self._ours(Found(name, path, root))
        raise self._unknown(what, folder, name, known)

    def _ours(self, found: Found) -> Found:
        """What was found, unless a third person left it in the working directory. UserError then:
        being in a folder is trust in its owner, not in everybody who can write there.
        """
        if found.root in self.here:
            owner = owner_of(Path.cwd())
            between = (found.root, found.path.parent, found.path)
            check_ours(
                (path for path in between if distrust(path) and owner_of(path) != owner),
                "it was not used; name its workspace with --workspace to use it all the same",
            )
        return found

    def _unknown(
        self, what: str, folder: str, name: str, known: Callable[[], dict[str, Found]]
    ) -> UserError:
        names = list(known())
        parts = [f"unknown {what} {name!r}"]
        near = nearest(name, names) or nearest(name, _beginnings(name, names))
        if near is not None:
            parts.append(f"did you mean {near!r}?")
        else:
            shown = ", ".join(names[:_NAMES_SHOWN])
            more = len(names) - _NAMES_SHOWN
            parts.append(f"known: {shown or 'none'}" + (f" and {more} more" if more > 0 else ""))
        if what == "hardware type" and name.isidentifier() and name.isascii():
            parts.append(f"to write a backend: qs new-backend {name.upper()}")
        places = ", ".join(str(root / folder) for root in self.roots)
        parts.append(f"looked in {places or 'no folder, as no workspace was found'}")
        return UserError("; ".join(parts))


def _beginnings(name: str, names: Iterable[str]) -> list[str]:
    """Of `a-b-c`, as many parts as `name` has."""
    parts = name.count("-") + 1
    return list(dict.fromkeys("-".join(each.split("-")[:parts]) for each in names))


def shipped_root() -> Path | None:
    """The workspace that ships with the program: inside the installed package, or the checkout's
    root.
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / "_workspace"
    if inside.is_dir():
        return inside
    # An installed package lies in site-packages, where `datasets` may be somebody's library.
    checkout = package.parent
    return checkout if (checkout / "setup.cfg").is_file() and _is_root(checkout) else None


def _named(folder: Path, origin: str) -> list[Path]:
    try:
        folder = folder.expanduser()
        there = folder.is_dir()
    except (ValueError, RuntimeError, OSError):  # a NUL, an unknown ~user, a name too long
        there = False
    if not there:
        raise UserError(f"{origin}: {str(folder)!r} is not a folder")
    roots = roots_in(folder)
    if not roots:
        wanted = ", ".join(f"{name}/" for name in FOLDERS)
        raise UserError(
            f"{origin}: {folder} is not a workspace; allowed: a folder with at least one of "
            f"{wanted} or a folder that contains such a general_perf/"
        )
    return roots


def roots_in(folder: Path) -> list[Path]:
    """The workspaces that a folder is or contains, in search order; [] if there are none."""
    return [root for root in (folder, *(folder / name for name in _UPSTREAM)) if _is_root(root)]


def _is_root(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FOLDERS)


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from None


def _json_name(entry: Path) -> str | None:
    return entry.stem if entry.suffix == ".json" and entry.is_file() else None


def _is_backend(folder: Path) -> bool:
    """Whether a folder has an entry file for the compiler or the runtime."""
    wanted = {f"{kind}_backend_{folder.name}.py".casefold() for kind in ("compile", "runtime")}
    return folder.is_dir() and any(entry.name.casefold() in wanted for entry in _entries(folder))


def _is_dataset(folder: Path) -> bool:
    return (folder / "data_loader.py").is_file()

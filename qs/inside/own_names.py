"""Which module a bare name means, by who imports it.

A vendor's folder may have modules called `engine`, `utils`, `tools` or `config`, and import them by
those names. So may any library, and its own package data: one name in sys.modules cannot serve
both. While `own_names` is open, an import statement (or importlib.import_module) in a module of
such a folder looks there first, and finds the private module of qs.inside.imports, which never gets
the bare name. Everybody else's imports are what they were.

Three kinds of names stay the library's, even for the vendor: the standard library's, numpy's, and
those that the folder's requirements.txt lists. A file that imports the library that it is named
after gets the library.

What reads names from data (pickle, torch.load, logging.config) imports for whoever called it; such
imports find a folder's module if there is no other of that name.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

# Upstream keeps its converters in a folder beside the framework, and vendors import it as `tools`.
SHARED = "tools"
# Libraries' modules that import by names which they read, besides all of the standard library.
_READERS = frozenset(
    {"torch.serialization", "torch._weights_only_unpickler", "joblib.numpy_pickle", "cloudpickle"}
)
# Builds of one library under names of their own: onnxruntime-gpu is `import onnxruntime`.
_BUILD = re.compile(r"-(cpu|gpu|rocm|nightly|directml|openvino|headless|cu\d+)$")


@dataclass
class Place:
    """A folder whose modules go by bare names among themselves.

    package     the private package that the folder is
    shared      private packages of workspaces in which `tools` is looked for, in their order
    """

    package: str
    folder: Path
    shared: Sequence[str] = ()
    _libraries: frozenset[str] | None = None
    _others: set[str] = field(default_factory=set)  # names looked up here, and not found

    def holds(self, module: str) -> bool:
        return module == self.package or module.startswith(f"{self.package}.")

    def meant(self, name: str, importer: str, wanted: Sequence[str] = ()) -> str | None:
        """The private name of what `name` means to the module `importer`; None if it is no module
        of this folder. `wanted` is what a from-import takes out of it.
        """
        top, _, rest = name.partition(".")
        own = f"{self.package}.{top}"
        if own not in sys.modules and (top in self._others or not self._has(top)):
            self._others.add(top)
            return self._shared(top, name)
        if importer == own:
            parts = {rest.partition(".")[0]} if rest else set(wanted or ())
            if not any(_lies_in(self.folder / top, part) for part in parts):
                return None  # it wraps the library of its name
        return f"{self.package}.{name}"

    def has_folder(self, top: str) -> bool:
        """Whether `top` is a folder of modules here, without an `__init__.py`."""
        folder = self.folder / top
        return folder.is_dir() and next(folder.glob("*.py"), None) is not None

    def forget(self, top: str) -> None:
        """Look for `top` again: it may have been written since."""
        self._others.discard(top)

    def _has(self, top: str) -> bool:
        if top in sys.stdlib_module_names or top in self.libraries:
            return False
        spec = PathFinder.find_spec(f"{self.package}.{top}", [str(self.folder)])
        return spec is not None and spec.has_location

    def _shared(self, top: str, name: str) -> str | None:
        if top != SHARED:
            return None
        for package in self.shared:
            if importlib.util.find_spec(f"{package}.{top}") is not None:
                return f"{package}.{name}"
        return None

    @property
    def libraries(self) -> frozenset[str]:
        """Top-level names that are always the installed library's."""
        if self._libraries is None:
            try:
                text = (self.folder / "requirements.txt").read_text("utf-8", "replace")
            except OSError:
                text = ""
            stated = (re.match(r"[A-Za-z0-9._-]+", line.strip()) for line in text.splitlines())
            names = (found.group().lower().replace(".", "-") for found in stated if found)
            listed = {_BUILD.sub("", name).replace("-", "_") for name in names}
            self._libraries = frozenset(listed | {"numpy"})
        return self._libraries


@contextmanager
def own_names(places: Sequence[Place]) -> Iterator[None]:
    """Within: bare imports in modules of these folders find the folders' own first.

    May be nested, in any order of closing; every place counts until the last is closed, since a
    data set's methods import long after it was loaded.
    """
    _STATE.open(places)
    try:
        yield
    finally:
        _STATE.close()


def import_for(importer: str, name: str) -> ModuleType:
    """The module that `import name` gives to the module `importer`."""
    return _STATE.import_module(name, {"__name__": importer})


class _State:
    """What is open in this process, and the import functions that were there before."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.depth = 0
        self.wrapped = False  # whether somebody else's import function calls ours
        self.plain_import: Callable[..., Any] = builtins.__import__
        self.plain_module: Callable[..., ModuleType] = importlib.import_module
        self.late = _Late(self)
        self.parts = _LateParts(self)

    def open(self, places: Sequence[Place]) -> None:
        known = {place.package for place in self.places}
        self.places += [place for place in places if place.package not in known]
        self.depth += 1
        if self.depth > 1:
            return
        if not self.wrapped or builtins.__import__ is self.plain_import:
            self.plain_import, builtins.__import__ = builtins.__import__, _import
        self.plain_module, importlib.import_module = importlib.import_module, _import_module
        sys.meta_path.insert(0, self.parts)
        sys.meta_path.append(self.late)

    def close(self) -> None:
        self.depth -= 1
        if self.depth:
            return
        self.places.clear()
        # A vendor's lazy imports may have wrapped ours since: it stays, and passes everything on.
        self.wrapped = builtins.__import__ is not _import
        if not self.wrapped:
            builtins.__import__ = self.plain_import
        importlib.import_module = self.plain_module
        sys.meta_path.remove(self.parts)
        sys.meta_path.remove(self.late)
        for name in list(sys.modules):
            if name.partition(".")[0] in self.late.given:
                del sys.modules[name]
        self.late.given.clear()

    def place_of(self, namespace: Mapping[str, Any]) -> tuple[Place, str] | None:
        """The place that the module with these globals lies in, and the module's name."""
        name = namespace.get("__name__")
        if isinstance(name, str):
            for place in self.places:
                if place.holds(name):
                    return place, name
        return None

    def import_module(
        self, name: str, namespace: Mapping[str, Any], package: str | None = None
    ) -> ModuleType:
        found = self.place_of(namespace)
        if found is not None and not name.startswith("."):
            place, importer = found
            real = place.meant(name, importer)
            if real is not None:
                with _bare_names(real, name):
                    return self.plain_module(real)
            place.forget(name.partition(".")[0])
        return self.plain_module(name, package)


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """In the place of builtins.__import__: the same, but for bare names of the open places."""
    plain = _STATE.plain_import
    if level or globals is None or not _STATE.places:
        return plain(name, globals, locals, fromlist, level)
    found = _STATE.place_of(globals)
    if found is None and not _STATE.late.given:
        return plain(name, globals, locals, fromlist, level)
    if found is None:
        with _STATE.late.hidden_from(globals, name):
            return plain(name, globals, locals, fromlist, level)
    place, importer = found
    real = place.meant(name, importer, fromlist or ())
    if real is None:
        try:
            return plain(name, globals, locals, fromlist, level)
        except ModuleNotFoundError:
            place.forget(name.partition(".")[0])
            raise
    with _bare_names(real, name):
        module = plain(real, globals, locals, fromlist, 0)
    top = real[: len(real) - len(name)] + name.partition(".")[0]
    if isinstance(fromlist, list):  # an unpickler in C, which then looks under the name it read
        _STATE.late.register(name, sys.modules[real])
        return sys.modules[top]
    return module if fromlist else sys.modules[top]


def _import_module(name: str, package: str | None = None) -> ModuleType:
    """In the place of importlib.import_module."""
    return _STATE.import_module(name, sys._getframe(1).f_globals, package)


class _Late(importlib.abc.MetaPathFinder):
    """The last finder of all: a name that nobody else has is the module of the folder whose code
    asks for it, directly or through what reads names from data.
    """

    def __init__(self, state: _State) -> None:
        self.state = state
        self.given: set[str] = set()  # top-level names that are in sys.modules through this

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if "." in fullname:
            return None
        place = self._asking(sys._getframe(1))
        if place is None:
            return None
        place.forget(fullname)
        real = place.meant(fullname, "")
        if real is None and place.has_folder(fullname):
            real = f"{place.package}.{fullname}"
        if real is None:
            return None
        self.given.add(fullname)
        return ModuleSpec(fullname, Alias(real))

    def register(self, name: str, module: ModuleType) -> None:
        if name not in sys.modules:
            self.given.add(name.partition(".")[0])
            sys.modules[name] = module

    @contextmanager
    def hidden_from(self, namespace: Mapping[str, Any], name: str) -> Iterator[None]:
        """While a library imports `name`: what was given by that name to a vendor is not there."""
        top = name.partition(".")[0]
        if top not in self.given or _imports_for_others(namespace):
            yield
            return
        parts = [each for each in sys.modules if each == top or each.startswith(f"{top}.")]
        kept = {each: sys.modules.pop(each) for each in parts}
        self.given.discard(top)
        try:
            yield
        except BaseException:
            sys.modules.update(kept)
            self.given.add(top)
            raise

    def _asking(self, frame: FrameType | None) -> Place | None:
        while frame is not None:
            found = self.state.place_of(frame.f_globals)
            if found is not None:
                return found[0]
            if not _imports_for_others(frame.f_globals):
                return None
            frame = frame.f_back
        return None


class _LateParts(importlib.abc.MetaPathFinder):
    """Submodules of what _Late gave. First in line: by path, a second copy would be loaded."""

    def __init__(self, state: _State) -> None:
        self.state = state

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if not rest or top not in self.state.late.given or top not in sys.modules:
            return None
        spec = sys.modules[top].__spec__
        real = f"{spec.name if spec else sys.modules[top].__name__}.{rest}"
        return ModuleSpec(fullname, Alias(real)) if exists(real) else None


class Alias(importlib.abc.Loader):
    """Gives the module of another name, instead of loading a second copy of it."""

    def __init__(self, real: str) -> None:
        self.real = real
        self.spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.real)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just put the alias's spec on the module; relative imports go by the
        # real one.
        module.__spec__ = self.spec


def exists(name: str) -> bool:
    """Whether such a module can be found. Its parents are imported for that; what they raise goes
    through.
    """
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        if error.name is not None and (error.name == name or name.startswith(f"{error.name}.")):
            return False
        raise


def _imports_for_others(namespace: Mapping[str, Any]) -> bool:
    """Whether a module with these globals imports what its callers named: the standard library,
    a few unpicklers, code without a file, and these functions.
    """
    name = namespace.get("__name__")
    if not isinstance(name, str) or "__file__" not in namespace:
        return True
    return name.partition(".")[0] in sys.stdlib_module_names or name in _READERS or name == __name__


def _lies_in(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


@contextmanager
def _bare_names(real: str, name: str) -> Iterator[None]:
    """A module that is missing is named as the vendor spells it."""
    package = real[: len(real) - len(name)]
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(package):
            raise
        bare = error.name[len(package) :]
        raise ModuleNotFoundError(f"No module named {bare!r}", name=bare) from None


_STATE = _State()

"""How code that is loaded by path imports: upstream's names, its own helpers, and nothing of ours.

Existing backends and data sets say `from general_perf.backends import compile_backend`, older ones
`byte_mlperf`; they import their own helpers as `general_perf.backends.XXX.helper`, and some as
plain `helper`. Inside `upstream_imports` all of these resolve: the contract's modules to
qs.contract, everything else to private packages, so that a module loaded by two names is one
module. Files that such code opens relative to the working directory are not handled here.

A workspace becomes a private package, named after its path, and so do `backends` and `datasets` in
it. Relative imports then work, at any later time too; two workspaces with a backend of the same
name do not meet; and no top-level `datasets` or `backends` hides the library of that name.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from qs.contract import compile_backend, data_loader, runtime_backend, test_accuracy

UPSTREAM = ("general_perf", "byte_mlperf")
PREFIX = "_qs_workspace_"
# The contract's modules, by the package of a workspace to which they belong.
CONTRACT: dict[str, dict[str, ModuleType]] = {
    "backends": {"compile_backend": compile_backend, "runtime_backend": runtime_backend},
    "datasets": {"data_loader": data_loader, "test_accuracy": test_accuracy},
}
_PACKAGE = Path(__file__).resolve().parents[1]


@contextmanager
def upstream_imports(
    roots: Sequence[str | Path] = (), folder: str | Path | None = None
) -> Iterator[None]:
    """Within: upstream's names resolve, over the workspaces' `roots` in their order.

    `folder` is a backend's or data set's folder: its workspace is searched first, and modules
    beside its entry file can be imported by their bare names. Only the standard library and
    installed libraries come before them, not the working directory or whatever else is on the path.
    The root of our own checkout is not on the path at all: a bare `engine` is never ours.

    Vendor code that imports inside its methods needs this open when they are called; it may be
    nested, and is not for several threads that enter and leave at different times. Afterwards
    sys.modules, sys.path and sys.meta_path are as they were, save for the private packages.
    """
    searched = [Path(root) for root in roots]
    siblings = None
    if folder is not None:
        folder = Path(folder).resolve()
        searched.insert(0, folder.parent.parent)
        siblings = _Siblings(folder, folder_package(folder))
    packages = list(dict.fromkeys(workspace_package(root) for root in searched))
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_upstream(name)}
    finders: list[importlib.abc.MetaPathFinder] = [_Upstream(packages)]
    _install_upstream()
    if siblings is not None:
        finders += [_SiblingParts(siblings), siblings]
    sys.meta_path[:0] = finders
    hidden = [(at, entry) for at, entry in enumerate(sys.path) if _is_our_checkout(entry)]
    sys.path[:] = [entry for entry in sys.path if not _is_our_checkout(entry)]
    try:
        yield
    finally:
        for at, entry in hidden:
            sys.path.insert(at, entry)
        for finder in finders:
            sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if _is_upstream(name) or (siblings is not None and siblings.gave(name)):
                del sys.modules[name]
        sys.modules.update(before)


def workspace_package(root: Path) -> str:
    """The name of the private package for a workspace's root, made on first use."""
    root = root.resolve()
    name = PREFIX + hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if name not in sys.modules:
        _package(name, root)
        for folder, modules in CONTRACT.items():
            give_contract(_package(f"{name}.{folder}", root / folder), modules)
    return name


def give_contract(package: ModuleType, modules: dict[str, ModuleType]) -> None:
    """Make the contract's modules importable as submodules of `package`."""
    for name, module in modules.items():
        sys.modules[f"{package.__name__}.{name}"] = module
        setattr(package, name, module)


def _package(name: str, folder: Path) -> ModuleType:
    """A package without code of its own: an `__init__.py` of `backends/` or `datasets/` itself is
    not run.
    """
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)
    return package


def folder_package(folder: Path) -> str:
    """The private package name of a folder `<root>/backends/XXX` or `<root>/datasets/<name>`."""
    folder = folder.resolve()
    return f"{workspace_package(folder.parent.parent)}.{folder.parent.name}.{folder.name}"


def _is_upstream(name: str) -> bool:
    return name.partition(".")[0] in UPSTREAM


def _install_upstream() -> None:
    for top in UPSTREAM:
        for name in (top, *(f"{top}.{folder}" for folder in CONTRACT)):
            package = ModuleType(name)
            package.__path__ = []  # a package, whose submodules only the finders below know
            sys.modules[name] = package
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, package)
                give_contract(package, CONTRACT[child])


class _Upstream(importlib.abc.MetaPathFinder):
    """`general_perf.x.y` is module `x.y` of the first workspace that has one."""

    def __init__(self, packages: list[str]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if top not in UPSTREAM or not rest:
            return None
        for package in self.packages:
            real = f"{package}.{rest}"
            if _exists(real):
                return ModuleSpec(fullname, _Alias(real))
        return None


class _Siblings(importlib.abc.MetaPathFinder):
    """A bare `helper` is the module beside the entry file, unless an installed library has that
    name: it wins, as it does upstream, where vendors' folders are not on the path at all.
    """

    def __init__(self, folder: Path, package: str) -> None:
        self.folder, self.package = folder, package
        self.given: set[str] = set()

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        beside = (self.folder / f"{fullname}.py", self.folder / fullname / "__init__.py")
        if "." in fullname or not any(file.is_file() for file in beside) or _is_installed(fullname):
            return None
        self.given.add(fullname)
        return ModuleSpec(fullname, _Alias(f"{self.package}.{fullname}"))

    def gave(self, name: str) -> bool:
        """Whether `name` is, or lies in, a module that was given by its bare name."""
        return name.partition(".")[0] in self.given


class _SiblingParts(importlib.abc.MetaPathFinder):
    """Submodules of what _Siblings gave. First in line: by path, a second copy would be loaded."""

    def __init__(self, siblings: _Siblings) -> None:
        self.siblings = siblings

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if "." not in fullname or not self.siblings.gave(fullname):
            return None
        real = f"{self.siblings.package}.{fullname}"
        return ModuleSpec(fullname, _Alias(real)) if _exists(real) else None


class _Alias(importlib.abc.Loader):
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


def _is_installed(name: str) -> bool:
    """Whether the standard library or an installed library has a module of that name."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return True
    places = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return PathFinder.find_spec(name, places) is not None


def _is_our_checkout(entry: str) -> bool:
    """Whether a path entry is the root of a checkout that this package runs from."""
    root = _PACKAGE.parent
    return (root / "setup.cfg").is_file() and Path(entry).resolve() == root


def _exists(name: str) -> bool:
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

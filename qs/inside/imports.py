"""How code that is loaded by path imports: upstream's names, its own helpers, and nothing of ours.

Existing backends and data sets say `from general_perf.backends import compile_backend`, older ones
`byte_mlperf`; they import their own helpers as `general_perf.backends.XXX.helper`, and some as
plain `helper`. Inside `upstream_imports` all of these resolve: the contract's modules to
qs.contract, everything else to private packages, so that a module loaded by two names is one
module. What a bare name means is qs.inside.own_names' part. Files that such code opens relative to
the working directory are not handled here.

A workspace becomes a private package, named after its path, and so do `backends` and `datasets` in
it. Relative imports then work, at any later time too; two workspaces with a backend of the same
name do not meet; and no top-level `datasets` or `backends` hides the library of that name.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from qs.contract import compile_backend, data_loader, runtime_backend, test_accuracy
from qs.inside.own_names import SHARED, Alias, Place, exists, own_names

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
    beside its entry file can be imported by their bare names, and so can `tools` of a workspace or
    beside a folder general_perf (see qs.inside.own_names). The root of our own checkout is not on
    the path at all: a bare `engine` is never ours.

    Vendor code that imports inside its methods needs this open when they are called; it may be
    nested, and is not for several threads that enter and leave at different times. Afterwards
    sys.modules, sys.path and sys.meta_path are as they were, save for the private packages.
    """
    searched = [Path(root).resolve() for root in roots]
    if folder is not None:
        folder = Path(folder).resolve()
        searched.insert(0, folder.parent.parent)
    packages = list(dict.fromkeys(workspace_package(root) for root in searched))
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_upstream(name)}
    finder = _Upstream(packages)
    _install_upstream()
    sys.meta_path.insert(0, finder)
    hidden = [(at, entry) for at, entry in enumerate(sys.path) if _is_our_checkout(entry)]
    sys.path[:] = [entry for entry in sys.path if not _is_our_checkout(entry)]
    try:
        with own_names(_places(searched, folder)):
            yield
    finally:
        for at, entry in hidden:
            sys.path.insert(at, entry)
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_upstream(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _places(searched: Sequence[Path], folder: Path | None) -> list[Place]:
    """The folders whose modules go by bare names: `folder` itself, and every `tools`, whose files
    import each other so.
    """
    beside = [root.parent for root in searched if root.name in UPSTREAM]
    homes = [root for root in dict.fromkeys([*searched, *beside]) if (root / SHARED).is_dir()]
    shared = [workspace_package(root) for root in homes]
    places = [
        Place(f"{package}.{SHARED}", root / SHARED, shared)
        for root, package in zip(homes, shared, strict=True)
    ]
    if folder is not None:
        places.insert(0, Place(folder_package(folder), folder, shared))
    return places


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
            if exists(real):
                return ModuleSpec(fullname, Alias(real))
        return None


def _is_our_checkout(entry: str) -> bool:
    """Whether a path entry is the root of a checkout that this package runs from."""
    root = _PACKAGE.parent
    return (root / "setup.cfg").is_file() and Path(entry).resolve() == root

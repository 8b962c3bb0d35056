"""Private packages: where code that is loaded by path lives in sys.modules.

A workspace becomes a package with a name of its own, made from its path, and so do `backends` and
`datasets` in it. Relative imports then work, at any later time too; two workspaces with a backend
of the same name do not meet; and no top-level `datasets` or `backends` hides the library of that
name. What old import paths such code uses is qs.inside.imports' part.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

from qs.contract import compile_backend, data_loader, runtime_backend, test_accuracy

PREFIX = "_qs_workspace_"
# The contract's modules, by the package of a workspace that they belong to.
CONTRACT: dict[str, dict[str, ModuleType]] = {
    "backends": {"compile_backend": compile_backend, "runtime_backend": runtime_backend},
    "datasets": {"data_loader": data_loader, "test_accuracy": test_accuracy},
}


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

"""For the zoo's tests: builders as the source `build` loads them, and what model infos say."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = "_tested_builders"


def builder(name: str) -> ModuleType:
    """The module builders/<name>.py, in a package with the others."""
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(ROOT / "model_zoo" / "builders")]
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{name}")


def info(name: str) -> dict:
    return json.loads((ROOT / "model_zoo" / f"{name}.json").read_text())


def source(name: str) -> dict:
    """The entry `build` of a model info."""
    return next(entry for entry in info(name)["sources"] if entry["kind"] == "build")

"""A result in the forms that other tools open, one a file: each has SUFFIX and write(result,
folder, out).

`folder` is where the result's own files lie. A format is found by its file's name, and imported
when it is asked for.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def names() -> list[str]:
    return sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"
    )


def format_of(name: str) -> Any:
    """The module of a format. `name` must be one of `names`."""
    return importlib.import_module(f"{__name__}.{name}")

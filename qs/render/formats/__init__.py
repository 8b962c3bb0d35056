"""A result in the forms that other tools open: each module has SUFFIX and write(result, folder,
out). `folder` is where the result's own files lie.
"""

from __future__ import annotations

import importlib
from typing import Any

MODULES = {
    "csv": "qs.render.table",
    "html": "qs.render.formats.html",
    "json": "qs.render.formats.json",
    "junit": "qs.render.junit",
    "md": "qs.render.markdown",
    "parquet": "qs.render.formats.parquet",
    "pdf": "qs.render.pdf",
}


def names() -> list[str]:
    return sorted(MODULES)


def format_of(name: str) -> Any:
    """The module of a format. `name` must be one of `names`."""
    return importlib.import_module(MODULES[name])

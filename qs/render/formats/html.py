"""report.html: one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.files import write_atomic
from qs.render.html import render_page

SUFFIX = ".html"


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    write_atomic(out, render_page(result, folder))

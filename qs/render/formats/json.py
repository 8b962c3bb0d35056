"""The result JSON itself, as it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.files import write_json

SUFFIX = ".json"


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    write_json(out, result)

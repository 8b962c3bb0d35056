"""CSV: one row of `Performance` a line, a header above; cells that a spreadsheet would take for a
formula begin with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.files import write_atomic
from qs.render.flat import records

SUFFIX = ".csv"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    rows = records(result)
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_atomic(out, text.getvalue().encode())


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value

"""Parquet: the same table as CSV, with types. Needs the package pyarrow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import write_atomic
from qs.render.flat import REAL, WHOLE, records

SUFFIX = ".parquet"


def write(result: Mapping[str, Any], folder: Path, out: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{out}: Parquet is written by pyarrow: pip install 'quicksilver-perf[parquet]'"
        ) from None
    rows = records(result)
    types = {column: pyarrow.int64() for _, column in WHOLE} | {
        column: pyarrow.float64() for _, column in REAL
    }
    types["target_queries_per_s"] = pyarrow.float64()
    names = list(rows[0]) if rows else []
    schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in names])
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), buffer)
    write_atomic(out, buffer.getvalue())

"""The history as a table of its cases, one in each row, for spreadsheets and data frames: CSV, or
Parquet if pyarrow is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults
from qs.base.files import check_writable, write_atomic
from qs.history.entries import Entry, Wanted, entries, result_of
from qs.render.table import check_parquet, csv_table, parquet_table, shown_kinds
from qs.result.columns import MEASURED, columns
from qs.result.keys import settings_of
from qs.result.row import Row

SUFFIXES = (".csv", ".parquet")
_ENTRY = (
    "id",
    "started",
    "kind",
    "task",
    "hardware",
    "model",
    "precision",
    "status",
    "qs_version",
    "runtime_version",
    "cpu",
    "path",
)
_CASE = columns(
    "batch_size",
    "mode",
    "scenario",
    "clients",
    "instances",
    "pool",
    "intra_op_threads",
    "verdict",
    "ended_by",
)
_FIGURES = columns(
    "items_per_s",
    "queries_per_s",
    "mean_ms",
    "min_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "p99_9_ms",
    "max_ms",
    "first_inference_ms",
    "load_s",
    "wall_s",
    "planned",
    "completed",
    "errors",
    "mean_power_w",
    "peak_power_w",
    "energy_per_item_j",
)


def export(path: Path, wanted: Wanted = Wanted()) -> int:
    """Write the cases of the entries, oldest first; returns how many. Raises UserError for another
    suffix, or a place that cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Faults([Fault("FILE", "", str(path), f"a name that ends in {' or '.join(SUFFIXES)}")])
    if suffix == ".parquet":
        check_parquet()  # before anything is read
    check_writable(path.absolute().parent, "FILE")
    rows = table(wanted)
    write_atomic(path, (csv_table if suffix == ".csv" else parquet_table)(rows, _kinds()))
    return len(rows)


def table(wanted: Wanted = Wanted()) -> list[dict[str, Any]]:
    """One dict for each case, all with the same columns."""
    found = sorted(entries(wanted), key=lambda each: (each.started, each.id))
    rows = [_flat(each, row) for each in found for row in result_of(each.id).performance]
    shown = shown_kinds(rows, _kinds())
    return [{name: row[name] for name in shown} for row in rows]


def _flat(entry: Entry, row: Row) -> dict[str, Any]:
    settings = settings_of(row) if row.settings else None
    return (
        {name: getattr(entry, name) for name in _ENTRY}
        | {"tags": " ".join(entry.tags)}
        | {column.name: column.of(row) for column in _CASE}
        | {"settings": settings and json.dumps(settings, sort_keys=True, default=str)}
        | {column.name: column.of(row) for column in (*_FIGURES, *MEASURED)}
        | {"reasons": "; ".join(row.reasons)}
    )


def _kinds() -> dict[str, type]:
    """The table's columns, in their order."""
    return (
        {name: int if name == "id" else str for name in _ENTRY}
        | {"tags": str}
        | {column.name: column.kind for column in _CASE}
        | {"settings": str}
        | {column.name: column.kind for column in (*_FIGURES, *MEASURED)}
        | {"reasons": str}
    )

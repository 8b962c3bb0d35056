"""The history as a table of its cases, one a row, for spreadsheets and data frames: CSV, or Parquet
where pyarrow is installed.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults, UserError
from qs.base.files import check_writable, write_atomic
from qs.history.entries import Entry, Wanted, entries, result_of
from qs.result.keys import settings_of

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
# Key of a row -> column, with the unit in its name.
_WORDS = {
    "BS": "batch_size",
    "Mode": "mode",
    "Scenario": "scenario",
    "Clients": "clients",
    "Instances": "instances",
    "Pool": "pool",
    "Intra-op Threads": "intra_op_threads",
    "Verdict": "verdict",
    "Ended By": "ended_by",
}
_NUMBERS = {
    "QPS": "items_per_s",
    "Queries Per Second": "queries_per_s",
    "AVG Latency": "mean_ms",
    "Min Latency": "min_ms",
    "P50 Latency": "p50_ms",
    "P90 Latency": "p90_ms",
    "P95 Latency": "p95_ms",
    "P99 Latency": "p99_ms",
    "P99.9 Latency": "p99_9_ms",
    "Max Latency": "max_ms",
    "First Inference": "first_inference_ms",
    "Load Time": "load_s",
    "Wall Time": "wall_s",
}
_COUNTS = {"Planned": "planned", "Completed": "completed", "Errors": "errors"}
_WHOLE = ("id", "batch_size", "clients", "instances", "intra_op_threads", *_COUNTS.values())


def export(path: Path, wanted: Wanted = Wanted()) -> int:
    """Write the cases of the entries, oldest first; how many. UserError for another suffix, or a
    place that cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Faults([Fault("FILE", "", str(path), f"a name that ends in {' or '.join(SUFFIXES)}")])
    write = _writer(suffix)
    check_writable(path.absolute().parent, "FILE")
    rows = table(wanted)
    write_atomic(path, write(rows))
    return len(rows)


def table(wanted: Wanted = Wanted()) -> list[dict[str, Any]]:
    """One dict a case, all with the same columns."""
    found = sorted(entries(wanted), key=lambda each: (each.started, each.id))
    return [
        _flat(each, row) for each in found for row in result_of(each.id).get("Performance") or ()
    ]


def _flat(found: Entry, row: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: getattr(found, name) for name in _ENTRY}
    flat["tags"] = " ".join(found.tags)
    flat |= {column: row.get(key) for key, column in _WORDS.items()}
    flat["settings"] = (
        json.dumps(settings_of(row), sort_keys=True, default=str) if row.get("Settings") else None
    )
    flat |= {column: _float(row.get(key)) for key, column in _NUMBERS.items()}
    flat |= {column: row.get(key) for key, column in _COUNTS.items()}
    flat["reasons"] = "; ".join(row.get("Reasons") or ())
    return flat


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _writer(suffix: str):
    """A function from rows to the file's content, found before anything is read: a missing package
    is said at once.
    """
    if suffix == ".csv":
        return _csv
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError(
            "Parquet needs the package pyarrow: pip install 'quicksilver-perf[parquet]', or write a .csv file"
        ) from None
    return _parquet


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=_columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    numbers = set(_NUMBERS.values())
    kinds = {
        name: pyarrow.int64()
        if name in _WHOLE
        else pyarrow.float64()
        if name in numbers
        else pyarrow.string()
        for name in _columns()
    }
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(list(rows), pyarrow.schema(list(kinds.items()))), sink
    )
    return sink.getvalue().to_pybytes()


def _columns() -> list[str]:
    return [
        *_ENTRY,
        "tags",
        *_WORDS.values(),
        "settings",
        *_NUMBERS.values(),
        *_COUNTS.values(),
        "reasons",
    ]

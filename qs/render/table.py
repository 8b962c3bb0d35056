"""Rows of results as a table for spreadsheets and data frames, in CSV or Parquet: plain columns in
snake case, with the unit in their names. Every figure keeps all its digits.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from qs.base.errors import Fault, Faults, UserError
from qs.base.visible import visible
from qs.result.columns import MEASURED, OF_NODES, columns
from qs.result.result import Result

CASE = columns(
    "scenario",
    "pool",
    "mode",
    "verdict",
    "ended_by",
    "batch_size",
    "clients",
    "instances",
    "intra_op_threads",
    "completed",
    "errors",
    "peak_memory_bytes",
    "items_per_s",
    "offered_per_s",
    "queries_per_s",
    "wall_s",
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
    "mean_power_w",
    "peak_power_w",
    "energy_per_item_j",
    "cpu_utilisation_percent",
    "device_utilisation_percent",
    "connection_wait_ms",
    "network_and_client_ms",
    "server_queue_ms",
    "server_compute_ms",
)
RUN = ("task", "model", "backend", "runtime", "cpu", "started", "precision")
# The type of each column, in the columns' order.
KINDS: Mapping[str, type] = {
    **dict.fromkeys(RUN, str),
    **{column.name: column.kind for column in (*CASE, *MEASURED, *OF_NODES)},
    **dict.fromkeys(("items_per_s_half_width", "p99_half_width_ms"), float),
    "target_queries_per_s": float,
    "reasons": str,
}
# A spreadsheet would take a cell that begins like this for a formula.
MOST = 2**63  # whole numbers in Parquet are below it
FORMULA = ("=", "+", "-", "@", "\t", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

Record = Mapping[str, Any]


def records(result: Result) -> list[Record]:
    """A record for each row of the result, with None for what a row does not have."""
    compiled = result.graph_compile
    precision = compiled.precision if compiled else None
    run = (result.task, result.model, result.backend, result.runtime_version, result.host_info)
    about = dict(zip(RUN, (*run, result.started, precision), strict=True))
    return [
        about
        | {column.name: column.of(row) for column in (*CASE, *MEASURED, *OF_NODES)}
        | {
            "items_per_s_half_width": _times(row.throughput_interval, row.items_per_s),
            "p99_half_width_ms": _times(row.p99_interval, row.p99_ms),
            "target_queries_per_s": row.settings.target_qps if row.settings else None,
            "reasons": "; ".join(row.reasons),
        }
        for row in result.performance
    ]


def _times(share: float | None, value: float | None) -> float | None:
    return None if share is None or value is None else share * value


def shown_kinds(rows: Sequence[Record], kinds: Mapping[str, type] = KINDS) -> Mapping[str, type]:
    """The columns without those of a language model, and of several machines, that no record has a
    value in.
    """
    empty = {
        column.name
        for column in (*MEASURED, *OF_NODES)
        if all(row.get(column.name) is None for row in rows)
    }
    return {name: kind for name, kind in kinds.items() if name not in empty}


def csv_table(rows: Sequence[Record], kinds: Mapping[str, type] = KINDS) -> bytes:
    """A line for each record below the columns' names. A text that a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    text = io.StringIO(newline="")
    names = list(shown_kinds(rows, kinds))
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """Line breaks of any kind are spaces: readers differ on which of them end a row, even within
    quotes, and what follows one would be a cell of its own.
    """
    if not isinstance(value, str):
        return value
    text = visible(" ".join(_BREAKS.split(value)))
    formula = text.startswith(FORMULA) or text.lstrip().startswith(FORMULA)
    return f"'{text}" if formula else text


def parquet_table(rows: Sequence[Record], kinds: Mapping[str, type] = KINDS) -> bytes:
    """The same with typed columns. Raises UserError if pyarrow is missing, or for a whole number
    that no column of it holds.
    """
    check_parquet()
    kinds = shown_kinds(rows, kinds)
    whole = [name for name, kind in kinds.items() if kind is int]
    for row in rows:
        for name in whole:
            if row[name] is not None and not -MOST <= row[name] < MOST:
                raise Faults(
                    [Fault("a row of the table", name, row[name], "64 bits, or write CSV")]
                )
    import pyarrow
    from pyarrow import parquet

    types = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()])
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()


def check_parquet() -> None:
    """Raises UserError if pyarrow is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError(
            "Parquet needs the package pyarrow: pip install 'quicksilver-perf[parquet]', "
            "or write CSV"
        ) from None

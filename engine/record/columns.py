"""Raw columns of a run: one row a request, for whoever wants to check a figure or compute another.
Off unless asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qs.engine.record.report import WorkerReport

NAMES = ("due_ns", "issued_ns", "completed_ns", "outcome")
OUTCOMES = ("completed", "failed", "timeout")  # what the numbers in the column `outcome` stand for


def columns_of(reports: Sequence[WorkerReport], start_ns: int) -> dict[str, np.ndarray]:
    """Columns of all workers in order of completion, times in ns from the common start, and
    `worker`.

    A closed-loop request has no due time: its due_ns is its issued_ns. A request that raised in
    closed loop has no row; it is in the counts by kind.
    """
    parts: list[list[np.ndarray]] = [[] for _ in range(len(NAMES) + 1)]
    for report in reports:
        for rows in report.columns:
            for part, column in zip(parts, (*rows, np.full(rows[0].size, report.worker, np.int32))):
                part.append(column)
    due, issued, completed, outcome, worker = (
        np.concatenate(part) if part else np.zeros(0, np.int64) for part in parts
    )
    order = np.argsort(completed, kind="stable")
    times = {
        name: column[order] - start_ns for name, column in zip(NAMES, (due, issued, completed))
    }
    return {**times, "outcome": outcome[order], "worker": worker[order]}


def write_columns(columns: dict[str, np.ndarray], path: Path) -> None:
    """Write columns to a .npz or .parquet file, whole or not at all. Parquet needs the package
    pyarrow.

    Raises ValueError for another suffix, ImportError where pyarrow is missing.
    """
    if path.suffix not in (".npz", ".parquet"):
        raise ValueError(f"{path}: the suffix must be .npz or .parquet")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix == ".npz":
                np.savez(file, **columns)  # type: ignore[arg-type]
            else:
                import pyarrow
                from pyarrow import parquet

                parquet.write_table(pyarrow.table(columns), file)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

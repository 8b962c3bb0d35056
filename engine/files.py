"""Files that a run's measurements are written to: HdrHistogram interval logs, and the raw columns
of its requests. Each file appears whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import numpy as np

from qs.engine.record.intervals import IntervalRow
from qs.engine.record.report import WorkerReport

NS_PER_MS = 1e6
TIMES = ("due_ns", "issued_ns", "completed_ns")
OUTCOMES = ("completed", "failed", "timeout")  # what the numbers in the column `outcome` mean


def write_hlog(
    path: Path,
    intervals: Sequence[IntervalRow],
    started_at: float,
    what: str = "Response times in ns",
    ratio: float = NS_PER_MS,
) -> None:
    """Write an HdrHistogram log (format 1.2) with one histogram per interval.

    `what` says what the values are, `ratio` how many of them are one in the log's column of
    greatest values. Starts are relative to `started_at` (seconds since the epoch).
    """
    from hdrh.log import HistogramLogWriter

    with _whole(path, "w") as file:
        writer = HistogramLogWriter(file)
        writer.output_comment(f"[{what}]")
        writer.output_log_format_version()
        stamp = datetime.fromtimestamp(started_at, timezone.utc).isoformat(timespec="milliseconds")
        writer.output_comment(f"[StartTime: {started_at:.3f} (seconds since epoch), {stamp}]")
        writer.output_legend()
        for row in intervals:
            if row.completed:
                # The library takes a start of 0 for "not given" and then reads the histogram's own
                # stamps, in ms.
                hdr = row.histogram().to_hdr()
                hdr.set_start_time_stamp(row.start_s * 1000)
                hdr.set_end_time_stamp((row.start_s + row.length_s) * 1000)
                writer.output_interval_histogram(hdr, max_value_unit_ratio=ratio)


def columns_of(
    reports: Sequence[WorkerReport], start_ns: int, parts: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Columns of all workers in order of completion, times in ns from the common start, `worker`,
    and for each of the plan's parts how long it took (`wait_ns`; -1 where that is not known).

    A closed-loop request has no due time, so its due_ns is its issued_ns. Requests that were never
    issued, or not answered when the run gave up waiting, have no row; they are counted by kind.
    """
    names = (*TIMES, *(f"{part}_ns" for part in parts), "outcome", "worker")
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for report in reports:
        for rows in report.columns:
            worker = np.full(rows[0].size, report.worker, np.int32)
            for name, column in zip(names, (*rows, worker)):
                found[name].append(column)
    columns = {
        name: np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        for name, pieces in found.items()
    }
    order = np.argsort(columns["completed_ns"], kind="stable")
    return {
        name: column[order] - (start_ns if name in TIMES else 0) for name, column in columns.items()
    }


def write_columns(columns: dict[str, np.ndarray], path: Path) -> None:
    """Write columns to a .npz or .parquet file. Parquet needs the package pyarrow.

    Raises ValueError for another suffix, ImportError if pyarrow is missing.
    """
    if path.suffix not in (".npz", ".parquet"):
        raise ValueError(f"{path}: the suffix must be .npz or .parquet")
    with _whole(path, "wb") as file:
        if path.suffix == ".npz":
            np.savez(file, **columns)  # type: ignore[arg-type]
        else:
            import pyarrow
            from pyarrow import parquet

            parquet.write_table(pyarrow.table(columns), file)


@contextmanager
def _whole(path: Path, mode: str) -> Iterator[IO]:
    """A temporary file beside `path` that takes its place once it has been written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

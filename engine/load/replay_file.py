"""Reads recorded due times: text, CSV or Parquet. Knows nothing of what is done with them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def read_due_seconds(path: Path, column: str | None = None) -> np.ndarray:
    """Float64 seconds from a file. CSV and Parquet take `column`, or their only column.

    Raises ValueError naming file, line or column, and what is allowed; OSError where the file cannot be read.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _from_parquet(path, column)
    if kind == ".csv" or column is not None:
        return _from_csv(path, column)
    return _numbers(path, enumerate(path.read_text().splitlines(), 1))


def _numbers(path: Path, lines) -> np.ndarray:
    due = []
    for number, text in lines:
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        try:
            due.append(float(text))
        except ValueError:
            raise ValueError(f"{path}, line {number}: {text[:40]!r} is not a number of seconds") from None
    return np.array(due, np.float64)


def _from_csv(path: Path, column: str | None) -> np.ndarray:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        position = names.index(_choose(path, column, names))
        return _numbers(path, ((number, row[position]) for number, row in enumerate(rows, 2) if len(row) > position))


def _from_parquet(path: Path, column: str | None) -> np.ndarray:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ValueError(f"{path}: reading Parquet needs the package pyarrow (pip install pyarrow)") from None
    names = parquet.read_schema(path).names
    table = parquet.read_table(path, columns=[_choose(path, column, names)])
    return table.column(0).to_numpy().astype(np.float64)


def _choose(path: Path, column: str | None, names: list[str]) -> str:
    if column is None and len(names) == 1:
        return names[0]
    if column not in names:
        given = "no column was named" if column is None else f"there is no column {column!r}"
        raise ValueError(f"{path}: {given}; it has {', '.join(names) or 'none'}")
    return column

"""Reads recorded due times from text, CSV or Parquet."""

from __future__ import annotations

import csv
import math
import stat
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MAX_BYTES = 256 << 20


def read_due_seconds(path: Path, column: str | None = None) -> np.ndarray:
    """Float64 seconds from a file. CSV and Parquet take `column`, or their only column.

    A text file may hold blank lines and comments (#); a table must have a due time in every row.
    Raises ValueError that names file, line or column, and what is allowed; OSError if the file is
    unreadable.
    """
    kind = path.suffix.lower()
    _check_file(path)
    try:
        if kind == ".parquet":
            due = _from_parquet(path, column)
        elif kind == ".csv" or column is not None:
            due = _from_csv(path, column)
        else:
            due = _from_text(path)
    except csv.Error as error:  # a cell of more than 128 KiB, a NUL
        raise ValueError(f"{path}: not a table of due times: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"{path}: not a text file (UTF-8); due times are read from text, .csv and .parquet"
        ) from None
    if not due.size:
        raise ValueError(f"{path}: holds no due time, at least one is needed")
    return due


def _check_file(path: Path) -> None:
    """Raise ValueError for what has no end (a device), may never begin (a pipe), or would fill the
    memory.
    """
    if not path.exists():
        return  # whoever opens it says so
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{path}: is not a regular file; save the due times in one")
    if about.st_size > MAX_BYTES:
        raise ValueError(
            f"{path}: has {about.st_size:,} bytes; at most {MAX_BYTES:,} are read, some twenty "
            "million due times"
        )


def _from_text(path: Path) -> np.ndarray:
    lines = enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)
    return _numbers(
        path,
        (
            (number, text)
            for number, text in lines
            if text.strip() and not text.strip().startswith("#")
        ),
    )


def _numbers(path: Path, lines: Iterable[tuple[int, str]]) -> np.ndarray:
    due = []
    for number, text in lines:
        seconds = _number(text)
        if seconds is None or not 0 <= seconds < math.inf:
            wrong = f"{text.strip()[:40]!r} is not a number of seconds, at least 0"
            raise ValueError(f"{path}, line {number}: {wrong}")
        due.append(seconds)
    return np.array(due, np.float64)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _from_csv(path: Path, column: str | None) -> np.ndarray:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        names = next(rows, [])
        if names and all(_number(name) is not None for name in names):
            raise ValueError(
                f"{path}: its first line must name the columns, it is {','.join(names)[:40]!r}"
            )
        position = names.index(_choose(path, column, names))
        cells = (
            (rows.line_num, row[position] if position < len(row) else "") for row in rows if row
        )
        return _numbers(path, cells)


def _from_parquet(path: Path, column: str | None) -> np.ndarray:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            f"{path}: reading Parquet needs the package pyarrow (pip install pyarrow)"
        ) from None
    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path}: not a Parquet file: {error}") from None
    with file:
        name = _choose(path, column, file.schema_arrow.names)
        found = file.read(columns=[name]).column(name)
    if not (pyarrow.types.is_integer(found.type) or pyarrow.types.is_floating(found.type)):
        raise ValueError(
            f"{path}: column {name!r} holds {found.type}; due times are numbers of seconds"
        )
    # a missing value becomes NaN
    due = found.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(~((due >= 0) & (due < math.inf)))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"{path}, row {row + 1}: {found[row].as_py()} is not a number of seconds, at least 0"
        )
    return due


def _choose(path: Path, column: str | None, names: list[str]) -> str:
    if column is None and len(names) == 1:
        return names[0]
    if column not in names:
        given = "no column was named" if column is None else f"there is no column {column!r}"
        raise ValueError(f"{path}: {given}; it has {', '.join(names) or 'none'}")
    return column

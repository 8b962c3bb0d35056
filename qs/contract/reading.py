"""Lines and rows of a data set's text files, each with its number, so that a fault names where it
is.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from qs.base.errors import UserError

MOST_LINE_BYTES = 64 << 20


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line with its end) of a UTF-8 file, with or without a byte order mark.

    UserError names the first line that is not UTF-8, or that has more than 64 MB.
    """
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MOST_LINE_BYTES):
            number += 1
            if len(line) == MOST_LINE_BYTES and not line.endswith(b"\n"):
                raise UserError(f"{path}: line {number} has more than {MOST_LINE_BYTES} bytes")
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path}: line {number} is not UTF-8 text: byte {error.start + 1} of it is "
                    f"0x{line[error.start]:02x}"
                ) from None


def csv_rows(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """(number of its last line, cells) of the rows of a CSV file that have content. The first is
    the header: its names are distinct, and the other rows are as long.

    UserError names the line of the first row that is otherwise.
    """
    number, header = 0, 0

    def lines() -> Iterator[str]:
        nonlocal number
        for number, line in text_lines(path):  # noqa: B007 - the reader's place
            yield line

    try:
        for row in csv.reader(lines(), delimiter=delimiter, skipinitialspace=True, strict=True):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not header:
                header = len(cells)
                twice = sorted({name for name in cells if cells.count(name) > 1})
                if twice:
                    raise UserError(
                        f"{path}: the column {twice[0]!r} occurs twice in line {number}"
                    )
            elif len(cells) != header:
                raise UserError(
                    f"{path}: line {number} has {len(cells)} cells, and the header {header}"
                )
            yield number, cells
    except csv.Error as error:
        raise UserError(f"{path}: line {number} cannot be read as CSV: {error}") from None

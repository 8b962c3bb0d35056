"""Lines of a data set's text files, each with its number, so that a fault names where it is."""

from __future__ import annotations

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

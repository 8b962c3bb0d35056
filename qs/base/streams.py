"""Standard input, output and error whose loss a run survives: a pipe whose reader has ended, a full
disk, a terminal that was closed, descriptors that were never open.

What is written after the loss goes nowhere; nothing is raised, and the exit status is still the
command's own.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TextIO


class _Heedless(io.FileIO):
    """A descriptor for writing that becomes /dev/null with the first write that fails."""

    def __init__(self, number: int):
        super().__init__(number, "wb", closefd=False)
        self.lost: OSError | None = None

    def write(self, content):
        try:
            return super().write(content)
        except OSError as error:
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(content)


def open_missing() -> None:
    """Descriptors 0 to 2 that are closed become /dev/null: otherwise the next file or socket gets
    the number, and what is printed goes into it. The first thing that a program does.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def keep_going() -> None:
    """Replace the standard streams by ones that survive their loss."""
    open_missing()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(1, sys.stdout)
    sys.stderr = _stream(2, sys.stderr)


def lost_output() -> str | None:
    """Why standard output was lost, unless its reader simply went away; None if it was not."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    lost = getattr(raw, "lost", None)
    if lost is None or lost.errno in (errno.EPIPE, errno.EBADF):
        return None
    return lost.strerror or str(lost)


def _stream(number: int, before: TextIO | None) -> TextIO:
    """Like the one before; a character that its encoding has not is written as an escape."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    if before is not None:
        with contextlib.suppress(OSError, ValueError):
            before.flush()
    by_line = number == 2 or os.isatty(number)
    return io.TextIOWrapper(
        io.BufferedWriter(_Heedless(number)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=by_line,
    )

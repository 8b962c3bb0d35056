"""The kernel's small files, kept open: one system call reads one again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from qs.telemetry.channel import NAN, Channel

ROOT_ONLY = "permission denied: only root may read it"
MOST_BYTES = 64  # a number takes fewer
MOST_FOLDERS = 256


def text(path: Path) -> str:
    """The small file's text; "" if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def folders(parent: Path, pattern: str = "*") -> Iterator[Path]:
    """The folders there, in the order of their names; none where there is no parent."""
    try:
        found = sorted(parent.glob(pattern), key=lambda path: (len(path.name), path.name))
    except OSError:
        return
    for path in found[:MOST_FOLDERS]:
        if path.is_dir():
            yield path


def reason(error: OSError) -> str:
    """Why a file could not be read, in words."""
    if isinstance(error, PermissionError):
        return ROOT_ONLY
    return (error.strerror or type(error).__name__).lower()


class NumberFile:
    """A file that holds one whole number. Raises OSError or ValueError when it is made of what
    cannot be read.
    """

    def __init__(self, path: Path):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            int(os.pread(self._fd, MOST_BYTES, 0))
        except BaseException:
            os.close(self._fd)
            raise

    def read(self) -> float:
        """The number now; NaN if it cannot be read any more, or holds something else."""
        try:
            return float(int(os.pread(self._fd, MOST_BYTES, 0)))
        except (OSError, ValueError):
            return NAN

    def close(self) -> None:
        os.close(self._fd)


class Numbers:
    """Several such files as a source: each value is the file's number times a factor."""

    def __init__(self, found: Sequence[tuple[Channel, NumberFile, float]]):
        self.channels = tuple(channel for channel, _, _ in found)
        self._files = [(file, factor) for _, file, factor in found]

    def read(self) -> list[float]:
        return [file.read() * factor for file, factor in self._files]

    def close(self) -> None:
        for file, _ in self._files:
            file.close()

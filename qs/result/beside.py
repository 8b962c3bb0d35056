"""The files beside a result, found by the names that the result gives them: histogram logs, the
picture of the differences.

A result may come from anybody, and a page made of it is passed on. So a name counts only if it is
that of a regular file below the result's own folder, also after links are followed, and no more is
read than such a file holds. Everything that opens a file named by a result does so here.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from qs.base.errors import UserError
from qs.base.files import read_regular

MOST_LOG_BYTES = 64_000_000  # a day of intervals of a second takes about 40 MB


def place_of(folder: Path, name: str) -> Path | None:
    """Where the file of that name lies; None if it is not a regular file below the folder."""
    parts = PurePosixPath(name).parts
    if not parts or parts[0].startswith("/") or ".." in parts or "\0" in name:
        return None
    path = folder / name
    try:
        inside = path.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
        return path if inside and path.is_file() else None
    except (OSError, RuntimeError, ValueError):  # gone, a circle of links, a name too long
        return None


def content_of(folder: Path, name: str, most_bytes: int) -> bytes | None:
    """What is in it; None as for `place_of`, and if it holds more than `most_bytes`."""
    path = place_of(folder, name)
    if path is None:
        return None
    try:
        return read_regular(path.resolve(), most_bytes)
    except (OSError, UserError):
        return None


def log_of(folder: Path, name: str) -> str | None:
    """The text of a histogram log; None as for `content_of`, and if it is no text."""
    content = content_of(folder, name, MOST_LOG_BYTES)
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None

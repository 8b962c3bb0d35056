"""Reading the small text files that the kernel shows. A file that is missing or cannot be read is
None, never an error.
"""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str | None:
    """The file's text without the white space around it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """The whole number in the file; also None if it holds something else ("max")."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None

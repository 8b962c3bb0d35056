"""Files as items of an input of texts: the item says which file, and what is sent is its content.

Pictures, sounds and documents that a server takes as they are need not be decoded, and thousands of
them need not be held in memory. Such an item is a mark that no text has (half of a surrogate pair,
which UTF-8 cannot hold) and the file's path. Only what reads the user's own folder makes one: a
text that came out of a file never names another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.base.files import read_regular

_MARK = "\udc1a"
MOST_BYTES = 256 << 20


def named(path: Path) -> str:
    """An item that stands for the file's content."""
    return f"{_MARK}{path.absolute()}"


def path_in(text: str) -> Path | None:
    """The file that an item stands for; None for a text."""
    return Path(text[len(_MARK) :]) if text.startswith(_MARK) else None


def content_of(text: str) -> bytes:
    """The bytes of an item: the file's content, or the text as UTF-8. UserError if the file
    cannot be read.
    """
    path = path_in(text)
    if path is None:
        return text.encode()
    return read_regular(path, MOST_BYTES)


def names_files(array: np.ndarray) -> bool:
    """Whether an array of texts holds such an item."""
    return array.dtype.kind == "U" and bool(np.any(np.char.startswith(array, _MARK)))

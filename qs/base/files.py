"""How files are read: regular ones, up to a bound, as UTF-8; and written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from qs.base.errors import UserError

MAX_TEXT_BYTES = 64 << 20
"""No file that a person writes comes near it; it is what keeps /dev/zero out of memory."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def kind_of(mode: int) -> str | None:
    """What a file's mode says it is, in words; None for a regular file."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), None)


def read_text(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file that a person gave: a regular file of at most `max_bytes`, in UTF-8, with
    or without a byte order mark, without NUL. UserError otherwise, naming the file.

    Never waits: a pipe that nobody writes to is refused like any other that is not a file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            kind = kind_of(os.fstat(file.fileno()).st_mode)
            if kind is not None:
                raise UserError(f"{path}: is {kind}; allowed: a regular file")
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{shortened(path)}: cannot be read: {reason}") from None
    if len(content) > max_bytes:
        raise UserError(f"{path}: is larger than {max_bytes / 1e6:,.0f} MB, the most that is read")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8"
        ) from None
    if "\0" in text:
        place = content.index(b"\0")
        raise UserError(f"{path}: is not text: it has a NUL character (byte {place})")
    return text


def shortened(path: object, most: int = 120) -> str:
    """A path fit for a message, however long it is."""
    text = str(path)
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def check_writable(folder: Path, flag: str = "--out") -> None:
    """Raise UserError for a folder that is not writable; it need not exist yet. Leaves nothing
    behind.

    A real file is created and removed in the nearest existing folder: permission bits alone do not
    tell (root, read-only mounts).
    """
    nearest = folder.absolute()
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UserError(f"{flag} {folder}: {nearest} is not a folder; name a writable folder")
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".qs-"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{flag} {folder}: cannot write in {nearest} ({reason}); name a writable folder"
        ) from None


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write `path` with: readers, or a crash, find the old content or the new, never a
    part. The new one appears when the context ends without an error.

    `durable`: it must also survive a power failure right afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    with replacing(path) as file:
        file.write(content)


def to_json(content: object) -> bytes:
    """Plain data as JSON, indented by two spaces; NaN and infinities become null, types unknown to
    JSON become text.
    """
    import orjson

    return orjson.dumps(
        content, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def write_json(path: Path, content: object) -> None:
    """`to_json` in a file, written whole."""
    write_atomic(path, to_json(content))

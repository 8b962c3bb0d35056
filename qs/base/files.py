"""How files are written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from qs.base.errors import UserError


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

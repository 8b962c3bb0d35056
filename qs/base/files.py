"""How files are read: regular ones, up to a bound, as UTF-8; and written: whole or not at all, in
place of whatever link somebody planted there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from qs.base.errors import UserError
from qs.base.storable import storable

LONGEST_NAME = 100  # of a file of a report
ROOM_BYTES = 1 << 18  # a small report's worth: a full disk takes an empty file, but not this
# What says that a disk, not the program, is at fault.
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})


class Unwritable(UserError):
    """A file could not be written: the disk is full or read-only, or its folder is gone."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: cannot be written ({why(error)})")


def why(error: OSError) -> str:
    """What the system says, without number and name."""
    return error.strerror or str(error)


MAX_TEXT_BYTES = 64 << 20
"""No file that a person writes comes near it; it is what keeps /dev/zero out of memory."""
_PIECE_BYTES = 1 << 20
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


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`. UserError otherwise, naming the file.

    Never waits: a pipe that nobody writes to is refused like any other that is not a file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            kind = kind_of(about.st_mode)
            if kind is not None:
                raise UserError(f"{path}: is {kind}; allowed: a regular file")
            # To read up to `max_bytes` at once would make room for so many. Those of /proc state no
            # size.
            content = b"" if about.st_size > max_bytes else file.read(about.st_size + 1)
            while content and len(content) <= max_bytes and (more := file.read(_PIECE_BYTES)):
                content += more
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{shortened(path)}: cannot be read: {reason}") from None
    if max(about.st_size, len(content)) > max_bytes:
        raise UserError(f"{path}: is larger than {max_bytes / 1e6:,.0f} MB, the most that is read")
    return content


def read_text(path: str | Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file that a person gave: a regular file of at most `max_bytes`, in UTF-8, with
    or without a byte order mark, without NUL. UserError otherwise, naming the file.
    """
    content = read_regular(path, max_bytes)
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
    """Raise UserError for a folder that is not writable, or whose disk is full; it need not exist
    yet. Leaves nothing behind.

    A real file is written and removed in the nearest existing folder: permission bits alone do not
    tell (root, read-only mounts), and a full disk still takes an empty file.
    """
    _check_length(folder, flag)
    nearest = folder.absolute()
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UserError(f"{flag} {folder}: {nearest} is not a folder; name a writable folder")
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".qs-") as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"{flag} {folder}: cannot write in {nearest} ({why(error)}); name a writable folder"
        ) from None


def _check_length(folder: Path, flag: str) -> None:
    """Raise UserError for a name that this file system cannot hold, with a report below it."""
    try:
        os.lstat(folder.absolute() / ("x" * LONGEST_NAME) / ("x" * LONGEST_NAME))
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise UserError(
                f"{flag} {shortened(folder)}: {why(error)}; name a folder with a shorter path"
            ) from None


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write `path` with: readers, or a crash, find the old content or the new, never a
    part. The new one appears when the context ends without an error; Unwritable if it cannot.

    `durable`: it must also survive a power failure right afterwards.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise Unwritable(path, error) from error
        raise


class Lines:
    """A file that grows line by line, each as it is known. Whatever has its name is replaced, never
    written through: a link that somebody planted there points to a file of theirs.
    """

    def __init__(self, path: Path, keep: bool = False):
        """`keep` goes on with a file that is there. Raises Unwritable."""
        self._path = path
        self._torn = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not keep:
                path.unlink(missing_ok=True)
                flags |= os.O_EXCL
            self._handle: int | None = os.open(path, flags, 0o644)
        except OSError as error:
            raise Unwritable(path, error) from error

    def add(self, line: bytes) -> None:
        """Write a line, which has no line break yet. Raises Unwritable; the next one then starts on
        its own. Nothing happens after `close`.
        """
        if self._handle is None:
            return
        rest = (b"\n" if self._torn else b"") + line + b"\n"
        try:
            while rest:
                self._torn = True
                rest = rest[os.write(self._handle, rest) :]
            self._torn = False
        except OSError as error:
            raise Unwritable(self._path, error) from error

    def sync(self) -> None:
        """What was added survives a power failure. Raises Unwritable."""
        try:
            if self._handle is not None:
                os.fsync(self._handle)
        except OSError as error:
            raise Unwritable(self._path, error) from error

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises Unwritable."""
    with replacing(path) as file:
        file.write(content)


def to_json(content: object) -> bytes:
    """Data as JSON, indented by two spaces; what JSON has no form for as `storable` makes it."""
    return _json(content, indent=True) + b"\n"


def to_json_line(content: object) -> bytes:
    """The same on one line, without its line break."""
    return _json(content, indent=False)


def _json(content: object, indent: bool) -> bytes:
    import orjson

    option = orjson.OPT_INDENT_2 if indent else None
    try:
        return orjson.dumps(content, default=storable, option=option)
    except Exception:  # a strange value in it, or one whose text cannot be made
        return orjson.dumps(storable(content), option=option)


def write_json(path: Path, content: object) -> None:
    """`to_json` in a file, written whole. Raises Unwritable."""
    write_atomic(path, to_json(content))

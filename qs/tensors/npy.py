""".npy and .npz files of other people's making, read with bounded memory.

A file of a few bytes can promise arrays of terabytes, and an archive of a megabyte can inflate to
gigabytes. So what a header promises is held against the bytes that are there before anything is
allocated, and an archive's sizes against a limit before anything is inflated. Pickles are never
opened. Whatever is wrong is a UserError that names the file.
"""

from __future__ import annotations

import ast
import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from qs.base.errors import UserError
from qs.base.words import data_size

MOST_INFLATED = 2 << 30
"""Bytes that the arrays of an archive may inflate to."""
_MOST_HEADER = 10_000  # as numpy reads them
_MAGIC = b"\x93NUMPY"

Header = tuple[tuple[int, ...], np.dtype]


class Unreadable(ValueError):
    """Why a file is no array."""


def read_npy(file: Path) -> np.ndarray:
    """The array in a .npy file. UserError if it is none, is cut short, or holds pickled objects."""
    with _reading(file), file.open("rb") as stream:
        _held(stream, file.stat().st_size)
        return np.load(file, allow_pickle=False)


def npy_in(content: bytes) -> np.ndarray:
    """The array in the content of a .npy file. Unreadable, a ValueError, if it is none."""
    try:
        _held(io.BytesIO(content), len(content))
        return np.load(io.BytesIO(content), allow_pickle=False)
    except Unreadable:
        raise
    except Exception as error:  # numpy and ast raise what they like on broken contents
        raise Unreadable(" ".join(str(error).split())[:200] or type(error).__name__) from None


def npy_shape(file: Path) -> tuple[int, ...]:
    """The shape that a .npy file states, without reading the values. UserError as in read_npy."""
    with _reading(file), file.open("rb") as stream:
        return _held(stream, file.stat().st_size)[0]


def read_npz(file: Path, *names: str, most: int = MOST_INFLATED) -> dict[str, np.ndarray]:
    """The arrays of an archive by name: those of `names`, or all.

    UserError if one is missing, broken or not an array, or if they inflate to more than `most`
    bytes.
    """
    with _reading(file), zipfile.ZipFile(file) as archive:
        members = _members(archive)
        missing = [name for name in names if name not in members]
        if missing:
            raise Unreadable(f"it has no {', '.join(missing)}; it has {_listed(members)}")
        wanted = {name: members[name] for name in names or members}
        size = sum(member.file_size for member in wanted.values())
        if size > most:
            raise Unreadable(
                f"its arrays inflate to {data_size(size)}; allowed: {data_size(most)}; "
                "a .npy file of that array is not limited"
            )
        return {name: _member(archive, member) for name, member in wanted.items()}


def npz_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes that an archive's arrays state, by name, without reading the values. UserError as
    in read_npz.
    """
    with _reading(file), zipfile.ZipFile(file) as archive:
        found = {}
        for name, member in _members(archive).items():
            with archive.open(member) as stream:
                found[name] = _held(stream, member.file_size)[0]
        return found


def npz_names(file: Path) -> list[str]:
    """The names of an archive's arrays. UserError if it is no archive."""
    with _reading(file), zipfile.ZipFile(file) as archive:
        return list(_members(archive))


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {
        member.filename.removesuffix(".npy"): member
        for member in archive.infolist()
        if member.filename.endswith(".npy")
    }


def _listed(names: Any) -> str:
    return ", ".join(list(names)[:20]) or "no arrays"


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(f"{member.filename} is packed as numpy does not pack")
    with archive.open(member) as stream:
        _held(stream, member.file_size)
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _held(stream: IO[bytes], size: int) -> Header:
    """What a header states, if the bytes after it hold that. Leaves the stream behind it."""
    shape, dtype, begin = _header(stream)
    if dtype.hasobject:
        raise Unreadable("it holds pickled Python objects (allow_pickle); allowed: plain values")
    count = math.prod(shape)
    if not dtype.itemsize and count > _MOST_HEADER:
        raise Unreadable(f"its shape is {list(shape)} of values without a size")
    if count * dtype.itemsize > size - begin:
        raise Unreadable(
            f"its header states {list(shape)} {dtype}, {data_size(count * dtype.itemsize)}, "
            f"but {data_size(max(0, size - begin))} follow"
        )
    return shape, dtype


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int]:
    """(shape, type, where the values begin), format 1.0 to 3.0 of numpy.lib.format."""
    start = stream.read(8)
    if start[:6] != _MAGIC or len(start) < 8:
        raise Unreadable("it does not begin as .npy files do")
    wide = start[6] >= 2
    length = int.from_bytes(stream.read(4 if wide else 2), "little")
    if length > _MOST_HEADER:
        raise Unreadable(f"its header has {length} bytes")
    text = stream.read(length).decode("utf-8" if start[6] >= 3 else "latin-1")
    stated = ast.literal_eval(text.strip())
    shape = stated["shape"]
    if not all(type(side) is int and side >= 0 for side in shape):
        raise Unreadable(f"its shape is {shape!r}")
    dtype = np.lib.format.descr_to_dtype(stated["descr"])
    return tuple(shape), dtype, 8 + (4 if wide else 2) + length


class _reading:  # noqa: N801 - used as a statement
    """Any fault of reading an array as a UserError: numpy, zipfile, zlib and ast raise two dozen
    classes on files that are broken.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FileNotFoundError):
            return
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{self._file}: cannot be read: {error.strerror}") from None
        if isinstance(error, Exception) and not isinstance(error, UserError):
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{self._file}: cannot be read as arrays of numbers: {why}") from None

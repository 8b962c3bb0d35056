"""How files of prompts are read: line by line or object by object, packed by gzip or not, never
more of them in memory than one line; and what is wrong with them, all at once.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qs.base.errors import Fault, Faults, UserError
from qs.base.files import kind_of, shortened, why

MOST_LINE = 64 << 20  # bytes: a prompt with pictures is long
MOST_LINES = 100_000_000  # blank ones too
MOST_KEPT = 1 << 30  # bytes of prompts that are held in memory
EACH_BYTES = 1000  # about what one takes beside its text
MOST_FAULTS = 100  # after which nobody needs to know of more
_PIECE = 1 << 16
_GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class Faulty:
    """Collects what is wrong with a file, by line; raises once there is enough of it."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._faults: list[Fault] = []

    def at(self, line: int) -> Callable[[str, object, str], None]:
        """What takes (key, value, allowed) of one line."""

        def say(key: str, value: object, allowed: str) -> None:
            self.add(f"line {line}" + (f", {key}" if key else ""), value, allowed)

        return say

    def add(self, place: str, value: object, allowed: str, nearest: str | None = None) -> None:
        self._faults.append(Fault(self.path, place, value, allowed, nearest))
        if len(self._faults) >= MOST_FAULTS:
            self.check()

    def check(self) -> None:
        """Raises Faults if there are some."""
        if self._faults:
            raise Faults(self._faults)


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A regular file's bytes, unpacked if they are packed by gzip. UserError names the file; one in
    the reading of it as well.
    """
    place = Path(path).expanduser()
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            kind = kind_of(os.fstat(descriptor).st_mode)
            if kind is not None:
                raise UserError(f"{path}: is {kind}; allowed: a regular file")
            if file.peek(2)[:2] == _GZIP:
                with gzip.open(file) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield file
    except FileNotFoundError:
        raise UserError(f"{shortened(path)}: no such file") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: cannot be unpacked: {error}") from None
    except OSError as error:
        raise UserError(f"{shortened(path)}: cannot be read: {why(error)}") from None
    except ValueError as error:  # a NUL in the path
        raise UserError(f"{shortened(path)}: cannot be read: {error}") from None


def lines_of(path: str | Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its end) of each line that is not blank. UserError for what is
    no text, and for a line beyond MOST_LINE.
    """
    with opened(path) as file:
        number = 0
        while line := file.readline(MOST_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(BOM)
            place = f"{path}: line {number}"
            if number > MOST_LINES:
                raise UserError(f"{path}: has more than {MOST_LINES:,} lines")
            if len(line) > MOST_LINE:
                most = f"{MOST_LINE >> 20} MiB, the most that is read"
                raise UserError(f"{place} is longer than {most}; is it JSON lines?")
            if b"\0" in line:
                raise UserError(f"{place} is not text: it has a NUL character")
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{place} is not UTF-8 text (byte {error.start}); save the file as UTF-8"
                ) from None
            if text and not text.isspace():
                yield number, text


def beginning(path: str | Path, count: int = _PIECE) -> str:
    """The first characters of a file, without blanks before them; what is no text is replaced."""
    with opened(path) as file:
        return file.read(count).removeprefix(BOM).decode("utf-8", "replace").lstrip()


def elements_of(path: str | Path) -> Iterator[tuple[int, object]]:
    """(number from 1, value) of each element of a file that is one list in JSON, however long the
    list. UserError where it is none.
    """
    decode = json.JSONDecoder().raw_decode
    with opened(path) as file:
        text = _Text(file, path)
        if not text.starts_with("["):
            raise UserError(f"{path}: is no list in JSON")
        number = 0
        while not text.starts_with("]"):
            if number and not text.starts_with(","):
                raise UserError(f"{path}: element {number} is not followed by a comma or the end")
            number += 1
            yield number, text.value(decode, number)


class _Text:
    """The part of a file of JSON that is looked at."""

    def __init__(self, file: BinaryIO, path: str | Path) -> None:
        self._file, self._path = file, path
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def starts_with(self, mark: str) -> bool:
        """Whether that mark comes next; if so it is passed, and blanks are in any case."""
        while True:
            rest = self._text[self._at :].lstrip()
            self._text, self._at = rest, 0
            if rest or not self._more(_PIECE):
                break
        found = self._text.startswith(mark)
        self._at = len(mark) if found else 0
        return found

    def value(self, decode: Callable[[str, int], tuple[object, int]], number: int) -> object:
        self.starts_with("\n")  # passes blanks
        while True:
            try:
                value, end = decode(self._text, self._at)
                # A number may go on behind what is there.
                if end < len(self._text) or not self._more(_PIECE):
                    self._at = end
                    return value
            except (ValueError, RecursionError) as error:
                # Cut off, or wrong: with as much again of the text it shows.
                size = len(self._text) - self._at
                deep = isinstance(error, RecursionError)
                if deep or size > MOST_LINE or not self._more(max(size, _PIECE)):
                    what = "nested too deeply to be read" if deep else f"not JSON: {error}"
                    raise UserError(f"{self._path}: element {number}: {what}") from None

    def _more(self, count: int) -> bool:
        """Reads on; False at the end of the file."""
        if self._ended:
            return False
        piece = self._file.read(count)
        self._ended = not piece
        try:
            self._text = self._text[self._at :] + self._decoder.decode(piece, self._ended)
        except UnicodeDecodeError:
            raise UserError(f"{self._path}: not UTF-8 text; save the file as UTF-8") from None
        self._at = 0
        return bool(piece)

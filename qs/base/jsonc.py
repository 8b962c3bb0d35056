"""JSON with // and /* */ comments and trailing commas, as the published files have it.

Reading only. What JSON leaves undefined is refused, since it hides mistakes: a key given twice, NaN
or Infinity as a number, half of a surrogate pair as a character; and nesting deeper than any report
could be written with. What the values mean is up to qs.config.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qs.base import files
from qs.base.errors import UserError
from qs.base.names import is_unicode

MAX_BYTES = 16 << 20
MAX_DEPTH = 100
_ALLOWED = "allowed: JSON, with // comments and trailing commas"
# Of a text, what comments and trailing commas are told by: strings, comments, marks, other words.
_TOKEN = re.compile(r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|//[^\n]*|/\*|[,:\[\]{}]|[^\s",:\[\]{}/]+|/')
_NOT_LINE = re.compile(r"[^\n]")
_NO_VALUE = ("", "[", "{", ",", ":")


def read(path: str | Path) -> object:
    """The file's value. UserError names the file, and the line if it is known."""
    return loads(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The file's text: UTF-8, with or without a byte order mark. UserError if it cannot be read."""
    return files.read_text(path, MAX_BYTES)


def loads(text: str, name: str) -> object:
    """The value of a text, which error messages call `name`."""
    if not text.strip():
        raise UserError(
            f"{name}: the file is empty; allowed: JSON, with // comments and trailing commas"
        )
    try:
        try:
            value = _plain(text)  # most files are
        except json.JSONDecodeError:
            value = _plain(_blanked(text))
        return _sound(value)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name}, line {error.lineno}: not JSON: {error.msg} (column {error.colno}); {_ALLOWED}"
        ) from None
    except _Refused as refused:
        raise UserError(f"{name}: {refused}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply to be read") from None
    except ValueError as error:  # a number with more digits than Python converts
        raise UserError(f"{name}: cannot be read: {error}") from None


def line(text: str, name: str) -> object:
    """The value of one line of a file of JSON lines, without comments; messages call it `name`."""
    try:
        return _sound(_plain(text))
    except json.JSONDecodeError as error:
        raise UserError(f"{name}: not JSON: {error.msg} (column {error.colno})") from None
    except _Refused as refused:
        raise UserError(f"{name}: {refused}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply to be read") from None
    except ValueError as error:  # a number with more digits than Python converts
        raise UserError(f"{name}: cannot be read: {error}") from None


def _plain(text: str) -> object:
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
    )


def _blanked(text: str) -> str:
    """The text with spaces in place of comments and trailing commas, so that places stay what they
    were. Linear in its length.
    """
    pieces: list[str] = []
    at = 0
    before, comma = "", -1  # the last mark or word; the piece that is a comma, if it came last
    while (found := _TOKEN.search(text, at)) is not None:
        token = found[0]
        pieces.append(text[at : found.start()])
        at = found.end()
        if token == "/*":
            at = text.find("*/", at) + 2
            if at < 2:
                raise json.JSONDecodeError("a comment that is not closed", text, found.start())
        if token.startswith(("//", "/*")):
            pieces.append(_NOT_LINE.sub(" ", text[found.start() : at]))
            continue
        pieces.append(token)
        if token == ",":
            comma = len(pieces) - 1 if before not in _NO_VALUE else -1
        elif token in "]}" and comma >= 0:
            pieces[comma] = " "
            comma = -1
        else:
            comma = -1
        before = token
    return "".join([*pieces, text[at:]])


def _sound(value: object) -> object:
    """The value, if it can be kept and written again; raises _Refused."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for each in level:
            if isinstance(each, str):
                _whole(each)
            elif isinstance(each, list):
                inner += each
            elif isinstance(each, dict):
                for key in each:
                    _whole(key)
                inner += each.values()
        if not inner:
            return value
        level = inner
    raise _Refused(f"nested too deeply to be read: {MAX_DEPTH} levels are allowed")


def _whole(text: str) -> None:
    if not is_unicode(text):
        raise _Refused(f"{text!r} has half of a surrogate pair, which is no character")


class _Refused(Exception):
    pass


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"the key {key!r} occurs twice in one object; keep one of them")
        found[key] = value
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused(f"{digits} is too large a number; write a finite number, or null")
    return number


def _no_constant(name: str) -> object:
    raise _Refused(f"{name} is not a JSON number; write a finite number, or null")


def leaves(value: Any) -> list[Any]:
    """What is in nested lists, in no order; the value itself if it is no list."""
    found, left = [], [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        else:
            found.append(each)
    return found

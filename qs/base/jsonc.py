"""JSON with // and /* */ comments and trailing commas, as the published files have it.

Reading only. Two things that JSON leaves undefined are refused, since they hide mistakes: a key
given twice, and NaN or Infinity as a number. What the values mean is up to qs.config.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from qs.base.errors import UserError

_JSON5_PLACE = re.compile(r"^<string>:(\d+)\s*(.*)$", re.DOTALL)


def read(path: str | Path) -> object:
    """The file's value. UserError names the file, and the line if it is known."""
    return loads(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The file's text: UTF-8, with or without a byte order mark. UserError if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def loads(text: str, name: str) -> object:
    """The value of a text, which error messages call `name`."""
    if not text.strip():
        raise UserError(
            f"{name}: the file is empty; allowed: JSON, with // comments and trailing commas"
        )
    try:
        # Most files are plain JSON, and json reads them a thousand times faster than json5.
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError:
        return _loads_json5(text, name)
    except _Refused as refused:
        raise UserError(f"{name}: {refused}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply to be read") from None
    except ValueError as error:  # a number with more digits than Python converts
        raise UserError(f"{name}: cannot be read: {error}") from None


def _loads_json5(text: str, name: str) -> object:
    import json5

    try:
        return json5.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _Refused as refused:
        raise UserError(f"{name}: {refused}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply to be read") from None
    except ValueError as error:
        place = _JSON5_PLACE.match(str(error))
        where, what = (f"{name}, line {place[1]}", place[2]) if place else (name, str(error))
        raise UserError(
            f"{where}: not JSON: {what}; allowed: JSON, with // comments and trailing commas"
        ) from None


class _Refused(Exception):
    pass


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"the key {key!r} occurs twice in one object; keep one of them")
        found[key] = value
    return found


def _no_constant(name: str) -> object:
    raise _Refused(f"{name} is not a JSON number; write a finite number, or null")

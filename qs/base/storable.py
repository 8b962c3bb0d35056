"""Any value as one that every file of ours can hold: the result, the events, `--json`, the history.

Vendors, data sets and command lines hand over what JSON has no form for: unpaired surrogates (a
file name that is no UTF-8), integers beyond 64 bits, bytes, objects, values that contain
themselves. A strange value must not cost the report of a long run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any

DEEPEST = 64  # orjson gives up at 254 levels, readers earlier
LONGEST_STRANGER = 1000  # characters of an object that becomes its text
TOO_DEEP = "(nested too deeply to be shown)"
LEAST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1  # what JSON libraries and databases hold


def storable(value: Any, depth: int = 0) -> Any:
    """A copy in None, bool, int, float, str, list and dict with text keys.

    Unpaired surrogates become `\\udcff`, bytes and objects their text, integers beyond 64 bits the
    nearest float, what is nested deeper than DEEPEST a note. NaN and infinities stay: JSON has null
    for them.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return storable(value.value, depth)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if depth >= DEEPEST:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {_key(key): storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [storable(item, depth + 1) for item in sorted(value, key=_stranger)]
    return _stranger(value)


def text(value: str) -> str:
    """The text without unpaired surrogates: a byte of a name that is no UTF-8 becomes `\\udcff`."""
    return str.encode(value, "utf-8", "backslashreplace").decode()


def _key(key: object) -> str:
    return text(key) if isinstance(key, str) else _stranger(key)


def _integer(value: int) -> int | float | str:
    if LEAST_INTEGER <= value <= LARGEST_INTEGER:
        return value
    try:
        return float(value)
    except OverflowError:
        return f"(an integer of {value.bit_length()} bits)"


def _stranger(value: object) -> str:
    """The text of an object; its own `__str__` may raise."""
    try:
        said = str(value)
    except Exception:
        said = f"({type(value).__name__} without a text)"
    return text(said if len(said) <= LONGEST_STRANGER else f"{said[:LONGEST_STRANGER]}...")

"""Answers of the types that interact profiles know, read strictly: "12" is a whole number, true is
none.
"""

from __future__ import annotations

import math


class _Unreadable:
    def __repr__(self) -> str:
        return "unreadable"


UNREADABLE = _Unreadable()
_BOOLS = {"true": True, "yes": True, "false": False, "no": False}


def read_as(kind: str, value: object) -> object:
    """`value` as a bool, int, float or str (`kind`), or UNREADABLE. Strings may stand for the
    others.
    """
    if kind == "str":
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if plain else value if isinstance(value, str) else UNREADABLE
    if kind == "bool":
        if isinstance(value, str):
            return _BOOLS.get(value.strip().lower(), UNREADABLE)
        return value if isinstance(value, bool) else UNREADABLE
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return UNREADABLE
    try:
        number = float(value) if kind == "float" else int(value)
    except (ValueError, OverflowError):
        return UNREADABLE
    if kind == "int":
        return number if isinstance(value, str) or number == value else UNREADABLE
    return number if math.isfinite(number) else UNREADABLE

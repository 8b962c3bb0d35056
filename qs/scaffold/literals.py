"""Values as Python source, laid out as ruff lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH = 100
_STEP = "    "
_LONG = 8  # digits of a number


def assignment(name: str, value: Any, indent: str = "") -> str:
    """`name = value` in a line, or with an element a line where that is too long."""
    line = f"{indent}{name} = {literal(value)}"
    if len(line) <= WIDTH:
        return line
    if isinstance(value, str):
        return f"{line}  # noqa: E501"
    return f"{indent}{name} = {_exploded(value, indent)}"


def literal(value: Any) -> str:
    """In a line. Texts have double quotes, as long as they hold none."""
    if isinstance(value, str):
        text = repr(value)
        if text[0] == "'" and '"' not in value:
            return f'"{text[1:-1]}"'.replace("\\'", "'")
        return text
    if isinstance(value, Mapping):
        inside = (f"{literal(key)}: {literal(item)}" for key, item in value.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    text = repr(value)
    if isinstance(value, float) and len(text) > _LONG and 1e-3 < value < 1:
        for above in (1, 2):  # 1/255 says more than 0.00392156862745098
            below = round(above / value)
            if above / below == value:
                return f"{above} / {below}"
    return text


def _exploded(value: Any, indent: str) -> str:
    inner = indent + _STEP
    if isinstance(value, Mapping):
        parts = [_element(f"{literal(key)}: ", item, inner) for key, item in value.items()]
        opening, closing = "{}"
    else:
        parts = [_element("", item, inner) for item in value]
        opening, closing = "[]" if isinstance(value, list) else "()"
    return "\n".join([opening, *parts, f"{indent}{closing}"])


def _element(before: str, value: Any, indent: str) -> str:
    line = f"{indent}{before}{literal(value)},"
    if len(line) <= WIDTH or not isinstance(value, (Mapping, list, tuple)):
        return line if len(line) <= WIDTH else f"{line}  # noqa: E501"
    return f"{indent}{before}{_exploded(value, indent)},"

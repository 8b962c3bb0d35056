"""Plain data that has to be something: what a node tells is held to these shapes, one a field. A
shape is a function that gives the value it was told, or raises ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from qs.engine.distributed.results.counts import MOST_COUNT, finite
from qs.engine.hosts.messages import whole

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Shape = Callable[[Any], Any]

MOST_TEXT = 8_000
MOST_NAMES = 1_000


def count(value: Any) -> int:
    return whole(value, MOST_COUNT)


def fraction(value: Any) -> float:
    """A number from 0 up."""
    return finite(value)


def any_fraction(value: Any) -> float:
    return finite(value, -math.inf)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.40} for true or false")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise ValueError(f"{value!r:.40} for a text of at most {MOST_TEXT:,} characters")
    return value


def line(value: Any) -> str:
    """One line, of what can be printed: it is shown to people as it is."""
    return "".join(each for each in " ".join(text(value).split()) if each.isprintable())


def optional(shape: Shape) -> Shape:
    return lambda value: None if value is None else shape(value)


def word(kind: type[E]) -> Callable[[Any], E]:
    """A member of an enum, by its value."""

    def read(value: Any) -> E:
        if not isinstance(value, str):
            raise ValueError(f"{value!r:.40} for a word")
        return kind(value)

    return read


def items(shape: Callable[[Any], T], most: int) -> Callable[[Any], list[T]]:
    def read(value: Any) -> list[T]:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise ValueError(f"{value!r:.40} for a list of at most {most:,}")
        return [shape(each) for each in value]

    return read


def named(shape: Callable[[Any], T], most: int = MOST_NAMES) -> Callable[[Any], dict[str, T]]:
    """By names."""

    def read(value: Any) -> dict[str, T]:
        if not isinstance(value, dict) or len(value) > most:
            raise ValueError(f"{value!r:.40} for at most {most:,} names and their values")
        return {text(name): shape(each) for name, each in value.items()}

    return read


def fields(kind: Callable[..., T], shapes: Mapping[str, Shape]) -> Callable[[Any], T]:
    """An object of these fields, which are told as a dict."""

    def read(value: Any) -> T:
        return kind(**told(value, shapes))

    return read


def told(value: Any, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """These fields of a dict, each in its shape. What is wrong is named by its field."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.40} for fields by their names")
    found = {}
    for name, shape in shapes.items():
        if name not in value:
            raise ValueError(f"{name} is missing")
        try:
            found[name] = shape(value[name])
        except (ValueError, TypeError, OverflowError, KeyError, IndexError) as fault:
            raise ValueError(f"{name}: {fault}") from None
    return found


def said(value: Any, shapes: Mapping[str, Shape] | Sequence[str]) -> dict[str, Any]:
    """These fields of an object."""
    return {name: getattr(value, name) for name in shapes}


def plain(value: Any) -> Any:
    """Nothing but None, bool, int, float, str, bytes, list and dict; what is no number is None."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(plain(name)): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

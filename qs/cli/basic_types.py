"""Whole numbers, numbers, words and paths: what click has types for, refused in our words."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")


class Whole(click.ParamType):
    """A whole number within bounds, both included."""

    name = "N"

    def __init__(self, least: int, most: int):
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip()
        number = int(text) if _WHOLE.fullmatch(text) else None
        if number is None or not self.least <= number <= self.most:
            allowed = f"a whole number from {self.least:,} to {self.most:,}"
            self.fail(f"{reprlib.repr(value)} is not {allowed}", param, ctx)
        return number


class Finite(click.ParamType):
    """A number above 0, up to a bound (below it, with `max_open`). NaN is in no range."""

    name = "NUMBER"

    def __init__(self, most: float, max_open: bool = False):
        self.most, self.open = most, max_open

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        within = 0 < number < self.most if self.open else 0 < number <= self.most
        if not within:
            upper = f"{'below' if self.open else 'up to'} {self.most:,.15g}"
            self.fail(f"{reprlib.repr(value)} is not a number above 0 and {upper}", param, ctx)
        return number


class OneOf(click.Choice):
    """One of some words; the shell completes them."""

    def __init__(self, words: Sequence[str], case_sensitive: bool = True):
        super().__init__(list(words), case_sensitive)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from qs.base.names import nearest

        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            near = nearest(value, self.choices)
            meant = f"; did you mean {near}?" if near else ""
            self.fail(
                f"{reprlib.repr(value)} is not one of {', '.join(self.choices)}{meant}", param, ctx
            )


class FilePath(click.Path):
    """A file's or folder's name, that need not be there: an empty one is an unset variable."""

    def __init__(self, metavar: str = "FILE", **limits: Any):
        super().__init__(path_type=Path, **limits)
        self._metavar = metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip() or "\0" in str(value):
            self.fail(f"{str(value)!r} names no {self._metavar.lower()}", param, ctx)
        try:
            return super().convert(value, param, ctx)
        except (OSError, ValueError) as error:  # a name that no file system takes
            self.fail(f"{reprlib.repr(value)} cannot be looked at: {error}", param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self._metavar

"""Kinds of values that the options of a language model take."""

from __future__ import annotations

import math
import reprlib
from typing import Any

import click


class Key(click.ParamType):
    """Where a key is read. No message repeats what was typed: it may be the key."""

    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from qs.base.headers import is_source

        text = str(value).strip()
        if not is_source(text) or not text.partition(":")[2]:
            self.fail(
                "a key is never typed, where others see it: write @env:NAME or @file:PATH, and "
                "where it stood, change it.",
                param,
                ctx,
            )
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "@env:NAME|@file:PATH"


class BodyField(click.ParamType):
    """key=value of a request's body, as it was typed."""

    name = "field"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from qs.llm.asked import read_field

        try:
            read_field(str(value))
        except ValueError as error:
            self.fail(f"{reprlib.repr(value)} is not {error}", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "KEY=VALUE"


class Share(click.ParamType):
    """A share, from 0 to 1 or in percent."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = math.nan
        if not 0 <= share <= 1:
            self.fail(f"{reprlib.repr(value)} is not a share: 0.3 or 30%", param, ctx)
        return share

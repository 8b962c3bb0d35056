"""Kinds of values that the options of a served model take."""

from __future__ import annotations

import re
import reprlib
from typing import Any

import click

from qs.cli.basic_types import FilePath, OneOf
from qs.cli.naming import is_address


class Header(click.ParamType):
    """`Name: value`, or `Name=value`. No message repeats the value: it may be a secret."""

    name = "header"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        from qs.base import headers

        if isinstance(value, tuple):
            return value
        try:
            return headers.split(str(value))
        except ValueError as error:
            self.fail(
                f"{error}; write for example 'X-Tenant: blue', 'Authorization: @env:TOKEN' or "
                "'Authorization: @file:token.txt'.",
                param,
                ctx,
            )

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "'NAME: VALUE'"


class Artifact(FilePath):
    """A file or folder, or the address of a served model, which stays as it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if is_address(value):
            return value
        return super().convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "FILE|URL"


class Sequences(click.ParamType):
    """COUNT[xLENGTH][@FIRST]: so many sequences in turn, of so many requests each, with ids from
    the first on.
    """

    name = "sequences"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})?(@[1-9]\d{0,17})?", text):
            self.fail(
                f"{reprlib.repr(value)} is not COUNT[xLENGTH][@FIRST]; write for example 8, 8x20 "
                "or 8x20@1000.",
                param,
                ctx,
            )
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "COUNT[xLENGTH][@FIRST]"


class Host(click.ParamType):
    """A host's name or address, alone."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
            self.fail(f"{reprlib.repr(value)} is not the name of a host.", param, ctx)
        return text

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "HOST"


class Client(OneOf):
    """What sends the requests. A number was meant for --clients."""

    def __init__(self) -> None:
        super().__init__(["lean", "blocking", "grpcio"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).isdigit():
            self.fail(f"{value} is no kind of client; did you mean --clients?", param, ctx)
        return super().convert(value, param, ctx)

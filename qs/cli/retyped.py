"""The options of one command, as another command takes them: for a command that is recommended.

Everything that was typed is kept as it was typed, as far as the other command has an option of that
name, so that an option which either of them gains later is kept as well. Values that came from
variables and project files are kept too: the other command may have others of its own there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import click

from qs.base.headers import without_secrets
from qs.cli.helping import Command

_GIVEN = "qs.given"
# How a result is shown is not what is measured.
_SHOWN = ("as_json", "quiet")


class Retyped(Command):
    """A command that remembers its arguments as they were given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_GIVEN] = list(args)
        return super().parse_args(ctx, args)


def retyped(ctx: click.Context, target: click.Command, without: Collection[str]) -> tuple[str, ...]:
    """The words of what was given to the command of `ctx`, for `target`: all options that it has by
    name, but for those in `without`.
    """
    given, _, _ = ctx.command.make_parser(ctx).parse_args(list(ctx.meta.get(_GIVEN, ())))
    taken = {each.name: each for each in target.params if isinstance(each, click.Option)}
    words: list[str] = []
    for option in ctx.command.params:
        name = option.name or ""
        if name not in taken or name in (*without, *_SHOWN):
            continue
        value = given.get(name)
        if value is None or value == [] or not isinstance(value, (str, list, tuple, bool)):
            value = (ctx.default_map or {}).get(name)
        words += _words(taken[name], value)
    return without_secrets(words)


def path_word(path: object) -> str:
    """A file's name that no command takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _words(option: click.Option, value: Any) -> Iterator[str] | Sequence[str]:
    flag = next((each for each in option.opts if each.startswith("--")), option.opts[0])
    if value is None or value is False:
        return ()
    if option.is_flag:
        return (flag,)
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for each in values for word in _pair(flag, str(each))]


def _pair(flag: str, value: str) -> tuple[str, ...]:
    """A value that begins as an option does is joined to its flag."""
    return (f"{flag}={value}",) if value.startswith("-") else (flag, value)

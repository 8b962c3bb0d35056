"""Commands as users read and mistype them: help under headings, the common options first; and
arguments that click would take in silence are refused.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from qs.base.console import as_it_is
from qs.base.visible import visible
from qs.cli.grouping import GROUPS, OTHER, Option

WIDTH = 100
_ALL = "qs.help_all"


class Command(click.Command):
    """A command with its options under headings. `--help` shows those that most people need,
    `--help_all` every one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _check(self, ctx, args)
        ctx.allow_extra_args = True
        super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            ctx.fail(f"{ctx.args[0]!r} is one word too many")
        return ctx.args

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        if not any(getattr(each, "rare", False) for each in params):
            return params
        return [*params[:-1], _HELP_ALL, params[-1]]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show
        return option

    def get_help(self, ctx: click.Context) -> str:
        formatter = _formatter(ctx)
        self.format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from cloup.formatting import HelpSection

        shown = ctx.meta.get(_ALL, False)
        rows: dict[str, list] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None and (shown or not getattr(param, "rare", False)):
                heading = getattr(param, "group", OTHER)
                rows.setdefault(heading, []).append((visible(record[0]), visible(record[1])))
        # The words --help and --help_all stand at the end of the last heading.
        last = rows.pop(OTHER, [])
        headings = [each for each in GROUPS if each in rows]
        if headings and last:
            rows[headings[-1]] += last
        elif last:
            headings, rows = ["Options"], {"Options": last}
        sections = [HelpSection(heading, rows[heading]) for heading in headings]
        formatter.write_many_sections(sections)  # type: ignore[attr-defined]


class Commands(click.Group):
    """A group of commands, which proposes the nearest for a mistyped one."""

    command_class = Command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from qs.base.names import nearest

        typed = args[0] if args else ""
        if self.get_command(ctx, typed) is None and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            near = nearest(typed, known)
            if typed[:1] == "-":
                raise click.NoSuchOption(typed, ctx=ctx)
            ctx.fail(
                f"unknown command {typed!r}"
                + (f"; did you mean {near}?" if near else f"; known: {', '.join(known)}")
            )
        return super().resolve_command(ctx, args)


def _formatter(ctx: click.Context) -> click.HelpFormatter:
    # Most of the time that --help takes.
    from cloup import HelpFormatter, HelpTheme, Style

    theme = HelpTheme()
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        bold, cyan = Style(bold=True), Style(fg="cyan")
        theme = HelpTheme(heading=bold, invoked_command=bold, col1=cyan)
    return HelpFormatter(
        width=ctx.terminal_width, max_width=ctx.max_content_width or WIDTH, theme=theme
    )


def _show(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        ctx.meta[_ALL] = parameter.name == "help_all"
        print(ctx.get_help(), file=as_it_is(sys.stdout))
        ctx.exit()


_HELP_ALL = Option(
    ["--help_all"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show,
    help="Show every option, the rarely used ones too.",
    group=OTHER,
)


def flags(command: click.Command, ctx: click.Context) -> dict[str, click.Option]:
    """Each name of each option, as it is written."""
    return {
        name: each
        for each in command.get_params(ctx)
        if isinstance(each, click.Option)
        for name in (*each.opts, *each.secondary_opts)
    }


def _check(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    """Raise UsageError for what click would take in silence for something else: an option in the
    place of another's value, an option given twice, and -task.
    """
    known = flags(command, ctx)
    for word in args:
        if word == "--":
            break
        name = word.partition("=")[0].replace("-", "_")
        if len(name) > 2 and name[0] == "_" != name[1] and f"--{name[1:]}" in known:
            ctx.fail(f"{word}: write -{word.partition('=')[0]}, with two dashes")
    values, _, order = command.make_parser(ctx).parse_args(list(args))
    for name, value in values.items():
        option = next((each for each in known.values() if each.name == name), None)
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if option is not None and isinstance(each, str) and _normal(each) in known:
                ctx.fail(f"{_long(option)} needs a value, and {each} is an option")
    for given, times in Counter(order).items():
        if times > 1 and isinstance(given, click.Option) and not given.multiple:
            if not given.is_flag:
                ctx.fail(f"{_long(given)} is given {times} times; give it once")


def _normal(word: str) -> str:
    return f"--{word[2:].replace('-', '_')}" if word.startswith("--") else word


def _long(option: click.Option) -> str:
    return next((name for name in option.opts if name.startswith("--")), option.opts[0])

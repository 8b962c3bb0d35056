"""An option knows the heading under which `--help` shows it, whether it is shown only by
`--help_all`, and which of its names are other names of the first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

Decorator = Callable[[Any], Any]

TARGET = "What is measured"
AXES = "Axes"
LOAD = "Load"
STOP = "When to stop"
INPUTS = "Inputs"
SERVER = "Server"
LLM = "Language models"
PLACE = "Where it runs"
CHECKS = "Checks"
OUTPUT = "Output"
OTHER = "Other options"
# The order in which `--help` shows them.
GROUPS = (TARGET, AXES, LOAD, STOP, INPUTS, SERVER, LLM, PLACE, CHECKS, OUTPUT, OTHER)


class Option(click.Option):
    """group    the heading, one of GROUPS
    rare     only `--help_all` shows it
    aliases  names that are taken like the others, and not shown
    """

    def __init__(
        self,
        *arguments: Any,
        group: str = OTHER,
        rare: bool = False,
        aliases: Sequence[str] = (),
        **attributes: Any,
    ):
        super().__init__(*arguments, **attributes)
        self.group, self.rare = group, rare
        self._shown = tuple(self.opts)
        self.opts += [*aliases]
        if self.metavar is None:  # click's are TEXT and FLOAT
            names = {"text": str(self.name).upper(), "float": "NUMBER", "integer": "N"}
            self.metavar = None if self.is_flag else names.get(self.type.name)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        shown = copy.copy(self)
        shown.opts = list(self._shown)
        return super(Option, shown).get_help_record(ctx)


class PortOption(Option):
    """An option whose value may be left out: a word after it that is no number is not its value,
    but the next argument.
    """

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            made = parser._long_opt.get(name)
            if made is not None:
                made.process = partial(self._process, made.process)

    def _process(self, process: Callable[[Any, Any], None], value: Any, state: Any) -> None:
        if isinstance(value, str) and not value.lstrip("-").isdigit():
            state.rargs.insert(0, value)
            value = self.flag_value
        process(value, state)


def option(group: str, *names: str, **attributes: Any) -> Decorator:
    """`click.option` under a heading of `--help`; `rare` and `aliases` as for Option."""
    return click.option(*names, **{"cls": Option, "group": group, **attributes})


def under(group: str) -> Callable[..., Decorator]:
    """`option` for one heading."""
    return partial(option, group)


def together(*options: Decorator) -> Decorator:
    """The options in the order in which they are written here: `--help` shows them so."""

    def decorate(command: Any) -> Any:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate

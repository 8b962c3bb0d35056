"""Keyword arguments as the options of a command: one grammar, one set of messages. What
`--batch_sizes 1,8` is on the command line is `batch_sizes=[1, 8]` here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.cli.commands import load

# What is a person's at a terminal, and means nothing to a program.
NOT_HERE = frozenset({"as_json", "quiet", "dry_run", "help"})


def arguments(command: str, operands: Iterable[Any], options: Mapping[str, Any]) -> list[str]:
    """The words that would be typed: ["model.onnx", "--rate", "200"]. True sets a flag; None and
    False leave an option out; a list is joined by commas; a dict repeats the option, name=value.

    Raises UserError for an option that the command does not have.
    """
    known = _options(load(command))
    words = [str(each) for each in operands]
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            near = nearest(name, list(known))
            hint = f"; did you mean {near}?" if near else f"; `qs {command} --help` lists them"
            raise UserError(f"{name}: is no option of qs {command}{hint}")
        flag = next(each for each in option.opts if each.startswith("--"))
        words += _typed(flag, value, option)
    return words


def parsed(command: str, words: list[str]) -> dict[str, Any]:
    """The options' values, as the command itself would get them. Raises UserError with what is
    wrong.
    """
    try:
        context = load(command).make_context(command, list(words))
    except click.ClickException as error:
        raise UserError(error.format_message()) from None
    return dict(context.params)


def _options(command: click.Command) -> dict[str, click.Option]:
    found: dict[str, click.Option] = {}
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in NOT_HERE:
            flags = [each[2:].replace("-", "_") for each in option.opts if each.startswith("--")]
            found |= dict.fromkeys(flags, option)
    return found


def _typed(flag: str, value: Any, option: click.Option) -> Iterator[str]:
    if value is None or value is False:
        return
    if option.is_flag:
        yield flag
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from (flag, f"{name}={_field(one) if flag == '--body' else _word(one)}")
    elif option.multiple and not isinstance(value, str):
        for one in value:
            yield from (flag, _word(one))
    else:
        yield from (flag, _word(value))


def _field(value: Any) -> str:
    """A field of a request's body as it is typed, where a text that would be read as JSON, such as
    "true" or "5", is JSON itself.
    """
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)


def _word(value: Any) -> str:
    many = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    return ",".join(map(str, value)) if many else str(value)

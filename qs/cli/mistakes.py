"""What click refuses, in the words of all other messages: what was given, what is allowed, the
nearest right name, where to read on.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from qs.cli.defaults import origin_of


def said(error: click.ClickException) -> str:
    """The message of a refused command line, without "error: " before it."""
    if not isinstance(error, click.UsageError):
        return _plain(error.format_message())
    where = "" if error.ctx is None else f" ({error.ctx.command_path} --help shows what there is)"
    if isinstance(error, click.NoSuchOption):
        return f"unknown option {error.option_name}{_meant(error)}{where}"
    if isinstance(error, click.BadOptionUsage):
        named = error.option_name.lstrip("-") if error.option_name else ""
        flag = f"{'-' if len(named) == 1 else '--'}{named}"
        takes = "does not take" not in error.message
        return f"{flag} {'needs a value' if takes else 'takes no value'}{where}"
    if isinstance(error, click.MissingParameter):
        return f"{_name(error)} is missing{_of(error)}{where}"
    if isinstance(error, click.BadParameter):
        return f"{_origin(error)}{_name(error)}: {_plain(error.message)}"
    return f"{_plain(error.message)}{where}"


def nearest_flag(typed: str, known: Iterable[str]) -> str | None:
    """The option that was probably meant: one that begins so, else the most similar."""
    from qs.base.names import nearest

    folded = typed.replace("-", "_")
    names = [name for name in known if name.startswith("--")]
    begun = [name for name in names if name.replace("-", "_").startswith(folded)]
    return begun[0] if len(begun) == 1 and len(typed) > 3 else nearest(typed, names, cutoff=0.7)


def _meant(error: click.NoSuchOption) -> str:
    if error.ctx is None:
        return ""
    from qs.cli.helping import flags

    near = nearest_flag(error.option_name, flags(error.ctx.command, error.ctx))
    return f"; did you mean {near}?" if near else ""


def _name(error: click.BadParameter) -> str:
    param = error.param
    if isinstance(param, click.Option):
        return next((each for each in param.opts if each.startswith("--")), param.opts[0])
    if param is not None:
        named = (param.metavar or (param.name or "").upper()).removesuffix("...")
        return named[1:-1] if named[:1] == "[" and named[-1:] == "]" else named
    return str(error.param_hint or "").strip("'\"")


def _of(error: click.MissingParameter) -> str:
    param = error.param
    choices = getattr(getattr(param, "type", None), "choices", ())
    return f": one of {', '.join(choices)}" if choices else ""


def _origin(error: click.BadParameter) -> str:
    """Where a value came from that was not typed."""
    name = error.param.name if error.param is not None else None
    found = origin_of(error.ctx, name) if error.ctx is not None and name else None
    return f"{found}: " if found else ""


def _plain(text: str) -> str:
    return text.strip().removesuffix(".")

"""Defaults of options that are not on the command line: variables QS_<OPTION>, then a project's
file, section [qs].

A variable or section for one command wins over the one for all: QS_RUN_CLIENTS over QS_CLIENTS,
[qs.run] over [qs]. The file is qs.cfg or setup.cfg, in the working directory or the nearest folder
above that has one with such a section; one that may be another user's is refused, and so is a
workspace of another user's that it names (qs.base.ownership). A value from here is checked like a
typed one, and the report names where it came from.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

FILES = ("qs.cfg", "setup.cfg")
SECTION = "qs"
MAX_BYTES = 1 << 20
ORIGINS = "qs.origins"
# These say where things are, on their own account: QS_WORKSPACE is searched beside --workspace, not
# in its stead.
RESERVED = ("QS_WORKSPACE", "QS_CACHE", "QS_DATA", "QS_TRUSTED")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


def apply(ctx: click.Context, name: str, command: click.Command) -> None:
    """Put the defaults of the command `name` into the context that it is made from. Raises
    UserError for a file that cannot be read.
    """
    found: dict[str, tuple[object, str]] = {}
    path, sections = project_file(Path.cwd())
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    for option in options.values():
        for source, text in _offers(name, option, path, sections):
            found[str(option.name)] = (_value(option, text, source), source)
            if option.name == "workspace" and source.startswith(str(path)):
                _check_workspace(Path(text.strip()))
            break
    ctx.default_map = {
        **(ctx.default_map or {}),
        name: {key: value for key, (value, _) in found.items()},
    }
    ctx.meta[ORIGINS] = {key: source for key, (_, source) in found.items()}
    _check_keys(path, sections)


def origin_of(ctx: click.Context, option: str) -> str | None:
    """Where the value of an option came from, if it was not typed."""
    if ctx.get_parameter_source(option) != click.core.ParameterSource.DEFAULT_MAP:
        return None
    return ctx.meta.get(ORIGINS, {}).get(option)


def origins() -> dict[str, str]:
    """Option -> where its value came from, for those that were not typed."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return {}
    return {
        name: source
        for name, source in ctx.meta.get(ORIGINS, {}).items()
        if ctx.get_parameter_source(name) == click.core.ParameterSource.DEFAULT_MAP
    }


def project_file(folder: Path) -> tuple[Path | None, dict[str, dict[str, str]]]:
    """The nearest file with a section of ours, and those sections. UserError if it may be another
    user's.
    """
    from qs.base.errors import UserError
    from qs.base.files import read_text
    from qs.base.ownership import check_ours

    for place in (folder, *folder.parents):
        for name in FILES:
            path = place / name
            if not path.is_file():
                continue
            parser = configparser.ConfigParser(interpolation=None)
            try:
                parser.read_string(read_text(path, MAX_BYTES), str(path))
            except (UserError, configparser.Error) as error:
                if name != FILES[0]:
                    continue  # somebody else's file, with somebody else's fault
                if isinstance(error, UserError):
                    raise
                raise UserError(
                    f"{path}: is not a file of [sections]: {' '.join(error.message.split())}"
                ) from None
            sections = {
                title: dict(parser[title])
                for title in parser.sections()
                if title == SECTION or title.startswith(f"{SECTION}.")
            }
            if sections:
                check_ours([path], "its defaults were not taken")
                return path, sections
    return None, {}


def _offers(
    command: str, option: click.Option, path: Path | None, sections: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    """(origin, text) of what is given for an option, the strongest first."""
    flags = [flag.lstrip("-").replace("-", "_") for flag in option.opts if flag.startswith("--")]
    for flag in flags:
        for variable in (f"QS_{command}_{flag}", f"QS_{flag}"):
            text = os.environ.get(variable.upper().replace("-", "_"))
            if text is not None and variable.upper() not in RESERVED:
                yield variable.upper().replace("-", "_"), text
        for title in (f"{SECTION}.{command}", SECTION):
            section = {key.replace("-", "_"): text for key, text in sections.get(title, {}).items()}
            if flag in section:
                yield f"{path} [{title}]", section[flag]


def _value(option: click.Option, text: str, source: str) -> object:
    from qs.base.errors import UserError

    if option.is_flag:
        word = text.strip().lower()
        if word not in _YES + _NO:
            raise UserError(
                f"{source}: {option.opts[0]} is {text!r}; allowed: {', '.join(_YES)}, "
                f"or {', '.join(filter(None, _NO))}"
            )
        return word in _YES
    if option.multiple:
        return [part.strip() for part in text.splitlines() if part.strip()]
    return text.strip()


def _check_workspace(folder: Path) -> None:
    """Code in it is run, and no one typed its name: it must be ours like the file that names it."""
    from qs.base.ownership import check_ours
    from qs.base.workspace import FOLDERS, roots_in

    try:
        roots = roots_in(folder.expanduser())
    except (OSError, ValueError, RuntimeError):
        return  # what is wrong with it is said when it is looked for
    inside = [root / name for root in roots for name in FOLDERS]
    check_ours([*roots, *inside], "the workspace that a file of defaults names was not used")


def _check_keys(path: Path | None, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse keys that no option has: a misspelt default would silently not apply."""
    from qs.base.errors import Fault, Faults
    from qs.base.names import nearest
    from qs.cli.commands import COMMANDS, load

    faults = []
    for title, section in sections.items():
        named = title.removeprefix(SECTION).removeprefix(".")
        if named and named not in COMMANDS:
            faults.append(
                Fault(str(path), f"[{title}]", named, "a command", nearest(named, list(COMMANDS)))
            )
            continue
        known = {
            flag.lstrip("-").replace("-", "_")
            for command in ([named] if named else COMMANDS)
            for option in load(command).params
            for flag in option.opts
            if flag.startswith("--")
        }
        for key, text in section.items():
            if key.replace("-", "_") not in known:
                faults.append(
                    Fault(
                        str(path),
                        f"[{title}] {key}",
                        text,
                        "an option",
                        nearest(key, sorted(known)),
                    )
                )
    if faults:
        raise Faults(faults)

"""Defaults of options that are not on the command line: variables QS_<OPTION>, then a project's
file (qs.cli.project_files).

A variable or section for one command wins over the one for all: QS_RUN_CLIENTS over QS_CLIENTS,
[qs.run] over [qs]. A workspace of another user's that a file names is refused (qs.base.ownership).
A value from here is checked like a typed one, and the report names where it came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from qs.cli.project_files import ProjectFile, project_file

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
    file = project_file(Path.cwd())
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    for option in options.values():
        for source, written in _offers(name, option, file):
            value = _value(option, written, source)
            found[str(option.name)] = (value, source)
            if (
                option.name == "workspace"
                and file is not None
                and source.startswith(str(file.path))
            ):
                _check_workspace(Path(str(value)))
            break
    ctx.default_map = {
        **(ctx.default_map or {}),
        name: {key: value for key, (value, _) in found.items()},
    }
    ctx.meta[ORIGINS] = {key: source for key, (_, source) in found.items()}
    if file is not None:
        _check_keys(file)


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


def _offers(
    command: str, option: click.Option, file: ProjectFile | None
) -> Iterator[tuple[str, str | list[str]]]:
    """(origin, what is written) of what is given for an option, the strongest first."""
    flags = [flag.lstrip("-").replace("-", "_") for flag in option.opts if flag.startswith("--")]
    for flag in flags:
        for variable in (f"QS_{command}_{flag}", f"QS_{flag}"):
            text = os.environ.get(variable.upper().replace("-", "_"))
            if text is not None and variable.upper() not in RESERVED:
                yield variable.upper().replace("-", "_"), text
        if file is None:
            continue
        for name in (command, ""):
            section = {
                key.replace("-", "_"): text for key, text in file.sections.get(name, {}).items()
            }
            if flag in section:
                yield f"{file.path} {file.title(name)}", section[flag]


def _value(option: click.Option, written: str | list[str], source: str) -> object:
    from qs.base.errors import UserError

    if isinstance(written, list):
        return written if option.multiple else ",".join(written)
    text = written.strip()
    if option.is_flag:
        word = text.lower()
        if word not in _YES + _NO:
            raise UserError(
                f"{source}: {option.opts[-1]} is {written!r}; allowed: {', '.join(_YES)}, "
                f"or {', '.join(filter(None, _NO))}"
            )
        return word in _YES
    if option.multiple:
        return [part.strip() for part in text.splitlines() if part.strip()]
    return text


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


def _check_keys(file: ProjectFile) -> None:
    """Refuse keys that no option has: a misspelt default would silently not apply."""
    from qs.base.addresses import HIDDEN
    from qs.base.errors import Fault, Faults
    from qs.base.names import nearest
    from qs.cli.commands import COMMANDS, load

    faults = []
    path = str(file.path)
    for named, section in file.sections.items():
        title = file.title(named)
        if named and named not in COMMANDS:
            faults.append(Fault(path, title, named, "a command", nearest(named, list(COMMANDS))))
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
                near = nearest(key, sorted(known))
                text = HIDDEN if near == "header" else text  # its value is a secret
                faults.append(Fault(path, f"{title} {key}", text, "an option", near))
    if faults:
        raise Faults(faults)

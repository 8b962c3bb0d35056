"""A project's file of defaults: qs.cfg, pyproject.toml or setup.cfg, in the working directory or
the nearest folder above it in which one of them, in this order, has a section of ours.

Sections are [qs] and [qs.run]; in pyproject.toml they are the tables [tool.qs] and [tool.qs.run],
where numbers, lists and booleans may be written as such. A file that may be another user's is
refused (qs.base.ownership). What the values mean is qs.cli.defaults' part.
"""

from __future__ import annotations

import configparser
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults, UserError

SECTION = "qs"
MAX_BYTES = 1 << 20
_KINDS = "a string, a number, true or false, or a list of strings and numbers"

Values = Mapping[str, "str | list[str]"]


@dataclass(frozen=True)
class ProjectFile:
    """The sections of ours in a file: command -> option -> what is written there; "" is the section
    for all commands.
    """

    path: Path
    prefix: str
    """Of the sections' names: "" or "tool."."""
    sections: Mapping[str, Values]

    def title(self, command: str) -> str:
        """The section of a command, as it is written in the file."""
        return f"[{self.prefix}{SECTION}{'.' if command else ''}{command}]"


def project_file(folder: Path) -> ProjectFile | None:
    """The nearest file with a section of ours. UserError if it cannot be read, or may be another
    user's.
    """
    from qs.base.ownership import check_ours

    for place in (folder, *folder.parents):
        for name, read in _READERS.items():
            path = place / name
            found = read(path) if path.is_file() else None
            if found is not None and found.sections:
                check_ours([path], "its defaults were not taken")
                return found
    return None


def _text(path: Path) -> str:
    from qs.base.files import read_text

    return read_text(path, MAX_BYTES)


def _own(path: Path) -> ProjectFile | None:
    """qs.cfg: whatever is wrong with it is ours to say."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(path), str(path))
    except configparser.Error as error:
        raise UserError(
            f"{path}: is not a file of [sections]: {' '.join(error.message.split())}"
        ) from None
    sections: dict[str, Values] = {}
    for title in parser.sections():
        if title == SECTION or title.startswith(f"{SECTION}."):
            sections[title.removeprefix(SECTION).removeprefix(".")] = dict(parser[title])
    return ProjectFile(path, "", sections)


def _setup(path: Path) -> ProjectFile | None:
    """setup.cfg: somebody else's file, with somebody else's faults."""
    try:
        return _own(path)
    except UserError:
        return None


def _pyproject(path: Path) -> ProjectFile | None:
    """pyproject.toml: a fault in it is ours if it may hold a table of ours."""
    try:
        text = _text(path)
    except UserError:
        return None
    if SECTION not in text:
        return None  # most of them, and they are not worth reading
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if f"tool.{SECTION}" not in text:
            return None
        raise UserError(f"{path}: is not TOML: {error}") from None
    tool = content.get("tool")
    ours = tool.get(SECTION, {}) if isinstance(tool, dict) else {}
    if not isinstance(ours, dict):
        raise Faults([Fault(str(path), f"tool.{SECTION}", ours, "a table of options")])
    tables = {"": {key: value for key, value in ours.items() if not isinstance(value, dict)}}
    tables |= {key: value for key, value in ours.items() if isinstance(value, dict)}
    file = ProjectFile(path, "tool.", {})
    sections = {
        command: {key: _written(value, file, command, key) for key, value in table.items()}
        for command, table in tables.items()
        if table
    }
    return ProjectFile(path, "tool.", sections)


def _written(value: Any, file: ProjectFile, command: str, key: str) -> str | list[str]:
    """A value of TOML as it would be typed."""
    if isinstance(value, list) and all(_plain(each) for each in value):
        return [_typed(each) for each in value]
    if not _plain(value):
        raise Faults([Fault(str(file.path), f"{file.title(command)} {key}", value, _KINDS)])
    return _typed(value)


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _typed(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# In the order in which they are looked at in a folder.
_READERS: dict[str, Callable[[Path], ProjectFile | None]] = {
    "qs.cfg": _own,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup,
}

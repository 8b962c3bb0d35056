"""The lines of a requirements.txt as pip reads them: comments, continuations, ${VARIABLES}, and
files named by -r and -c.

Lines are only read here. What they ask for is qs.environments.satisfied's part, and installing it
the installer's.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qs.base.addresses import public
from qs.base.errors import UserError
from qs.base.files import read_text

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")  # \s+ would take a square of the time
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")  # pip knows this spelling only
_INCLUDE = re.compile(
    r"(?:-(?P<short>[rc])\s*|--(?P<long>requirement|constraint)(?:\s*=\s*|\s+))(?P<file>\S.*)"
)
MAX_BYTES = 4 << 20
MAX_LINES, MAX_FILES, MAX_DEPTH = 20_000, 1000, 50  # with all that is included, however often
_LINE_OPTIONS = re.compile(r"\s--?[a-z]")  # --hash=sha256:..., --config-settings ...


@dataclass(frozen=True)
class Line:
    """One logical line. `text` is fit to be shown; `expanded` has the variables' values, and who
    may use a URL.
    """

    file: Path
    number: int
    text: str
    expanded: str
    constraint: bool = False

    @property
    def is_option(self) -> bool:
        return self.expanded.startswith("-")

    @property
    def requirement(self) -> str:
        """The line without options of its own."""
        return _LINE_OPTIONS.split(self.expanded, maxsplit=1)[0].strip()

    @property
    def has_options(self) -> bool:
        return self.requirement != self.expanded

    def __str__(self) -> str:
        return f"{self.file.name}, line {self.number}: {self.text}"


def read(path: Path) -> list[Line]:
    """All lines of a file, those of included files in their place; an include from the network
    stays a line, as an option.

    UserError where a file cannot be read, or includes itself.
    """
    found = list(itertools.islice(_lines(path, False, (), itertools.count(1)), MAX_LINES + 1))
    if len(found) > MAX_LINES:
        raise UserError(f"{path}: has more than {MAX_LINES:,} lines, with those that it includes")
    return found


def _lines(
    path: Path, constraint: bool, above: tuple[Path, ...], files: Iterator[int]
) -> Iterator[Line]:
    path = path.resolve()
    if next(files) > MAX_FILES or len(above) > MAX_DEPTH:
        raise UserError(
            f"{above[0]}: includes more than {MAX_FILES:,} files, or deeper than {MAX_DEPTH} levels"
        )
    if path in above:
        raise UserError(
            f"{above[-1]}: includes {path}, which includes it; remove one of the two lines"
        )
    for number, text in _logical(_content(path, above)):
        expanded = _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[0], text)
        include = _INCLUDE.fullmatch(expanded)
        name = _unquoted(include["file"]) if include else ""
        if include and "://" not in name:
            deeper = constraint or "c" in (include["short"], (include["long"] or "")[:1])
            yield from _lines(path.parent / name, deeper, (*above, path), files)
        else:
            yield Line(path, number, public(text), expanded, constraint)


def _content(path: Path, above: tuple[Path, ...]) -> str:
    try:
        return read_text(path, MAX_BYTES)
    except UserError as error:
        included = f" (included by {above[-1]})" if above else ""
        raise UserError(f"{path}{included}{str(error).removeprefix(str(path))}") from None


def _logical(content: str) -> Iterator[tuple[int, str]]:
    """(number of the first line, text) without comments and empty lines; a backslash at the end
    continues a line.
    """
    parts: list[str] = []
    first = 0
    for number, line in enumerate(content.splitlines(), start=1):
        if not parts:
            first = number
        comment = line.lstrip().startswith(
            "#"
        )  # ends a continued line even when it ends in a backslash
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        parts.append(" " + line if comment else line)
        text = _COMMENT.sub("", "".join(parts)).strip()
        parts = []
        if text:
            yield first, text
    text = _COMMENT.sub("", "".join(parts)).strip()
    if text:
        yield first, text


def _unquoted(name: str) -> str:
    try:
        return " ".join(shlex.split(name))
    except ValueError:  # a quote that is not closed: then it belongs to the name
        return name

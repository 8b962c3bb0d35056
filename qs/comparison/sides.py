"""The results that are compared, from saved files alone: a result JSON, or a report folder that
holds one.

Results in the history come in as a `Side` too. Whether results may be compared is judged elsewhere
(qs.comparison.unlike).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import orjson

from qs.base.errors import UserError
from qs.base.files import read_regular
from qs.result.beside import log_of, place_of
from qs.result.result import Result
from qs.result.row import Row
from qs.result.saved import MOST_BYTES, read_result

PATTERNS = ("result-*.json", "sweep-*.json")


@dataclass(frozen=True)
class Side:
    """One result."""

    # What it was called on the command line.
    name: str
    result: Result
    # The text of the log that a row names; None if there is none with this run's content.
    histogram: Callable[[str], str | None]
    # What a reader should know about how it was found.
    notes: tuple[str, ...] = ()
    # Where its file is, or was when it was recorded; its number in the history.
    path: Path | None = None
    entry: int | None = None

    @property
    def rows(self) -> list[Row]:
        return self.result.performance


def from_path(text: str, measured: bool = True) -> Side:
    """A result file, the folder of its report, or a folder of reports: of several results the
    newest, and a note says which. Raises UserError, also if nothing was measured and `measured`.
    """
    given = Path(text)
    path, notes = in_folder(given) if given.is_dir() else (given, ())
    result = read_result(path)
    if measured:
        check_measured(result, str(path))
    folder = path.absolute().parent
    return Side(text, result, partial(log_of, folder), notes, path)


def check_measured(result: Result, where: str) -> None:
    """Raises UserError if nothing was measured."""
    if not result.performance:
        raise UserError(f"{where}: holds no measured case ({result.status})")


def in_folder(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The newest result in a folder, a file of its own; a note names it if there are others beside
    it. Raises UserError if there is none.
    """
    for depth in (("",), ("*/", "*/*/")):  # or the folder of a backend, or of all reports
        found = [
            path
            for at in depth
            for pattern in PATTERNS
            for path in sorted(folder.glob(f"{at}{pattern}"))
            if place_of(folder, path.relative_to(folder).as_posix())
        ]
        if found:
            break
    if not found:
        raise UserError(f"{folder}: holds no result ({' or '.join(PATTERNS)})")
    if len(found) == 1:
        return found[0], ()
    newest = max(found, key=_started)
    return newest, (
        f"{folder} holds {len(found)} results; this is the newest, {newest.name}"
        if newest.parent == folder
        else f"{folder} holds {len(found)} results; this is the newest, {newest}",
    )


def _started(path: Path) -> tuple[float, str]:
    """When a result began, in seconds since 1970; one that does not say it is older than any."""
    try:
        plain = orjson.loads(read_regular(path, MOST_BYTES))
        began = datetime.fromisoformat(str(plain["Started"]).replace("Z", "+00:00"))
        return began.timestamp(), path.name
    except (UserError, ValueError, KeyError, TypeError, OverflowError, OSError):
        return float("-inf"), path.name

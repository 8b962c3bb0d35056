"""The results that are compared, from saved files alone: a result JSON, or a report folder that
holds one.

Results in the history come in as a `Side` too. Whether results may be compared is judged elsewhere
(qs.compare.unlike).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qs.base.errors import UserError
from qs.result.beside import log_of, place_of
from qs.result.result import Result
from qs.result.row import Row
from qs.result.saved import read_result

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

    @property
    def rows(self) -> list[Row]:
        return self.result.performance


def from_path(text: str) -> Side:
    """A result file, the folder of its report, or the folder of all reports if it holds only one.
    Raises UserError.
    """
    given = Path(text)
    path = in_folder(given) if given.is_dir() else given
    result = read_result(path)
    check_measured(result, str(path))
    folder = path.absolute().parent
    return Side(text, result, partial(log_of, folder))


def check_measured(result: Result, where: str) -> None:
    """Raises UserError if nothing was measured."""
    if not result.performance:
        raise UserError(f"{where}: holds no measured case ({result.status})")


def in_folder(folder: Path) -> Path:
    """The one result in a folder, a file of its own. Raises UserError for none, or several."""
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
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"{folder}: holds no result ({' or '.join(PATTERNS)})")
    raise UserError(
        f"{folder}: holds {len(found)} results, name one of them: {', '.join(map(str, found))}"
    )

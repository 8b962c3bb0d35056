"""A measured result as a Python object: short to print, a table and a curve in a notebook, a data
frame, a picture beside another.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.api.chart import Chart, percentiles
from qs.api.table import result_table
from qs.base.words import number
from qs.comparison.sides import Side
from qs.history.sides import side_of
from qs.result.row import Row
from qs.result.story import NamedCase, Story, story_of
from qs.result.tokens_words import tokens_said

if TYPE_CHECKING:
    import pandas

    from qs.evaluate.running import Ended

_SHOWN = 4  # cases that the short form names


class Result:
    """What a run measured.

    Attributes:
        folder: where its report lies; None if it left none
        error: what the user has to correct, though something was measured; empty if nothing
    """

    def __init__(self, side: Side, folder: Path | None = None, error: str = ""):
        self._side = side
        self.folder = folder
        self.error = error

    @classmethod
    def of_run(cls, ended: Ended) -> Result:
        """Of a run that has just ended."""
        from functools import partial

        from qs.result.beside import log_of

        folder = ended.folder.path.absolute() if ended.folder else None
        logs = partial(log_of, folder) if folder else _no_log
        side = Side(ended.record.task, ended.result, logs)
        wrong = [*([str(ended.error)] if ended.error else []), *ended.unwritten.values()]
        return cls(side, folder, "; ".join(wrong))

    @property
    def side(self) -> Side:
        """What `qs.comparison` takes."""
        return self._side

    @cached_property
    def story(self) -> Story:
        """The result in words, as every report tells it."""
        return story_of(self._side.result, self.folder)

    @property
    def rows(self) -> list[Row]:
        """Its cases, as the report's `Performance`: `row.items_per_s`, `row.p99_ms`, ..."""
        return self._side.rows

    @property
    def verdict(self) -> str:
        """VALID, INVALID, OVERLOADED or SLO NOT MET."""
        return str(self._side.result.verdict)

    @property
    def standing(self) -> str:
        """The verdict with what limits it: "VALID, 3 doubts"."""
        return self.story.standing

    @property
    def page(self) -> Path | None:
        """Its report.html, if it was drawn."""
        page = self.folder and self.folder / "report.html"
        return page if page and page.is_file() else None

    def to_dict(self) -> dict[str, Any]:
        """The result as its file has it."""
        return self._side.result.to_dict()

    def to_frame(self) -> pandas.DataFrame:
        """A row for each case; columns in snake case with their units, as `qs report --format csv`
        has them. Raises ImportError without pandas.
        """
        from qs.render.table import records, shown_kinds

        found = records(self._side.result)
        return frame(found, list(shown_kinds(found)))

    def plot(self, other: Result | None = None) -> Chart:
        """Response time by percentile, a line for each case; with another result, its lines too.
        In a notebook it shows itself; `save` writes it as .svg or .png. Raises qs.UserError if the
        latencies of no case were kept.
        """
        sides = [("", self)] if other is None else [("A: ", self), ("B: ", other)]
        return percentiles(
            [
                (NamedCase(f"{prefix}{case.name}", case.row), each._log)
                for prefix, each in sides
                for case in each.story.measured
            ]
        )

    def _log(self, row: Row) -> str | None:
        return self._side.histogram(row.histogram) if row.histogram else None

    def __repr__(self) -> str:
        said = [_short(case) for case in self.story.measured[:_SHOWN]]
        left = len(self.story.measured) - _SHOWN
        more = [f"and {left} more"] if left > 0 else []
        return f"<{self.story.title}: {self.standing}; {'; '.join([*said, *more]) or 'no case'}>"

    def _repr_html_(self) -> str:
        return result_table(self.story, self.plot)


def load_result(path: str | Path) -> Result:
    """A saved result: its JSON file, the folder of its report, or a run of the history (`@last`,
    `@-2`, `@12`, `@TAG`). Raises qs.UserError.
    """
    side = side_of(str(path))
    folder = side.path.absolute().parent if side.path and side.entry is None else None
    return Result(side, folder)


def frame(records: Any, columns: list[str]) -> pandas.DataFrame:
    """Records as a data frame. Raises ImportError without pandas."""
    try:
        import pandas
    except ImportError:
        raise ImportError(
            "to_frame() needs pandas: pip install pandas; to_dict() needs nothing"
        ) from None
    return pandas.DataFrame.from_records(records, columns=columns)


def _short(case: NamedCase) -> str:
    row = case.row
    said = f"{case.name}: {number(row.items_per_s)} items/s"
    known = [] if row.p99_ms is None else [f"p99 {number(row.p99_ms)} ms"]
    return ", ".join([said, *known, *tokens_said(row)])


def _no_log(_name: str) -> None:
    return None

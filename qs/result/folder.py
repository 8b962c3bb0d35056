"""Where the files of a result lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from qs.base.errors import UserError
from qs.base.files import read_regular
from qs.result.result import Kind, Status
from qs.result.saved import MOST_BYTES

ASIDE = ".before"  # a result of an earlier run, while this one has not said which it replaces


@dataclass(frozen=True)
class ReportFolder:
    """The files of one task on one backend, all in `<out>/<HARDWARE>/<model>/`. Runs of one model
    differ by the precision in their names.
    """

    path: Path
    precision: str
    kind: Kind = Kind.RUN

    @property
    def result(self) -> Path:
        return self.path / f"{self._kind}-{self.precision}.json"

    @property
    def compile_result(self) -> Path:
        return self.path / f"compile-{self.precision}.json"

    @property
    def answers(self) -> Path:
        return self.path / f"answers-{self.precision}.json"

    @property
    def page(self) -> Path:
        return self.path / ("sweep.html" if self.kind == Kind.SWEEP else "report.html")

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    def histogram(self, case: str) -> Path:
        return self.path / "latency" / f"{self._stem}-{case}.hlog"

    def forget_histograms(self) -> None:
        """Remove an earlier run's logs of this precision, lest one pass for this run's."""
        if (self.path / "latency").is_symlink():  # somebody's link to a folder of theirs
            (self.path / "latency").unlink(missing_ok=True)
        for old in (self.path / "latency").glob(f"{self._stem}-*.hlog"):
            old.unlink(missing_ok=True)

    def set_aside(self) -> None:
        """What earlier runs left that could pass for this one's: results until it is known which of
        them this run replaces, by its precision, and the page, which is drawn again at the end.
        """
        for old in self.path.glob(f"{self._kind}-*.json"):
            if _only_begun(old):
                old.unlink(missing_ok=True)
            else:
                old.rename(old.with_name(f"{old.name}{ASIDE}"))
        self.page.unlink(missing_ok=True)

    def bring_back(self, all_of_them: bool = False) -> None:
        """The results that this run does not replace, where they were before."""
        for old in self.path.glob(f"{self._kind}-*.json{ASIDE}"):
            place = old.with_name(old.name.removesuffix(ASIDE))
            if place.exists() or (place == self.result and not all_of_them):
                old.unlink(missing_ok=True)
            else:
                old.rename(place)

    @property
    def _kind(self) -> str:
        return self.kind if self.kind in (Kind.SWEEP, Kind.NUMERIC) else "result"

    @property
    def _stem(self) -> str:
        return f"sweep-{self.precision}" if self.kind == Kind.SWEEP else self.precision


def _only_begun(path: Path) -> bool:
    """Whether it is of a run that was killed before it had measured anything."""
    try:
        found = json.loads(read_regular(path, MOST_BYTES))
    except (UserError, ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    return found.get("Status") == Status.RUNNING and not found.get("Performance")

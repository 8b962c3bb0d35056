"""Where the files of a result lie.

A folder belongs to one model on one backend. Runs and load tests, sweeps, and comparisons with the
reference have names of their own in it, so that none replaces a file of another.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import read_regular
from qs.result.result import Kind, Status
from qs.result.saved import MOST_BYTES

ASIDE = ".before"  # a result of an earlier run, while this one has not said which it replaces
LOGS, NODES = "latency", "nodes"
_OF_OTHERS = re.compile(r"(?:^|\.)(sweep|numeric)[.-]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100  # characters of a node's name in the name of a file
_ITEM = re.compile(r"item-\d+-\w+\.npz")


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
        return self.path / f"compile{self._suffix}-{self.precision}.json"

    @property
    def answers(self) -> Path:
        return self.path / f"answers{self._suffix}-{self.precision}.json"

    @property
    def page(self) -> Path:
        return self.path / ("report.html" if self._kind == "result" else f"{self._kind}.html")

    @property
    def events(self) -> Path:
        return self.path / f"events{self._suffix}.jsonl"

    @property
    def log(self) -> Path:
        """What the backend prints."""
        return self.path / f"backend{self._suffix}.log"

    @property
    def trace(self) -> Path:
        return self.path / f"trace{self._suffix}.json"

    @property
    def differences(self) -> Path:
        """The picture of how the answers differ from the reference's."""
        return self.path / f"diff{self._suffix}-{self.precision}.png"

    def histogram(self, case: str) -> Path:
        return self.path / LOGS / f"{self._stem}-{case}.hlog"

    def node_log(self, node: str) -> Path:
        """What a node printed. Its name is its own: what is not plain in it is left out."""
        name = _UNSAFE.sub("-", node)[:_LONGEST].strip("-.") or "node"
        return self.path / NODES / f"{self._stem}-{name}.log"

    def results(self) -> list[Path]:
        """Those of this kind, of all precisions."""
        return sorted(self.path.glob(f"{self._kind}-*.json"))

    def histograms(self, of: Path) -> list[Path]:
        """The logs of one of these results."""
        precision = of.stem.removeprefix(f"{self._kind}-")
        stem = ReportFolder(self.path, precision, self.kind)._stem
        folder = self.path / LOGS
        return [] if folder.is_symlink() else sorted(folder.glob(f"{stem}-*.hlog"))

    def node_logs(self, of: Path) -> list[Path]:
        """What the nodes of one of these results printed."""
        precision = of.stem.removeprefix(f"{self._kind}-")
        stem = ReportFolder(self.path, precision, self.kind)._stem
        folder = self.path / NODES
        return [] if folder.is_symlink() else sorted(folder.glob(f"{stem}-*.log"))

    def has(self, name: str) -> bool:
        """Whether a file of that name belongs to this kind of result; what nobody knows is a
        run's.
        """
        found = _OF_OTHERS.search(name)
        kind = "numeric" if _ITEM.fullmatch(name) else found.group(1) if found else "result"
        return kind == self._kind

    def forget_histograms(self) -> None:
        """Remove an earlier run's logs of this precision, lest one pass for this run's."""
        for folder, suffix in ((LOGS, "hlog"), (NODES, "log")):
            if (self.path / folder).is_symlink():  # somebody's link to a folder of theirs
                (self.path / folder).unlink(missing_ok=True)
            for old in (self.path / folder).glob(f"{self._stem}-*.{suffix}"):
                old.unlink(missing_ok=True)

    def set_aside(self) -> None:
        """What earlier runs left that could pass for this one's: results until it is known which of
        them this run replaces, by its precision, and the page, which is drawn again at the end.
        """
        for old in self.results():
            if only_begun(old):
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
    def _suffix(self) -> str:
        return "" if self._kind == "result" else f".{self._kind}"

    @property
    def _stem(self) -> str:
        return f"sweep-{self.precision}" if self.kind == Kind.SWEEP else self.precision


def only_begun(path: Path) -> bool:
    """Whether it is of a run that was killed before it had measured anything."""
    found = plain(path)
    return found.get("Status") == Status.RUNNING and not found.get("Performance")


def plain(path: Path) -> dict[str, Any]:
    """What a result's file holds, unchecked; nothing if it is none."""
    try:
        found = json.loads(read_regular(path, MOST_BYTES))
    except (UserError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def page_of(result: Path) -> Path:
    """The page that is drawn of a result, by the name of its file."""
    kind = result.name.partition("-")[0]
    return result.with_name(f"{kind}.html" if kind in (Kind.SWEEP, Kind.NUMERIC) else "report.html")

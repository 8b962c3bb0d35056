"""Earlier runs of a report's folder, each whole in a folder of its own beside the newest, named
after the time it was started: `runs/2026-11-29T11-32-00Z/`. Links on its page work there.

The newest run stays at the published path. Before its first file is written, the one before is
kept: files that we replace by renaming get a second name (a copy, where the disk has no hard
links), all others are moved. The folder is called by its time when everything is in it, so that a
crash in between loses nothing: the next run goes on with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from qs.result.folder import ReportFolder, only_begun, plain

RUNS = "runs"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:-(\d+))?")
_BEGUN, _DOOMED = ".keeping-", ".removing-"
_MOST_ALIKE = 1000  # runs that were started in one second


@dataclass
class Keeping:
    """What was done to keep a run, to be undone if the new one cannot begin."""

    place: Path  # the folder of the kept run
    moved: list[tuple[Path, Path]] = field(default_factory=list)

    def undo(self) -> None:
        for there, here in reversed(self.moved):
            with contextlib.suppress(OSError):
                there.rename(here)
        shutil.rmtree(self.place, ignore_errors=True)


def keep(folder: ReportFolder) -> list[Keeping]:
    """Keep the runs whose results lie in the folder, the newest last; those that were killed before
    they had measured anything are left out. Raises OSError.
    """
    found = [(_stamp(path), path) for path in folder.results() if not only_begun(path)]
    kept: list[Keeping] = []
    for at, (stamp, result) in enumerate(sorted(found), start=1):
        place, there = _place(folder.path / RUNS, stamp, result)
        if not there:
            kept.append(_keep_one(folder, result, place, newest=at == len(found)))
    return kept


def kept_runs(folder: ReportFolder) -> list[Path]:
    """The folders of kept runs of this kind, oldest first."""
    runs = folder.path / RUNS
    if runs.is_symlink() or not runs.is_dir():
        return []
    return sorted(
        (
            each
            for each in runs.iterdir()
            if _STAMP.fullmatch(each.name) and not each.is_symlink()
            if ReportFolder(each, "", folder.kind).results()
        ),
        key=_order,
    )


def remove_oldest(folder: ReportFolder, most: int) -> int:
    """Remove kept runs of this kind until `most` are left; returns how many. Raises OSError."""
    runs = kept_runs(folder)
    old = runs[: max(len(runs) - most, 0)]
    for each in old:
        doomed = each.with_name(f"{_DOOMED}{each.name}")
        each.rename(doomed)
    for doomed in (folder.path / RUNS).glob(f"{_DOOMED}*"):  # also those of a crash before
        shutil.rmtree(doomed, ignore_errors=True)
    return len(old)


def now_at(path: Path, started: str) -> Path | None:
    """Where a result is that was written to `path` by the run that was started then: there, or with
    the kept runs beside; None if it is in neither place.
    """
    for place in (path, *_kept_files(path, started)):
        if plain(place).get("Started") == started:
            return place
    return None


def is_kept(path: Path) -> bool:
    """Whether a file lies in the folder of a kept run."""
    return path.parent.parent.name == RUNS and bool(_STAMP.fullmatch(path.parent.name))


def unfinished(path: Path) -> bool:
    """Whether a file is in a folder that is being filled or removed."""
    return path.parent.parent.name == RUNS and path.parent.name.startswith((_BEGUN, _DOOMED))


def _kept_files(path: Path, started: str) -> Iterator[Path]:
    stamp = _in_words(started)
    for number in range(1, _MOST_ALIKE):
        place = path.parent / RUNS / _numbered(stamp, number)
        if not place.is_dir():
            return
        yield place / path.name


def _keep_one(folder: ReportFolder, result: Path, place: Path, newest: bool) -> Keeping:
    begun = place.with_name(f"{_BEGUN}{place.name}")
    if place.parent.is_symlink():  # somebody's link to a folder of theirs
        place.parent.unlink()
    begun.mkdir(parents=True, exist_ok=True)
    keeping = Keeping(place)
    try:
        for file in _named_by_precision(folder, result):
            _give(file, begun / file.relative_to(folder.path))
        for file in _nameless(folder) if newest else ():
            target = begun / file.name
            file.rename(target)
            keeping.moved.append((target, file))
        begun.rename(place)
    except BaseException:
        Keeping(begun, keeping.moved).undo()
        raise
    keeping.moved = [(place / there.name, here) for there, here in keeping.moved]
    return keeping


def _named_by_precision(folder: ReportFolder, result: Path) -> Iterator[Path]:
    """The files of one result that another run replaces only if it has the same precision; all are
    replaced by renaming, never written through.
    """
    precision = result.stem.partition("-")[2]
    own = ReportFolder(folder.path, precision, folder.kind)
    of_sweep = (result.with_suffix(".jsonl"), result.with_name(f"{result.stem}-curve.png"))
    spread = own.differences.with_suffix(".json")
    others = (own.answers, own.compile_result, own.differences, spread, *of_sweep)
    for file in (*others, *folder.histograms(result), *folder.node_logs(result), result):
        if file.is_file() and not file.is_symlink():
            yield file


def _nameless(folder: ReportFolder) -> Iterator[Path]:
    """All others: pages, events, logs, pictures, and what data sets and users left here."""
    for file in sorted(folder.path.iterdir()):
        if file.is_symlink() or not file.is_file() or file.name.startswith("."):
            continue
        if folder.has(file.name) and not _PRECISE.match(file.name):
            yield file


_PRECISE = re.compile(
    r"(result|sweep|numeric|(answers|compile|diff)(\.numeric|\.sweep)?)-.*\.(jsonl?|png)"
)


def _give(file: Path, target: Path) -> None:
    """A second name for a file; a copy where the disk has none."""
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(file, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(file, target, follow_symlinks=False)


def _place(runs: Path, stamp: str, result: Path) -> tuple[Path, bool]:
    """Where a result is kept, and whether it is there already."""
    content = result.read_bytes()
    for number in range(1, _MOST_ALIKE):
        place = runs / _numbered(stamp, number)
        if not place.exists():
            return place, False
        with contextlib.suppress(OSError):
            if (place / result.name).read_bytes() == content:
                return place, True
    raise FileExistsError(f"{runs}: has {_MOST_ALIKE} runs of {stamp}")


def _stamp(result: Path) -> str:
    """When its run was started; when the file was written, if it does not say."""
    words = _in_words(plain(result).get("Started"))
    return words or _words(datetime.fromtimestamp(result.stat().st_mtime, timezone.utc))


def _in_words(started: object) -> str:
    try:
        moment = datetime.fromisoformat(str(started).replace("Z", "+00:00"))
        return _words(moment.astimezone(timezone.utc))
    except (ValueError, OverflowError, OSError):
        return ""


def _words(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H-%M-%SZ")


def _numbered(stamp: str, number: int) -> str:
    return stamp if number == 1 else f"{stamp}-{number}"


def _order(place: Path) -> tuple[str, int]:
    found = _STAMP.fullmatch(place.name)
    number = found.group(1) if found else None
    return place.name.partition("Z")[0], int(number or 1)

"""What a node tells of a run while it goes on, how much of it its driver wants, and both as plain
data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from qs.engine.conduct.lead import Moment, Snapshot
from qs.engine.conduct.progress import Progress
from qs.engine.distributed.results.checkpoints import (
    plain_checkpoint,
    plain_snapshot,
    snapshot_of,
)
from qs.engine.distributed.results.counts import MOST_COUNT, intervals_of
from qs.engine.hosts.messages import whole
from qs.engine.record.intervals import Interval


@dataclass(frozen=True)
class RunOptions:
    """What a driver wants of a node's run, besides its result."""

    keep_columns: bool = False
    keep_slices: bool = False
    progress: bool = True  # whether updates bring a Progress, which costs the run a little
    # how far apart updates are at least, and those that bring intervals and a snapshot
    update_s: float = 0.2
    checkpoint_s: float = 1.0


@dataclass(frozen=True)
class Update:
    """What has been measured on a node by a moment. All times are on its clock."""

    now_ns: int
    start_ns: int  # the common start, as it was told
    # when the last of its workers began, at the common start or late; 0: one has not yet
    began_ns: int
    told_ns: int  # when the word to start came in
    completed: int
    failed: int
    last_answer_ns: int  # 0 before the first
    phase: str = "measure"  # or drain, or reading
    # closed since the last update that had some, over all workers; None: not in this update
    intervals: tuple[Interval, ...] | None = None
    snapshot: Snapshot | None = None  # about once a second
    progress: Progress | None = None  # without its histogram


_COUNTS = ("now_ns", "start_ns", "began_ns", "told_ns", "completed", "failed", "last_answer_ns")
_PHASES = ("build", "warmup", "measure", "drain", "reading")


def plain_update(
    moment: Moment, told_ns: int, gathered: Iterable[tuple[int, Interval]] | None
) -> dict[str, Any]:
    """An update as plain data, with what was gathered and a snapshot, or without."""
    plain: dict[str, Any] = {
        name: told_ns if name == "told_ns" else int(getattr(moment, name)) for name in _COUNTS
    }
    plain["phase"] = moment.phase
    if moment.progress is not None:
        plain["progress"] = {
            name: value
            for name in ("phase", *_NUMBERS)
            if (value := getattr(moment.progress, name)) is not None
        }
    if gathered is not None:
        plain["intervals"] = plain_checkpoint(gathered)
        plain["snapshot"] = plain_snapshot(moment.snapshot())
    return plain


def update_of(plain: Any, most: int) -> Update:
    """What was told; no interval has a number above `most`. Raises ValueError, TypeError or
    KeyError for what makes no sense.
    """
    counts = {name: whole(plain[name]) for name in _COUNTS}
    intervals = snapshot = progress = None
    if "progress" in plain:
        progress = _progress_of(plain["progress"])
    if "intervals" in plain:
        intervals = tuple(intervals_of(plain["intervals"], most))
    if "snapshot" in plain:
        snapshot = snapshot_of(plain["snapshot"])
    phase = plain.get("phase", "measure")
    if phase not in _PHASES:
        raise ValueError(f"{phase!r:.40} for a phase")
    return Update(**counts, phase=phase, intervals=intervals, snapshot=snapshot, progress=progress)


# The numbers of a Progress.
_NUMBERS = tuple(
    each.name for each in fields(Progress) if each.name not in ("phase", "response", "nodes")
)
_FRACTIONS = ("elapsed_s", "queries_per_s", "now_per_s", "eta_s")


def _progress_of(plain: Any) -> Progress:
    found = dict(plain)
    if found.pop("phase") not in _PHASES or not set(found) <= set(_NUMBERS):
        raise ValueError("a progress of no kind")
    for name, value in found.items():
        if name not in _FRACTIONS:
            whole(value, MOST_COUNT)
        elif type(value) not in (int, float) or not 0 <= value < math.inf:
            raise ValueError(f"{value!r:.40} for a number from 0 up")
    return Progress(plain["phase"], **found)

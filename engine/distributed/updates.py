"""What a node tells of a run while it goes on, and how much of it its driver wants."""

from __future__ import annotations

from dataclasses import dataclass

from qs.engine.conduct.lead import Snapshot
from qs.engine.conduct.progress import Progress
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
    # closed since the last update that had some, over all workers; None: not in this update
    intervals: tuple[Interval, ...] | None = None
    snapshot: Snapshot | None = None  # about once a second
    progress: Progress | None = None  # without its histogram

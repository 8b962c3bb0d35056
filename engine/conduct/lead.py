"""What a run that is one part of several tells whoever leads them all, and is told by them.

The leader is elsewhere: in another process, often on another machine (qs.engine.distributed). A
conductor asks it when to start, and five times a second shows it what has been measured; what needs
the whole (stability, minimums, the error budget) is decided there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qs.engine.conduct.progress import Progress
from qs.engine.outcome import Ending
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval


@dataclass(frozen=True)
class Snapshot:
    """All that was measured up to a moment; what is left of a part that is lost afterwards."""

    now_ns: int  # on the run's clock
    start_ns: int
    completed: int
    errors_by_kind: dict[str, int]
    response: Histogram
    service: Histogram
    lateness: Histogram


@dataclass(frozen=True)
class Moment:
    """What a part shows its leader at a tick."""

    now_ns: int
    start_ns: int
    completed: int  # well, until now
    failed: int  # those that were dropped included
    last_answer_ns: int  # 0 before the first
    # the intervals (RunPlan.recorded_ns long) that its workers have closed since the last moment
    intervals: Sequence[tuple[int, Interval]]
    progress: Progress | None
    snapshot: Callable[[], Snapshot]  # costs some ms: call it about once a second


class Lead(Protocol):
    """One part's view of its leader. Nothing of it may block or raise."""

    async def start_ns(self) -> int:
        """Called when every worker of this part is ready: the common start, on this run's clock. It
        may lie a little in the past. An interrupt ends the wait.
        """
        ...

    def look(self, moment: Moment) -> Ending | None:
        """Called at every tick of the measured phase and its drain; what ends the phase now, if
        anything.
        """
        ...

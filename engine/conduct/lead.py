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
    # what failed is of the kind UNKNOWN, but for what was dropped or lost: workers tell the kinds
    # at their end
    errors_by_kind: dict[str, int]
    response: Histogram
    service: Histogram
    lateness: Histogram

    @property
    def elapsed_s(self) -> float:
        """When it was made, from the common start."""
        return max(self.now_ns - self.start_ns, 0) / 1e9

    @property
    def accounted(self) -> int:
        """How many requests it holds, good or failed."""
        return self.completed + sum(self.errors_by_kind.values())


@dataclass(frozen=True)
class Moment:
    """What a part shows its leader at a tick."""

    phase: str  # measure, drain or reading
    now_ns: int
    start_ns: int
    completed: int  # well, until now
    failed: int  # those that were dropped included
    last_answer_ns: int  # 0 before the first
    # when the last of its workers began, at the common start or late; 0: one has not yet
    began_ns: int
    # the intervals (RunPlan.recorded_ns long) that its workers have closed since the last moment
    intervals: Sequence[tuple[int, Interval]]
    progress: Progress | None  # if the lead asks for it
    snapshot: Callable[[], Snapshot]  # costs some ms: call it about once a second
    # whether the run has ended, and this has brought the rest of its intervals: those of all
    # moments together are those of the result
    last: bool = False


class Lead(Protocol):
    """One part's view of its leader. Nothing of it may block or raise."""

    # whether moments bring the progress, which costs the run's event loop a little
    progress: bool

    async def start_ns(self) -> int:
        """Called when every worker of this part is ready: the common start, on this run's clock. It
        may lie a little in the past. An interrupt ends the wait.
        """
        ...

    def look(self, moment: Moment) -> Ending | None:
        """Called at every tick from the common start to the end; what ends the phase now, if
        anything: MINIMUMS and STABLE let what is due by now be answered, any other stops at once.
        An INTERRUPT may follow another ending, and ends the reading of what was kept as well.
        """
        ...

"""What one trial at one rate showed: counts, response times as a whole and by interval, and what
was left undone when it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qs.engine import Histogram, IntervalRow, RunResult

# Caveats of the engine after which a rate that did not hold says more of the engine than of the
# target.
OURS = ("engine_bound", "loop_bound")
# Kinds of errors whose requests no interval counts as due.
NEVER_ENDED = ("not issued", "cut off")


@dataclass(frozen=True)
class Observation:
    """One trial of Poisson arrivals.

    rate_per_s   what was asked for; due_per_s what the arrivals that were drawn come to
    duration_s   how long requests fell due; wall_s until the last answer
    failed       requests that were due and not answered well, those that never had their turn among
                 them
    response     of the completed ones, from the due time
    intervals    the same in intervals of one length, by the time of completion; a twentieth of the
                 trial or shorter
    backlog      how many requests were due and not answered when the last one had fallen due
    valid        False where the trial says nothing of the target, for the `reasons`
    """

    rate_per_s: float
    duration_s: float
    wall_s: float
    completed: int
    failed: int
    response: Histogram
    intervals: Sequence[IntervalRow]
    backlog: int
    valid: bool = True
    reasons: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        return self.completed + self.failed

    @property
    def due_per_s(self) -> float:
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def answered_per_s(self) -> float:
        """What was answered per second while anything was: it follows the rate as long as the
        target keeps up.
        """
        return self.completed / self.wall_s if self.wall_s > 0 else 0.0

    @staticmethod
    def of(result: RunResult, rate_per_s: float, duration_s: float | None = None) -> Observation:
        """From the engine's result of a Poisson load. duration_s: of its plan; None takes the
        intervals in which requests fell due.
        """
        duration_s = _until_last_due_s(result) if duration_s is None else duration_s
        reasons = [str(caveat) for caveat in result.caveats if caveat.code in OURS]
        if result.interrupted:
            reasons.append("the trial was interrupted")
        if not result.completed + result.errors:
            reasons.append("no request fell due")
        return Observation(
            rate_per_s=rate_per_s,
            duration_s=duration_s,
            wall_s=result.wall_s,
            completed=result.completed,
            failed=result.errors,
            response=result.response,
            intervals=result.intervals,
            backlog=_backlog(result, duration_s),
            valid=not reasons,
            reasons=tuple(reasons),
        )


def _until_last_due_s(result: RunResult) -> float:
    """The end of the last interval in which something fell due; the whole run where a lost worker
    hides that.
    """
    before, end_s = 0, 0.0
    for row in result.intervals:
        if row.in_flight is None:
            return result.wall_s
        if row.in_flight + row.completed + row.errors > before:
            end_s = row.start_s + row.length_s
        before = row.in_flight
    return end_s


def _backlog(result: RunResult, duration_s: float) -> int:
    """What the intervals around the end of the schedule had in flight at most, and what never had
    its turn.
    """
    never = sum(result.errors_by_kind.get(kind, 0) for kind in NEVER_ENDED)
    ends = [(row.start_s + row.length_s, row.in_flight) for row in result.intervals]
    if any(in_flight is None for _, in_flight in ends):
        # A worker was lost, and with it what it knew of due times: what came back after the end was
        # in flight at it.
        return never + sum(row.completed for row in result.intervals if row.start_s >= duration_s)
    after = next(
        (at for at, (end_s, _) in enumerate(ends) if end_s >= duration_s * (1 - 1e-9)),
        len(ends) - 1,
    )
    return never + max(
        (in_flight or 0 for _, in_flight in ends[max(after - 1, 0) : after + 1]), default=0
    )

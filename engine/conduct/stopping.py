"""Rules that end the measured phase by what has been measured: minimums, stability, the error
budget.

The rules are pure: a few times a second the conductor tells them what has been seen. Limits that
are known beforehand (a duration, a number of requests) are not here; they cut the schedule itself.
The longer a run goes on until it is stable, the less often it is looked at (each time it has become
a tenth longer), because every look is another chance to stop at a lucky moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qs.engine.judging.rules import watched
from qs.engine.outcome import Ending
from qs.engine.plan import Stop
from qs.engine.statistics.budget import budget_spent
from qs.engine.statistics.estimate import Confidence, Estimate

_LONGER = 1.1
# A throughput of less time is not taken for known, however even it was.
_LEAST_KNOWN_S = 1.0
# How long to wait, after the minimum duration, for an answer that comes later: there may be none.
_LAST_ANSWER_S = 1.0


@dataclass(frozen=True)
class Seen:
    """What a run has shown so far."""

    elapsed_s: float
    answered_s: float  # when the last request was completed
    completed: int
    failed: int


class StopRules:
    """Remembers when it last looked for stability, and what it then found."""

    def __init__(self, stop: Stop):
        self._stop = stop
        self._next_look_s = _LEAST_KNOWN_S if stop.until_known is not None else 0.0
        self.reached: Confidence | None = None

    def ended_by(self, seen: Seen, confidence: Callable[[], Confidence]) -> Ending | None:
        """The rule that ends the run now, or None. `confidence` is called only if the run is to be
        stable and it is time to look.
        """
        stop = self._stop
        if budget_spent(stop, seen.completed, seen.failed):
            return Ending.ERROR_BUDGET
        aims = stop.until_stable is not None or stop.until_known is not None
        if stop.min_duration_s is None and stop.min_queries is None and not aims:
            return None
        if not self._minimums(seen):
            return None
        if not aims:
            return Ending.MINIMUMS
        if seen.elapsed_s < self._next_look_s:
            return None
        self._next_look_s = seen.elapsed_s * _LONGER
        found = confidence()
        if not all(
            estimate.relative is not None and estimate.relative <= most
            for most, estimate in _aimed_at(stop, found)
        ):
            return None
        self.reached = found
        return Ending.STABLE

    def _minimums(self, seen: Seen) -> bool:
        least_s = self._stop.min_duration_s or 0.0
        # A result's duration ends with its last answer, so that answer must come after the minimum
        # as well.
        long_enough = seen.answered_s >= least_s or seen.elapsed_s >= least_s + _LAST_ANSWER_S
        return (
            seen.elapsed_s >= least_s
            and long_enough
            and self._counted(seen) >= (self._stop.min_queries or 0)
        )

    def _counted(self, seen: Seen) -> int:
        """Queries that count towards the minimum. Without an error budget a failed one has made the
        result INVALID, so it counts: a target that is dead would otherwise be called for ever. With
        a budget, that ends such a run.
        """
        budget = self._stop.max_errors, self._stop.max_error_rate
        return seen.completed + (seen.failed if budget == (None, None) else 0)


def _aimed_at(stop: Stop, found: Confidence) -> Iterator[tuple[float, Estimate]]:
    """How narrow which intervals are to be, as shares."""
    if stop.until_stable is not None:
        yield from ((stop.until_stable, estimate) for estimate in watched(stop, found))
    if stop.until_known is not None:
        yield stop.until_known, found.throughput

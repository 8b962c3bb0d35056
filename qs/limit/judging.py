"""Does a goal hold? A test on counted requests that does not take noise for an answer, and does not
treat requests that queue together as independent.

A percentile's bound is a statement about a share: p99 <= 50 ms holds when at most 1 % of the
requests take longer. The share is tested as a binomial one, with the number of requests first
reduced for their crowding: long waits in a queue come together, so a thousand requests may say no
more than a hundred independent ones (qs.engine.statistics.crowding has the sources). A trial in
which hardly anything missed the bound shows nothing of the crowding, so before a goal is said to
hold we look at the response times themselves: in queues, the variance of their batch means relative
to independent requests is about as large as that of the share over a bound near p99 (computed for
M/D/1, M/D/2 and M/D/4 at loads of 14 to 94 %: they differ by at most a quarter, up to 90 %). The
larger one counts.

Batches are intervals of a trial. A mean is tested by Student's t over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qs.engine.statistics import (
    at_least,
    at_most,
    crowding_of,
    effective,
    regularized_beta,
    share_interval,
    spread_of,
    student,
)
from qs.limit.counts import BatchCounts, Waits, crowding
from qs.limit.goals import ERRORS, GOODPUT, Goal

HOLDS, FAILS, UNCLEAR = "holds", "fails", "unclear"


@dataclass(frozen=True)
class Judgement:
    """One goal at one rate, or over several."""

    goal: Goal
    requests: int
    # The share that missed the bound; for a mean, the mean as recorded (ns). None if nothing was
    # seen.
    value: float | None
    # How many independent requests would say as much; for a mean, the number of batches.
    effective: float
    # How likely a result this good is if the goal just fails ...
    by_chance_holds: float
    # ... and one this bad if it just holds.
    by_chance_fails: float
    # Standard error of the value; for a share, taken at the value itself.
    error: float

    def verdict(self, confidence: float) -> str:
        if self.value is None:
            return UNCLEAR
        if self.by_chance_fails <= 1.0 - confidence:
            return FAILS
        return HOLDS if self.by_chance_holds <= 1.0 - confidence else UNCLEAR

    @property
    def allowed(self) -> float:
        """The highest value at which the goal holds; of the mean of a measure of which more is
        better, the lowest.
        """
        return float(self.goal.allowed or 0) if self.goal.share is None else self.goal.share

    @property
    def met(self) -> bool:
        """Whether it holds as measured, without regard to chance."""
        if self.value is None:
            return False
        least = self.goal.share is None and self.goal.at_least
        return self.value >= self.allowed if least else self.value <= self.allowed

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Where the true value lies, at this confidence for each of the two ends."""
        if self.value is None or math.isinf(self.error):
            return None
        risk = 1.0 - confidence
        if self.goal.share is None:
            reach = student(2 * confidence - 1, max(round(self.effective) - 1, 1)) * self.error
            return max(self.value - reach, 0.0), self.value + reach
        return share_interval(self.value, self.effective, risk)


def judge(
    goal: Goal, rates: Sequence[Sequence[tuple[BatchCounts, Waits]]], confidence: float
) -> Judgement:
    """All the trials given, together; there is one sequence for each rate."""
    tallies = [[counts for counts, _ in of_rate] for of_rate in rates]
    requests = float(sum(counts.requests.sum() for of_rate in tallies for counts in of_rate))
    missed = float(sum(counts.missed.sum() for of_rate in tallies for counts in of_rate))
    if requests <= 0:
        return Judgement(goal, 0, None, 0.0, 1.0, 1.0, math.inf)
    value = missed / requests
    if goal.share == 0:
        # No test can show that nothing ever fails: what was seen is all there is to say.
        return Judgement(
            goal, int(requests), value, requests, float(missed > 0), float(missed == 0), 0.0
        )
    spread = spread_of(
        [[(counts.missed, counts.requests) for counts in of_rate] for of_rate in tallies]
    )
    if goal.share is None:
        return _judge_mean(goal, int(requests), value, spread.variance, spread.batches)
    two_sided = 2 * confidence - 1
    shown = effective(requests, crowding_of(spread, requests, value), spread.batches, two_sided)
    worth = shown
    if goal.name != ERRORS:
        waits = [waits for of_rate in rates for _, waits in of_rate]
        worth = min(
            shown,
            effective(
                requests, *crowding(waits, 1.0 if goal.name == GOODPUT else goal.allowed), two_sided
            ),
        )
    return Judgement(
        goal,
        int(requests),
        value,
        worth,
        at_most(value * worth, worth, goal.share),
        at_least(value * shown, shown, goal.share),
        math.sqrt(max(value * (1 - value), 1e-12) / worth),
    )


def _judge_mean(
    goal: Goal, requests: int, value: float, variance: float, batches: int
) -> Judgement:
    if batches < 2:
        return Judgement(goal, requests, value, batches, 1.0, 1.0, math.inf)
    error = math.sqrt(variance) / requests
    distance = float(goal.allowed or 0) - value
    if goal.at_least:
        distance = -distance
    if error == 0.0:
        below = 0.0 if distance >= 0 else 1.0
    else:
        degrees, t = batches - 1, distance / error
        tail = 0.5 * regularized_beta(degrees / (degrees + t * t), degrees / 2, 0.5)
        below = tail if distance >= 0 else 1.0 - tail
    return Judgement(goal, requests, value, batches, below, 1.0 - below, error)

"""Where the percentiles of users cross their bounds. In closed loop everybody waits for everybody
else, so times grow about in proportion to the users: a few trials tell where a percentile reaches
its bound long before any request is over it. That guides a search over users, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qs.engine import Histogram
from qs.engine.statistics import at_most
from qs.limit.evidence import TrialEvidence
from qs.limit.goals import ERRORS, GOODPUT, Goal
from qs.limit.line import EdgeLine, bounds_of
from qs.limit.settings import Ladder

# A bracket this narrow is known well enough to be confirmed below.
NARROW = 1.06
# Where nothing was over a bound yet: so far beyond the likely crossing, and at most so many times
# the users seen.
BEYOND, FURTHER = 1.03, 2.0
# How far times may miss the proportion.
CLEAR = 0.02


@dataclass(frozen=True)
class Crossing:
    """The most users whose percentiles kept all bounds as measured, below the fewest whose did not;
    None: there is none yet. `likely` lies between, or beyond the only one there is.
    """

    kept: float | None
    missed: float | None
    likely: float

    @property
    def known(self) -> bool:
        """Whether there is no other number of users between, or none worth a trial."""
        if self.kept is None or self.missed is None:
            return False
        return self.missed - self.kept <= 1 or self.missed / self.kept <= NARROW

    def next_look(self, ladder: Ladder) -> float | None:
        """The number of users to try next; None if there is no other, or it is known."""
        if self.known:
            return None
        if self.missed is None:
            kept = self.kept or ladder.start
            rate = min(max(self.likely * BEYOND, kept + 1), kept * FURTHER, ladder.highest)
            return ladder.rung(rate) if ladder.rung(rate) > kept else None
        if self.kept is None:
            rate = ladder.rung(max(min(self.likely, self.missed - 1), self.missed / FURTHER))
            return rate if rate < self.missed else None
        gap = self.missed / self.kept
        rate = min(max(self.likely, self.kept * gap**0.2), self.kept * gap**0.8)
        return min(max(ladder.rung(rate), self.kept + 1), self.missed - 1)


def crossing_of(evidence: TrialEvidence) -> Crossing | None:
    """None if a bound is not on how many requests take how long, or nothing was measured."""
    timed = [goal for goal in evidence.goals if goal.name != ERRORS]
    if not timed or any(
        not goal.share or (goal.at_least and goal.name != GOODPUT) for goal in timed
    ):
        return None
    seen = [
        (rate, excess)
        for rate in evidence.rates
        if (excess := _excess(evidence, timed, rate)) is not None
    ]
    above = next((each for each in seen if each[1] > 0), None)
    below = [each for each in seen if each[1] <= 0 and (above is None or each[0] < above[0])]
    if not below or above is None:
        nearest = above or (below[-1] if below else None)
        if nearest is None:
            return None
        likely = nearest[0] * math.exp(-nearest[1])
    else:
        (kept, under), (missed, over) = below[-1], above
        likely = kept * (missed / kept) ** (-under / (over - under))
    return Crossing(below[-1][0] if below else None, above[0] if above else None, likely)


def _excess(evidence: TrialEvidence, goals: Sequence[Goal], rate: float) -> float | None:
    """The logarithm of a percentile over its bound, of the goal that is nearest to it or furthest
    over it.
    """
    if evidence.overrun(rate):
        return math.log(FURTHER)  # what was answered says little of those that were not
    found = []
    for goal in goals:
        for measure, bound in bounds_of(evidence, goal, rate).items():
            values = evidence.values(rate, measure)
            if not values.count or not bound:
                return None
            kept = values.percentile_ns(100.0 * (1.0 - (goal.share or 0.0)))
            found.append(math.log(max(kept, 1) / bound))
    return max(found, default=None)


def promised(
    evidence: TrialEvidence,
    fresh: TrialEvidence,
    lines: Sequence[EdgeLine],
    users: float,
    seconds: float,
    prudence: float,
) -> bool:
    """Whether this many more seconds are likely to show that so many users keep all bounds, if
    times go with the users: those of the nearest number that was measured, in proportion.

    evidence  all trials
    fresh     those that count, with the confidence to be reached
    lines     of which only what a second is worth is taken
    """
    if seconds <= 0.0:
        return False  # no time is left to show it in
    nearest = min(evidence.rates, key=lambda rate: abs(math.log(rate / users)))
    for line in lines:
        goal = line.goal
        if not goal.share or goal.name == ERRORS:
            continue
        shrunk = nearest / users / (1 + CLEAR)
        share = sum(
            _share_over(evidence.values(nearest, measure), bound * shrunk)
            for measure, bound in bounds_of(evidence, goal, nearest).items()
        )
        to_come = line.worth_per_s * seconds
        over = to_come * min(share, 1.0)
        over += max(prudence, 0.0) * math.sqrt(over)
        if fresh.at(users):
            own = fresh.judgement(goal, users)
            to_come += own.effective
            over += own.effective * (own.value or 0.0)
        if at_most(over, to_come, goal.share) > 1.0 - fresh.confidence:
            return False
    return True


def _share_over(values: Histogram, bound_ns: float) -> float:
    index = np.flatnonzero(values.counts)
    over = values.counts[index][Histogram.tops_ns(index) > bound_ns].sum()
    return float(over) / values.count if values.count else 1.0

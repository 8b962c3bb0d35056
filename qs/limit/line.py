"""Where the limit is likely to lie: straight lines through what was seen near it. They guide the
search and decide nothing.

For each goal, a line is fitted to the logarithm of the share over the bound (or of the mean)
against that of the rate. If hardly any request was over the bound, the share is read off the tail
of the others: waits in a queue have an exponential tail (J. F. C. Kingman, "Inequalities in the
theory of queues", Journal of the Royal Statistical Society B 32, 1970).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from qs.engine import Histogram
from qs.engine.statistics import at_most
from qs.limit.evidence import TrialEvidence
from qs.limit.goals import ERRORS, GOODPUT, Goal, more_is_better

# Excess within which a line stands in for the curve: from a thirtieth of the bound's share to ten
# times it.
NEAR = (-3.4, 2.3)
# Rates further than this from the one nearest to the edge say nothing about the line there.
AROUND = 1.6
# What lies beyond the line is put at its end with this uncertainty; FAR is anything further off.
VAGUE, FAR = 0.5, 10.0
# With independent arrivals, a tenth more load makes the share over a bound grow by at least a fifth
# (one server, few waits) and at most a hundredfold; a line without a slope of its own gets one in
# between.
FLATTEST, STEEPEST, USUAL, USUAL_ERROR = 1.0, 60.0, 8.0, 6.0
# How far a line may miss the curve: an error of this much, and of this share of the distance from
# the edge.
BENT, BENDING = 0.1, 0.3
# A verdict is expected if it would still come out at a value this many standard errors worse than
# the line says: three times in four.
PRUDENCE = 0.7
# Fewer effective requests than this over a bound are read off the tail instead.
SEEN = 4.0


@dataclass(frozen=True)
class EdgeLine:
    """One goal's excess (0: it just holds) against the logarithm of the rate."""

    goal: Goal
    centre: float
    level: float
    slope: float
    level_error: float
    slope_error: float
    # What a second of trial is worth: effective requests; for a mean, one over the square of its
    # relative error.
    worth_per_s: float

    def excess(self, rate: float) -> float:
        return self.level + self.slope * (math.log(rate) - self.centre)

    def error(self, rate: float) -> float:
        """Standard error of the excess at a rate."""
        return math.hypot(self.level_error, self.slope_error * (math.log(rate) - self.centre))

    @property
    def edge_error(self) -> float:
        """Standard error of the rate at which the goal just holds, as a share of it."""
        return self.error(self.rate_at(0.0)) / self.slope

    def rate_at(self, excess: float) -> float:
        return math.exp(self.centre + (excess - self.level) / self.slope)


def lines_of(evidence: TrialEvidence) -> list[EdgeLine]:
    """For the goals that a line can be fitted for."""
    fitted = (line_of(evidence, goal) for goal in evidence.goals if goal.share != 0)
    return [line for line in fitted if line is not None]


def line_of(evidence: TrialEvidence, goal: Goal) -> EdgeLine | None:
    near = _near(evidence, goal)
    if not near:
        return None
    rates, excesses, errors = (np.array(column, np.float64) for column in zip(*near))
    x = np.log(rates)
    weights = 1.0 / (errors**2 + BENT**2 + (BENDING * excesses) ** 2)
    centre = float(np.average(x, weights=weights))
    level = float(np.average(excesses, weights=weights))
    # Weighted least squares, with the usual slope as one more observation.
    prior = 1.0 / USUAL_ERROR**2
    x -= centre
    known = float((weights * x**2).sum()) + prior
    slope = (float((weights * x * (excesses - level)).sum()) + prior * USUAL) / known
    seconds = sum(trial.measured_s for rate in rates.tolist() for trial in evidence.at(rate))
    judged = [evidence.judgement(goal, rate) for rate in rates.tolist()]
    if goal.share is None:
        worth = sum(
            (each.value or 0.0) ** 2 / each.error**2 for each in judged if 0 < each.error < math.inf
        )
    else:
        worth = sum(each.effective for each in judged)
    return EdgeLine(
        goal,
        centre,
        level,
        slope=min(max(slope, FLATTEST), STEEPEST),
        level_error=1.0 / math.sqrt(float(weights.sum())),
        slope_error=1.0 / math.sqrt(known),
        worth_per_s=max(worth, 1e-9) / seconds,
    )


def promises(
    evidence: TrialEvidence,
    lines: list[EdgeLine],
    rate: float,
    seconds: float,
    prudence: float = PRUDENCE,
) -> bool:
    """Whether this many more seconds at a rate are likely to show that all goals hold there."""
    return all(_promises(evidence, line, rate, seconds, prudence) for line in lines)


def _promises(
    evidence: TrialEvidence, line: EdgeLine, rate: float, seconds: float, prudence: float
) -> bool:
    goal, excess = line.goal, line.excess(rate)
    if seconds <= 0.0:
        return False  # no time is left to show it in
    if goal.share is None:
        error = math.hypot(1.0 / math.sqrt(line.worth_per_s * seconds), line.error(rate))
        return (
            excess
            + NormalDist().inv_cdf(evidence.confidence) / math.sqrt(line.worth_per_s * seconds)
            + prudence * error
            <= 0
        )
    to_come = line.worth_per_s * seconds
    over = to_come * min(goal.share * math.exp(excess), 1.0)
    over += prudence * math.hypot(math.sqrt(over), over * line.error(rate) if prudence > 0 else 0.0)
    if evidence.at(rate):
        own = evidence.judgement(goal, rate)
        to_come += own.effective
        over += own.effective * (own.value or 0.0)
    return at_most(over, to_come, goal.share) <= 1.0 - evidence.confidence


def _near(evidence: TrialEvidence, goal: Goal) -> list[tuple[float, float, float]]:
    """Rate, excess and its error of the points that a line is fitted to: those around the rate
    nearest to the edge. Of those too far over or under the bound, only the nearest on each side, no
    further than a line reaches.
    """
    seen = [(rate, *excess_of(evidence, goal, rate)) for rate in evidence.rates]
    known = [each for each in seen if each[2] < FAR]
    nearest = min(known, key=lambda each: abs(each[1]), default=(0.0, 0.0, 0.0))[0]
    around = [each for each in known if nearest / AROUND <= each[0] <= nearest * AROUND]
    low, high = NEAR
    below = [(rate, low, max(error, VAGUE)) for rate, excess, error in around if excess < low][-1:]
    above = [(rate, high, max(error, VAGUE)) for rate, excess, error in around if excess > high][:1]
    return below + [each for each in around if low <= each[1] <= high] + above


def excess_of(evidence: TrialEvidence, goal: Goal, rate: float) -> tuple[float, float]:
    """How far a rate is from the goal's edge, as a logarithm that is 0 at the edge, and its
    standard error; FAR means nothing is known.
    """
    if evidence.overrun(rate):
        # A target that falls behind makes requests wait; it counts against a bound on failures only
        # if nothing else is bounded.
        timed = goal.name != ERRORS or all(other.name == ERRORS for other in evidence.goals)
        return (FAR, VAGUE) if timed else (-FAR, FAR)
    judged = evidence.judgement(goal, rate)
    if judged.value is None:
        return -FAR, FAR
    if goal.share is None:
        excess = math.log(max(judged.value, 1.0) / judged.allowed)
        error = min(judged.error / max(judged.value, 1.0), FAR)
        return (-excess if goal.at_least else excess), error
    seen = judged.value * judged.effective
    if goal.allowed is None and not seen:
        return -FAR, FAR  # as long as nothing fails, nobody knows when something will
    if not goal.share:
        return FAR, VAGUE
    timed = goal.name == GOODPUT or goal.allowed is not None and not goal.at_least
    if timed and seen < SEEN:
        tails = [
            tail
            for measure, bound in bounds_of(evidence, goal, rate).items()
            if (tail := _by_tail(evidence.values(rate, measure), goal, bound, judged.effective))
        ]
        tail = max(tails, default=None)
        if tail is not None:
            return tail
        if not seen:
            return -FAR, FAR  # nothing waits: the limit is not near, and nobody knows how far
    return math.log((seen + 0.5) / (judged.effective + 1.0) / judged.allowed), 1.0 / math.sqrt(
        seen + 0.5
    )


def bounds_of(evidence: TrialEvidence, goal: Goal, rate: float) -> dict[str, int]:
    """The measures whose tails tell of a goal, with their bounds."""
    if goal.name != GOODPUT:
        return {goal.measure: goal.allowed or 0}
    found = evidence.at(rate)[0].bounds
    return {name: bound for name, bound in found.items() if not more_is_better(name)}


def _by_tail(
    values: Histogram, goal: Goal, bound: int, effective: float
) -> tuple[float, float] | None:
    """The share over a bound by an exponential tail, drawn through the response times that a larger
    and a smaller share of the requests exceed.
    """
    if not values.count or goal.share is None:
        return None
    few = max(goal.share, SEEN / max(effective, 1.0))
    many = min(10 * few, 0.5)
    if few >= 0.4:
        return None
    reached, begun = (values.percentile_ns(100 * (1 - share)) for share in (few, many))
    if reached <= begun:
        return None
    share = math.log(few) - (bound - reached) * math.log(many / few) / (reached - begun)
    return max(min(share, 0.0) - math.log(goal.share), -FAR), 1.5 / math.sqrt(effective * few)

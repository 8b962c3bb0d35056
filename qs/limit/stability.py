"""Whether a target is the same throughout a search. One that is fast in one trial and slow in the
next at the same load has no limit that a search could find, and nobody should be told one without
being told that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from qs.base.words import number, percent
from qs.engine.statistics import share_interval
from qs.limit.evidence import TrialEvidence
from qs.limit.goals import Goal
from qs.limit.trial import Trial, load_words

# How likely it is that a search calls a target unstable that is none: shared out among all pairs of
# trials (C. E. Bonferroni's inequality).
RISK = 0.01


def unstable(evidence: TrialEvidence, over: str) -> str:
    """What shows that the target changed between two trials at the same load, by more than chance:
    the pair that differs most, in words; empty if none does.
    """
    pairs = list(_pairs(evidence))
    found: tuple[float, str] = (0.0, "")
    for goal, one, other in pairs:
        gap, words = _apart(evidence, goal, one, other, RISK / len(pairs), over)
        found = max(found, (gap, words))
    return found[1]


def _pairs(evidence: TrialEvidence) -> Iterator[tuple[Goal, Trial, Trial]]:
    for goal in evidence.goals:
        if not goal.share:  # a mean, or nothing may fail
            continue
        for rate in evidence.rates:
            for one, other in combinations(evidence.at(rate), 2):
                yield goal, one, other


def _apart(
    evidence: TrialEvidence, goal: Goal, one: Trial, other: Trial, risk: float, over: str
) -> tuple[float, str]:
    """How far the intervals of the two shares that missed the goal are apart, if one holds the goal
    and the other does not; 0.0 if they overlap.
    """
    seen = [
        TrialEvidence(evidence.goals, evidence.confidence, [trial]).judgement(
            goal, trial.rate_per_s
        )
        for trial in (one, other)
    ]
    shares = [(each.value, each.effective) for each in seen]
    if any(value is None for value, _ in shares):
        return 0.0, ""
    (low, high) = sorted(
        ((value or 0.0, worth, trial) for (value, worth), trial in zip(shares, (one, other))),
        key=lambda each: each[0],
    )
    allowed = goal.share or 0.0
    if not low[0] <= allowed < high[0]:
        return 0.0, ""
    at_least = share_interval(high[0], high[1], risk / 2)[0]
    gap = at_least - share_interval(low[0], low[1], risk / 2)[1]
    if gap <= 0.0:
        return 0.0, ""
    load = load_words(over, one.rate_per_s)
    missed = "failed" if goal.allowed is None else "missed it"
    return gap, (
        f"at {load} {goal} held in trial {number(low[2].number + 1)}, where {percent(low[0])} "
        f"{missed}, and not in trial {number(high[2].number + 1)}, where {percent(high[0])} did: "
        "the target or the machine changes over time, and a limit is one of its moments"
    )

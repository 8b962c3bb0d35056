"""Whether a target is the same throughout a search. One that is fast in one trial and slow in the
next at the same load has no limit that a search could find, and nobody should be told one without
being told that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qs.base.words import percent
from qs.engine.statistics import share_interval
from qs.limit.evidence import TrialEvidence
from qs.limit.goals import Goal
from qs.limit.trial import Trial
from qs.limit.trial_plan import load_words

# How likely it is that a search calls a target unstable that is none: shared out among all pairs of
# trials (C. E. Bonferroni's inequality).
RISK = 0.01


@dataclass(frozen=True)
class _Seen:
    """One goal in one trial: the share that missed it, and how many requests that is worth."""

    trial: Trial
    share: float
    worth: float


def unstable(evidence: TrialEvidence, over: str) -> str:
    """What shows that the target changed between two trials, by more than chance: one kept a bound,
    and the other did not at no more load. The pair that differs most, in words; empty if none does.
    """
    shared = [goal for goal in evidence.goals if goal.share]  # of a mean, no share tells
    pairs = [(goal, *pair) for goal in shared for pair in _pairs(goal, evidence)]
    found: tuple[float, str] = (0.0, "")
    for goal, held, failed in pairs:
        gap = _gap(held, failed, RISK / len(pairs))
        if gap > found[0]:
            found = gap, _said(goal, held, failed, over)
    return found[1]


def _pairs(goal: Goal, evidence: TrialEvidence) -> Iterator[tuple[_Seen, _Seen]]:
    """Trials that held a goal, each with those that did not at no more load."""
    seen = list(_seen(goal, evidence))
    for held in seen:
        for failed in seen:
            if (
                failed.trial.rate_per_s <= held.trial.rate_per_s
                and held.share <= (goal.share or 0.0) < failed.share
            ):
                yield held, failed


def _seen(goal: Goal, evidence: TrialEvidence) -> Iterator[_Seen]:
    trials: Sequence[Trial] = [trial for trial in evidence.trials if trial.valid]
    for trial in trials:
        alone = TrialEvidence(evidence.goals, evidence.confidence, [trial])
        judged = alone.judgement(goal, trial.rate_per_s)
        if judged.value is not None:
            yield _Seen(trial, judged.value, judged.effective)


def _gap(held: _Seen, failed: _Seen, risk: float) -> float:
    """How far the intervals of the two shares are apart; below 0 if they overlap."""
    least = share_interval(failed.share, failed.worth, risk / 2)[0]
    return least - share_interval(held.share, held.worth, risk / 2)[1]


def _said(goal: Goal, held: _Seen, failed: _Seen, over: str) -> str:
    missed = "failed" if goal.allowed is None else "missed it"
    high, low = (load_words(over, each.trial.rate_per_s) for each in (held, failed))
    there = "at the same load" if high == low else f"at {low}"
    return (
        f"at {high} {goal} held in trial {held.trial.number + 1}, where {percent(held.share)} "
        f"{missed}, and {there} not in trial {failed.trial.number + 1}, where "
        f"{percent(failed.share)} did: the target or the machine changes over time, and a limit is "
        "one of its moments"
    )

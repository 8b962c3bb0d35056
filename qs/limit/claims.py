"""What a search may say in the end: which rate holds, and how surely.

The trials that a rate was picked by are no evidence for it: the best of several rates is likely to
be one that was lucky. So a claim is tested on confirming trials alone, whose arrivals nothing was
chosen by; and there may be several of them, each another chance to be lucky. The risk of the whole
search is therefore shared out among the looks that do not succeed (C. E. Bonferroni's inequality).
A look that succeeds costs nothing, and a higher rate may be tried at the same risk: a claim is
wrong only if the rate is above the limit, and so are all that are tried after it (the closed test
of ordered hypotheses; W. Maurer, L. A. Hothorn and W. Lehmacher, "Multiple comparisons in drug
clinical trials and preclinical assays: a-priori ordered hypotheses", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qs.limit.evidence import TrialEvidence
from qs.limit.goals import Goal
from qs.limit.trial import Trial
from qs.limit.trial_plan import CONFIRM

# The parts of the risk that the first, second ... look without success may use up.
SHARES = (0.5, 0.3, 0.2)
# A rate is not said to hold with less confidence than this.
EVEN = 0.5


@dataclass(frozen=True)
class Look:
    """All confirming trials at one rate, when they were tested."""

    rate_per_s: float
    # 1 minus the probability of a search that ends so well if the goals just fail at the rate, at
    # most the confidence that was asked for.
    confidence: float
    # Whether it is the confidence that was asked for.
    success: bool
    # Whether every goal held as measured, without regard to chance.
    met: bool


class Claims:
    """The looks that a search has had at its confirming trials."""

    def __init__(self, goals: Sequence[Goal], confidence: float):
        self._goals = tuple(goals)
        self._confidence = confidence
        self._looks: list[Look] = []

    @property
    def _share(self) -> float:
        """Of the risk, for the next look."""
        failed = sum(not look.success for look in self._looks)
        return SHARES[min(failed, len(SHARES) - 1)]

    @property
    def spent(self) -> bool:
        """Whether there may be no more looks."""
        return sum(not look.success for look in self._looks) >= len(SHARES)

    def fresh(self, trials: Sequence[Trial]) -> TrialEvidence:
        """What the next look is taken at, with the confidence that it must reach."""
        confidence = 1.0 - (1.0 - self._confidence) * self._share
        confirming = [trial for trial in trials if trial.phase == CONFIRM]
        return TrialEvidence(self._goals, confidence, confirming)

    def look(self, rate: float, trials: Sequence[Trial]) -> Look:
        """Test a rate by its confirming trials among these."""
        evidence = self.fresh(trials)
        chance = evidence.chance_alone(rate) / self._share
        confidence = min(1.0 - chance, self._confidence)
        look = Look(
            rate,
            max(confidence, 0.0),
            chance <= 1.0 - self._confidence + 1e-12,
            all(evidence.judgement(goal, rate).met for goal in self._goals),
        )
        self._looks.append(look)
        return look

    @property
    def held(self) -> Look | None:
        """The highest rate that was confirmed."""
        return max(
            (look for look in self._looks if look.success),
            key=lambda look: look.rate_per_s,
            default=None,
        )

    @property
    def best(self) -> Look | None:
        """What the search ends with: the highest rate that was confirmed, else the surest one, if
        its odds are better than even.
        """
        if self.held is not None:
            return self.held
        sure = [look for look in self._looks if look.confidence > EVEN]
        return max(sure, key=lambda look: (look.confidence, look.rate_per_s), default=None)

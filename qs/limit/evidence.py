"""What all trials so far say about each rate: whether the goals hold there.

The only assumption about the target is that more load makes no request faster. So if a rate fails,
every higher one does, and requests at a higher rate that were answered in time speak for the lower
ones as well. The test of a rate therefore includes trials of its neighbours on the side that can
only speak against the verdict: above it to show that it holds, below it to show that it fails.

Where the limit is likely to lie is left to qs.limit.line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qs.base.scenarios import RATE
from qs.engine import RESPONSE, Histogram
from qs.limit.goals import ERRORS, GOODPUT, Goal, longest_bound_s
from qs.limit.judging import FAILS, HOLDS, UNCLEAR, Judgement, judge
from qs.limit.trial import Trial

# Neighbours further away than this hardly add anything.
REACH = 1.25
NS_PER_S = 1e9
# The backlog of a queue that just keeps up wanders: after n arrivals its standard deviation is
# sqrt(n) for constant service times and up to sqrt(2 n) for exponential ones. Four times sqrt(n)
# comes by chance at most once in 200 (2 (1 - Phi(4 / sqrt(2)))).
HOPELESS, DOUBTFUL = 4.0, 2.0
# Throughput that stays this far below the rate no longer follows it: the end of the curve.
FOLLOWS = 0.9
BEHIND = "the target does not keep up"


@dataclass(frozen=True)
class Verdict:
    """Whether a rate holds, fails or is unclear."""

    kind: str
    # The goal that decided, or what is unclear.
    why: str = ""


class TrialEvidence:
    """Trials by rate. Judgements are remembered until a trial is added."""

    def __init__(self, goals: Sequence[Goal], confidence: float, trials: Iterable[Trial] = ()):
        self.goals = tuple(goals)
        self.confidence = confidence
        self.trials: list[Trial] = []
        self._by_rate: dict[float, list[Trial]] = {}
        self._judgements: dict[tuple[str, tuple[float, ...]], Judgement] = {}
        self._verdicts: dict[float, Verdict] = {}
        self._values: dict[tuple[float, str], Histogram] = {}
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)
        if trial.valid:
            self._by_rate.setdefault(trial.rate_per_s, []).append(trial)
            self._by_rate = dict(sorted(self._by_rate.items()))
        self._judgements.clear()
        self._verdicts.clear()
        self._values.clear()

    @property
    def over(self) -> str:
        """What the trials went over."""
        return self.trials[0].over if self.trials else RATE

    @property
    def rates(self) -> list[float]:
        """Rates with a valid trial, in rising order."""
        return list(self._by_rate)

    def at(self, rate: float) -> list[Trial]:
        """The valid trials at a rate."""
        return self._by_rate.get(rate, [])

    def judgement(self, goal: Goal, *rates: float) -> Judgement:
        """One goal, by all trials at these rates together."""
        key = (goal.name, rates)
        if key not in self._judgements:
            trials = [
                [(trial.tallies[goal.name], trial.waits_of(goal)) for trial in self.at(rate)]
                for rate in rates
            ]
            self._judgements[key] = judge(goal, trials, self.confidence)
        return self._judgements[key]

    def backlog(self, rate: float) -> float:
        """How far the target fell behind at a rate, in standard deviations of chance; below 1 if it
        kept up.
        """
        trials = self.at(rate)
        waits_s = longest_bound_s(self.goals)
        # A queue no longer than the bound lets requests wait is within the goals. Where only a part
        # of a request's time is bounded, what is answered as fast as it arrives is in flight as
        # long as it takes (J. D. C. Little); of a queue that grows, twice as much is left.
        partly = any(goal.limit is not None or goal.name == GOODPUT for goal in self.goals)
        bounded = not partly or any(goal.bound_ns is not None for goal in self.goals)
        left = sum(
            max(
                trial.backlog
                - rate * (waits_s if bounded else max(waits_s, trial.mean_ns / NS_PER_S)),
                0.0,
            )
            for trial in trials
        )
        requests = sum(trial.requests for trial in trials)
        return left / math.sqrt(requests) if requests else 0.0

    def overrun(self, rate: float) -> bool:
        """Whether a trial had to be ended, or left more behind than chance makes."""
        return self.backlog(rate) > HOPELESS or any(trial.collapse for trial in self.at(rate))

    def verdict(self, rate: float) -> Verdict:
        """For one rate with trials of its own."""
        if rate not in self._verdicts:
            self._verdicts[rate] = self._fails(rate) or self._holds(rate)
        return self._verdicts[rate]

    def _fails(self, rate: float) -> Verdict | None:
        collapse = next((trial.collapse for trial in self.at(rate) if trial.collapse), None)
        if collapse is not None:
            return Verdict(FAILS, collapse)
        if self.backlog(rate) > HOPELESS:
            return Verdict(FAILS, BEHIND)
        below = [other for other in self.rates if rate / REACH <= other <= rate][::-1]
        for goal in self.goals:
            for count in range(1, len(below) + 1):
                if self.judgement(goal, *below[:count]).verdict(self.confidence) == FAILS:
                    return Verdict(FAILS, str(goal))
        return None

    def _holds(self, rate: float) -> Verdict:
        if not self.at(rate):
            return Verdict(
                UNCLEAR, "nothing that was measured there says anything about the target"
            )
        if self.backlog(rate) > DOUBTFUL:
            return Verdict(UNCLEAR, "a long backlog was left at the end")
        above = self._above(rate)
        for goal in self.goals:
            if goal.implied and goal.name == ERRORS:
                # Nobody asked for it: it is enough that it does.
                if not self.judgement(goal, rate).met:
                    return Verdict(UNCLEAR, str(goal))
                continue
            if not any(
                self.judgement(goal, *above[:count]).verdict(self.confidence) == HOLDS
                for count in range(1, len(above) + 1)
            ):
                return Verdict(UNCLEAR, str(goal))
        return Verdict(HOLDS)

    def chance_alone(self, rate: float) -> float:
        """How likely trials as good as those at the rate are if one of the goals just failed there;
        1.0 if the target fell behind.
        """
        if not self.at(rate) or self.overrun(rate) or self.backlog(rate) > DOUBTFUL:
            return 1.0
        chances = [
            float(not judged.met)
            if goal.implied and goal.name == ERRORS
            else judged.by_chance_holds
            for goal in self.goals
            for judged in (self.judgement(goal, rate),)
        ]
        return max(chances)

    def _above(self, rate: float) -> list[float]:
        return [other for other in self.rates if rate <= other <= rate * REACH]

    @property
    def fails(self) -> float | None:
        """The lowest rate that fails."""
        return next((rate for rate in self.rates if self.verdict(rate).kind == FAILS), None)

    @property
    def holds(self) -> float | None:
        """The highest rate that holds, below the lowest that fails."""
        fails = self.fails
        held = [
            rate
            for rate in self.rates
            if self.verdict(rate).kind == HOLDS and (fails is None or rate < fails)
        ]
        return held[-1] if held else None

    def values(self, rate: float, measure: str = RESPONSE) -> Histogram:
        """All response times at a rate, or all values of another measure that is bounded."""
        key = (rate, measure)
        if key not in self._values:
            self._values[key] = Histogram()
            for trial in self.at(rate):
                self._values[key].merge(trial.values_of(measure))
        return self._values[key]


def collapsed(trial: Trial) -> bool:
    """Whether throughput no longer followed the rate: less was answered per second than fell due,
    and much was left at the end, or the trial had to be ended.
    """
    if trial.collapse:
        return True
    left = (1 - FOLLOWS) * trial.requests
    return trial.answered_per_s < FOLLOWS * trial.due_per_s and trial.backlog > max(
        left, HOPELESS * math.sqrt(trial.requests)
    )

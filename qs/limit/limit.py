"""What a search found: the limit with its confidence, what bounds it, every rate tried, and the
curve of response time against rate; as data and in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qs.base.scenarios import CONCURRENCY, RATE
from qs.base.words import number, percent
from qs.limit.claims import Look
from qs.limit.evidence import TrialEvidence
from qs.limit.goals import ERRORS, GOODPUT, Goal
from qs.limit.judging import FAILS, HOLDS, UNCLEAR, Judgement
from qs.limit.settings import LimitSettings
from qs.limit.stability import unstable
from qs.limit.trial import Trial
from qs.limit.trial_plan import CONFIRM, load_words

LOWEST_FAILS = "even the lowest {} fails"
NOTHING_FAILS = "no {} up to the highest tried fails"
UNCLEAR_YET = "no {} was shown to hold before the search ended"
NOT_CONFIRMED = "no {} was shown to hold with the confidence asked for before the search ended"
CURVE_PERCENTILES = (50.0, 90.0, 99.0, 99.9)


@dataclass(frozen=True)
class RatePoint:
    """One rate: the verdict on it, and all its trials together. Times are in ns; None if too few
    requests were answered for the figure.
    """

    rate_per_s: float
    verdict: str
    why: str
    trials: int
    seconds: float
    requests: int
    failed: int
    due_per_s: float
    answered_per_s: float
    mean_ns: float | None
    percentiles_ns: dict[str, int | None]
    # By goal: what was measured, what is allowed, and the interval of the true value, at the
    # confidence for each end.
    goals: dict[str, dict[str, Any]] = field(default_factory=dict)
    # As far as they are known: output_per_s, user_per_s, good_per_s.
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """The outcome of a search."""

    goals: tuple[str, ...]
    # The highest rate that was shown to hold, or if none was, the surest one; None if there is
    # none, and the reason says why.
    rate_per_s: float | None
    # Whether long trials with arrivals that the search had not seen showed that it holds, with the
    # confidence that was asked for.
    confirmed: bool
    # The bracket: the limit itself lies between the rate that holds and the lowest that was shown
    # to fail, each at the confidence. None if that end was not found.
    holds_per_s: float | None
    fails_per_s: float | None
    # Where the bound is likely to be met exactly, read off a line through the trials; nothing was
    # shown for it.
    likely_per_s: float | None
    # If the rate did not hold, a search would end as clearly with a chance of at most 1 -
    # confidence, however many rates it tried.
    confidence: float | None
    # Why there is no limit, or no upper end of it; None if both were found.
    reason: str | None
    # The confirming trials' own figures.
    confirmation: RatePoint | None
    # Every rate that was tried, in rising order; with their percentiles they are the curve.
    points: tuple[RatePoint, ...]
    notes: tuple[str, ...]
    spent_s: float
    settings: dict[str, Any]
    # Every trial, so that the search can be continued.
    trials: tuple[Trial, ...] = field(repr=False, default=())
    # What the search went over: the figures `..._per_s` are users over concurrency.
    over: str = RATE
    # That the target did otherwise at one load, by more than chance: in words, with the figures.
    unstable: str = ""

    @property
    def refuted(self) -> bool:
        """Whether even the lowest rate that was tried was shown to fail."""
        return self.rate_per_s is None and bool(self.points) and self.points[0].verdict == FAILS

    @property
    def curve(self) -> list[dict[str, Any]]:
        """Rate, throughput in answered requests/s and response times in ns, by rising rate."""
        return [
            {
                **{name: getattr(point, name) for name in _CURVE},
                **point.percentiles_ns,
                **point.figures,
            }
            for point in self.points
        ]

    def sentence(self) -> str:
        """The result in one sentence."""
        bounds = ", ".join(self.goals)
        if self.rate_per_s is None:
            return f"no limit for {bounds}: {self.reason}"
        fails = "" if self.fails_per_s is None else load_words(self.over, self.fails_per_s)
        upper = f"; {fails} fail" if fails else ""
        how = "confirmed" if self.confirmed else "not confirmed"
        more = "" if self.reason is None or not self.confirmed else f" ({self.reason})"
        holds = "holds" if self.confirmed else "may hold"
        return (
            f"{bounds} {holds} up to {load_words(self.over, self.rate_per_s)} "
            f"({percent(self.confidence or 0)} confidence, {how}){upper}{more}"
        )

    def to_dict(self, trials: bool = True) -> dict[str, Any]:
        """Plain data for JSON; without the trials it is small, but no search can go on from it."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "goals": list(self.goals),
            "notes": list(self.notes),
            "over": self.over,
            "unstable": self.unstable,
            "confirmation": None if self.confirmation is None else dict(vars(self.confirmation)),
            "points": [dict(vars(point)) for point in self.points],
            "curve": self.curve,
            "refuted": self.refuted,
            "sentence": self.sentence(),
            **({"trials": [trial.to_dict() for trial in self.trials]} if trials else {}),
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Limit:
        confirmation = plain["confirmation"]
        return Limit(
            **{name: plain[name] for name in _PLAIN},
            goals=tuple(plain["goals"]),
            notes=tuple(plain["notes"]),
            over=plain.get("over", RATE),
            unstable=plain.get("unstable", ""),
            confirmation=None if confirmation is None else RatePoint(**confirmation),
            points=tuple(RatePoint(**point) for point in plain["points"]),
            trials=tuple(Trial.from_dict(trial) for trial in plain.get("trials", ())),
        )


_CURVE = ("rate_per_s", "due_per_s", "answered_per_s", "verdict", "mean_ns")
_PLAIN = (
    "rate_per_s",
    "confirmed",
    "holds_per_s",
    "fails_per_s",
    "likely_per_s",
    "confidence",
    "reason",
    "spent_s",
    "settings",
)


def limit_of(
    evidence: TrialEvidence,
    goals: Sequence[Goal],
    claim: Look | None,
    likely: float | None,
    settings: LimitSettings,
    spent_s: float,
) -> Limit:
    """From all that was seen and what may be said of it; `goals` are all that were stated, and
    `likely` is where the search's lines put the edge.
    """
    rate = None if claim is None else claim.rate_per_s
    confirmed = claim is not None and claim.success
    higher = [other for other in evidence.rates if other > (rate or 0.0)]
    fails = next((other for other in higher if evidence.verdict(other).kind == FAILS), None)
    confirming = [trial for trial in evidence.at(rate or 0.0) if trial.phase == CONFIRM]
    return Limit(
        goals=tuple(str(goal) for goal in goals if not goal.implied),
        rate_per_s=rate,
        confirmed=confirmed,
        holds_per_s=rate,
        fails_per_s=fails,
        likely_per_s=likely,
        confidence=None if claim is None else claim.confidence,
        reason=_reason(evidence, rate, fails, confirmed),
        confirmation=_confirmation(evidence, confirming) if confirmed else None,
        points=tuple(
            _as_claimed(point_of(evidence, each), rate if confirmed else None)
            for each in evidence.rates
        ),
        notes=tuple(_notes(evidence, rate)),
        spent_s=spent_s,
        settings=settings.to_dict(),
        trials=tuple(evidence.trials),
        over=settings.over,
        unstable=unstable(evidence, settings.over),
    )


def _as_claimed(point: RatePoint, held: float | None) -> RatePoint:
    """With the verdict that the search stands by: the rate that was confirmed holds, and no higher
    one, which at best is one of several that were tried.
    """
    if held is not None and point.rate_per_s == held:
        return replace(point, verdict=HOLDS, why="")
    if point.verdict == HOLDS and (held is None or point.rate_per_s > held):
        return replace(point, verdict=UNCLEAR, why="it was not confirmed")
    return point


def _reason(
    evidence: TrialEvidence, rate: float | None, fails: float | None, confirmed: bool
) -> str | None:
    rates, over = evidence.rates, evidence.over
    what = "number of users" if over == CONCURRENCY else "rate"
    if rate is None:
        if not rates:
            return "no trial said anything about the target"
        verdict = evidence.verdict(rates[0])
        if verdict.kind == FAILS:
            return f"{LOWEST_FAILS.format(what)}: {load_words(over, rates[0])} ({verdict.why})"
        return f"{UNCLEAR_YET.format(what)}; {_needed(evidence)}"
    if not confirmed:
        return f"{NOT_CONFIRMED.format(what)}; {_needed(evidence)}"
    if fails is None:
        unclear = next((other for other in rates if other > rate), None)
        if unclear is not None:
            return f"no {what} was shown to fail; {load_words(over, unclear)} stayed unclear"
        return f"{NOTHING_FAILS.format(what)}: {load_words(over, rates[-1])}"
    return None


def _needed(evidence: TrialEvidence) -> str:
    """What there was too little of. If a goal just fails, the probability that none of n
    independent requests misses it is (1 - share)^n.
    """
    judgements = [
        (evidence.judgement(goal, rate), rate)
        for goal in evidence.goals
        if goal.share and not (goal.implied and goal.name == ERRORS)  # need not be shown
        for rate in evidence.rates
        if evidence.judgement(goal, rate).verdict(evidence.confidence) != HOLDS
    ]
    seen, rate = max(
        judgements, key=lambda each: each[0].effective * each[0].allowed, default=(None, 0.0)
    )
    if seen is None:
        return "it takes more time"
    least = math.ceil(math.log(1 - evidence.confidence) / math.log(1 - seen.allowed))
    if seen.effective >= least:
        return (
            f"the equivalent of {number(round(seen.effective))} independent requests at "
            f"{load_words(evidence.over, rate)} leaves {seen.goal} open"
        )
    return (
        f"to show {seen.goal} takes {number(least)} independent requests at one rate even if none "
        f"misses it, and those seen are worth at most {number(round(seen.effective))}"
    )


def _notes(evidence: TrialEvidence, rate: float | None) -> list[str]:
    notes = [
        f"trial {trial.number + 1} at {load_words(trial.over, trial.rate_per_s)} "
        f"says nothing about the target: {reason}"
        for trial in evidence.trials
        for reason in trial.reasons
    ]
    held = [other for other in evidence.rates if evidence.verdict(other).kind == HOLDS]
    failed = evidence.fails
    if failed is not None and held and held[-1] > failed:
        high, low = (load_words(evidence.over, each) for each in (held[-1], failed))
        notes.append(
            f"{high} held although {low}, which is less, failed: "
            "the target or the machine changed between the trials"
        )
    return notes


def _confirmation(evidence: TrialEvidence, trials: Sequence[Trial]) -> RatePoint:
    alone = TrialEvidence(evidence.goals, evidence.confidence, trials)
    return point_of(alone, trials[0].rate_per_s)


def point_of(evidence: TrialEvidence, rate: float) -> RatePoint:
    """All valid trials at one rate, their histograms merged."""
    trials, response = evidence.at(rate), evidence.values(rate)
    verdict = evidence.verdict(rate)
    seconds = sum(trial.measured_s for trial in trials)
    wall_s = sum(trial.wall_s for trial in trials)
    requests, failed = (
        sum(getattr(trial, name) for trial in trials) for name in ("requests", "failed")
    )
    answered = requests - failed
    return RatePoint(
        rate_per_s=rate,
        verdict=verdict.kind,
        why=verdict.why,
        trials=len(trials),
        seconds=seconds,
        requests=requests,
        failed=failed,
        due_per_s=requests / seconds if seconds else 0.0,
        answered_per_s=answered / wall_s if wall_s else 0.0,
        mean_ns=sum(trial.mean_ns * trial.completed for trial in trials) / answered
        if answered
        else None,
        percentiles_ns={
            f"p{each:g}_ns": response.reported_ns(each) for each in _percentiles(evidence.goals)
        }
        | _measured_ns(evidence, rate),
        goals={
            str(goal): _goal_figures(goal, evidence.judgement(goal, rate), evidence.confidence)
            for goal in evidence.goals
        },
        figures=_figures(trials),
    )


def _figures(trials: Sequence[Trial]) -> dict[str, float]:
    """Those of the trials together, each for as long as it lasted."""
    found = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.figures):
        known = [
            (trial.figures[name], trial.measured_s) for trial in trials if name in trial.figures
        ]
        seconds = sum(lasted for _, lasted in known)
        if seconds > 0:
            found[name] = sum(value * lasted for value, lasted in known) / seconds
    return found


def _measured_ns(evidence: TrialEvidence, rate: float) -> dict[str, int | None]:
    """Percentiles of other times that are bounded: ttft_p99_ns."""
    return {
        f"{goal.name}_ns": evidence.values(rate, goal.measure).reported_ns(goal.percentile)
        for goal in evidence.goals
        if goal.limit is not None and goal.time_ns is not None and goal.percentile is not None
    }


def _percentiles(goals: Sequence[Goal]) -> list[float]:
    return sorted(
        {
            *CURVE_PERCENTILES,
            *(goal.percentile for goal in goals if goal.bound_ns and goal.percentile is not None),
        }
    )


def _goal_figures(goal: Goal, judgement: Judgement, confidence: float) -> dict[str, Any]:
    interval = judgement.interval(confidence)
    what = (
        "mean_ns"
        if goal.share is None
        else "share_not_good"
        if goal.name == GOODPUT
        else "share_failed"
        if goal.allowed is None
        else "share_below"
        if goal.at_least
        else "share_over"
    )
    return {
        "of": what,
        "measured": judgement.value,
        "allowed": judgement.allowed,
        "interval": None if interval is None else list(interval),
        "effective_requests": judgement.effective,
        "implied": goal.implied,
    }

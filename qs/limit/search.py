"""The search for the highest rate that holds: look where it is likely to lie, confirm what was
found, measure around it.

Straight lines through what was seen suggest where to measure next (qs.limit.line), tests of all
trials together whether that was too high (qs.limit.evidence). What is said to hold at the end is
tested on trials of its own alone (qs.limit.claims), and a rate that stays unclear is treated as one
that does not hold, which errs on the safe side.

The search is a deterministic function of its settings and of what its trials showed, so an
interrupted one is continued by starting it again with the trials it had.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from qs.base.errors import UserError
from qs.base.scenarios import RATE
from qs.limit.claims import Claims
from qs.limit.crossing import CLEAR, Crossing, crossing_of, promised
from qs.limit.evidence import TrialEvidence, collapsed
from qs.limit.goals import Goal, of_the_run, with_implied
from qs.limit.limit import Limit, limit_of
from qs.limit.line import NEAR, PRUDENCE, excess_of, lines_of, promises
from qs.limit.settings import LimitSettings, seed_of
from qs.limit.step import OnStep, Step, check_same
from qs.limit.trial import Trial
from qs.limit.trial_plan import CONFIRM, CURVE, SEARCH, TrialPlan

MeasureTrial = Callable[[TrialPlan], Awaitable[Trial]]

# The share of the budget by which each phase is over.
SEARCH_SHARE, CONFIRM_SHARE = 0.3, 0.92
# The next rate is at most FURTHER times beyond those measured; closer than CLOSE to one of them it
# is no longer a first look; a bracket this WIDE is narrowed by at least a fifth.
FURTHER, CLOSE, WIDE = 2.0, 1.06, 1.15
# Beyond what a server was seen to serve in closed loop, steps are this small.
BEYOND = 1.1
# With so small a part of what is allowed over the bound, as a logarithm, a rate is far from the
# limit.
AT_EASE = -1.0
# Once a rate is confirmed, a higher one is tried at odds of one in four.
BOLD = -0.7
# After this many trials at one rate that say nothing about the target, no higher rate is tried.
TRIES = 2
BELOW = (0.25, 0.5, 0.75, 0.9)
ABOVE = (1.06, 1.12, 1.25, 1.5, 2.0)
NEXT = 1.15


async def find_limit(
    goals: Sequence[Goal],
    measure_trial: MeasureTrial,
    settings: LimitSettings,
    on_step: OnStep | None = None,
    done: Iterable[Trial] = (),
) -> Limit:
    """Find the highest Poisson rate at which all the goals hold, or the most users in closed loop.

    `measure_trial` runs the plan that it is given and returns `Trial.of(plan, result)`. What it
    raises ends the search and is passed on; `on_step` has seen every trial until then, and
    `step.trial.to_dict()` is what to save. `done` are earlier trials of the same search, which are
    not measured again.

    Raises UserError if the goals, the settings or `done` are invalid.
    """
    if not goals:
        raise UserError("a search for a limit needs at least one bound, such as p99=50ms")
    settings.check()
    search = _Search(
        with_implied(goals), measure_trial, settings, on_step or (lambda step: None), done
    )
    return await search.run()


class _Search:
    def __init__(
        self,
        goals: tuple[Goal, ...],
        measure_trial: MeasureTrial,
        settings: LimitSettings,
        on_step: OnStep,
        done: Iterable[Trial],
    ):
        self._stated = goals
        self._goals = of_the_run(goals)
        self._measure_trial = measure_trial
        self._settings = settings
        self._on_step = on_step
        self._done = {each.number: each for each in done}
        self._trials: list[Trial] = []
        self._evidence = TrialEvidence(self._goals, settings.confidence)
        self._claims = Claims(self._goals, settings.confidence)
        self._spent_s = 0.0
        self._ladder = settings.ladder()

    async def run(self) -> Limit:
        await self._look_around()
        await self._confirm()
        claim = self._claims.best
        likely = min((line.rate_at(0.0) for line in lines_of(self._evidence)), default=None)
        if self._settings.curve:
            await self._draw(None if claim is None else claim.rate_per_s)
        everything = TrialEvidence(self._goals, self._settings.confidence, self._trials)
        return limit_of(everything, self._stated, claim, likely, self._settings, self._spent_s)

    async def _look_around(self) -> None:
        """Trials where the edge is likely to be, until the search's part of the budget is spent or
        no higher rate is likely to be shown to hold.
        """
        settings, evidence = self._settings, self._evidence
        rate: float | None = self._ladder.start
        climbing = True
        while rate is not None:
            seconds = settings.first_look_s(self._stated, rate, not climbing)
            # A short look is enough at first; near the edge a longer one is worth its time.
            if any(1 / CLOSE <= other / rate <= CLOSE for other in evidence.rates):
                worth = min((line.edge_error for line in lines_of(evidence)), default=1.0)
                seconds = max(
                    seconds, settings.longest_point_s * min((settings.slack / worth) ** 2, 1.0)
                )
            if not await self._measure(SEARCH, rate, seconds, SEARCH_SHARE):
                return
            rate = self._climb()
            climbing = rate is not None
            rate = rate or self._unknown_edge()
            crossing = self._crossing
            if rate is None and crossing is not None and crossing.known:
                return
            if rate is None:
                rate = self._next(self._left_s(CONFIRM_SHARE))
                if rate is not None and rate == evidence.holds:
                    return

    def _climb(self) -> float | None:
        """Well above the highest rate tried, as long as that shows no sign of the limit."""
        evidence = self._evidence
        highest = evidence.rates[-1] if evidence.rates else 0.0
        if (
            not highest
            or evidence.fails is not None
            or max(excess_of(evidence, goal, highest)[0] for goal in self._goals) > AT_EASE
        ):
            return None
        hint = self._settings.hint_per_s or 0.0
        # Never far beyond what was seen to hold: behind the limit may be a cliff, and what a server
        # was seen to serve is about where it is. Users make no queue longer than they are.
        cautious = hint and self._settings.request_s is not None and not self._ladder.whole
        step = BEYOND if cautious else FURTHER
        step = min(FURTHER, 1.05 * hint / highest) if highest < 0.95 * hint else step
        crossing = self._crossing
        if crossing is not None:
            step = min(step, crossing.likely / highest)
        rate = self._ladder.rung(min(highest * step, self._ladder.highest))
        return rate if rate > highest else None

    @property
    def _crossing(self) -> Crossing | None:
        """Of users; rates have none, as the percentiles of a queue rise without a measure."""
        return crossing_of(self._evidence) if self._ladder.whole else None

    def _unknown_edge(self) -> float | None:
        """Where the edge is likely to be, between what holds and what was not shown to, as long as
        that is only a guess; None once it is known.
        """
        evidence, crossing = self._evidence, self._crossing
        if crossing is not None:
            return crossing.next_look(self._ladder)
        lines = lines_of(evidence)
        nearest = min(lines, key=lambda line: line.rate_at(0.0), default=None)
        if (
            nearest is None
            or evidence.fails == evidence.rates[0]
            or self._are_neighbours(evidence.holds, evidence.fails)
            or nearest.edge_error <= self._settings.slack / 2
        ):
            return None
        rate = max(
            min(nearest.rate_at(0.0), evidence.rates[-1] * FURTHER, self._ladder.highest),
            evidence.rates[0] / FURTHER,
        )
        holds = evidence.holds
        beyond = next(
            (other for other in evidence.rates if holds is not None and other > holds), None
        )
        if holds is not None and beyond is not None:
            gap = beyond / holds
            if gap > WIDE:
                rate = min(max(rate, holds * gap**0.2), holds * gap**0.8)
            elif self._ladder.rung(rate) <= holds:
                rate = holds * gap**0.5
        if evidence.fails is not None:
            rate = min(rate, self._ladder.below(evidence.fails))
        return self._ladder.rung(rate)

    def _are_neighbours(self, holds: float | None, fails: float | None) -> bool:
        """Whether no whole number of users lies between."""
        if holds is None or fails is None or not self._ladder.whole:
            return False
        return fails - holds <= 1

    async def _confirm(self) -> None:
        """Long trials with arrivals of their own, at the highest rate that they are likely to show
        to hold; a higher one after a success, the same or a lower one after none.
        """
        settings, claims = self._settings, self._claims
        most = math.inf
        while not claims.spent:
            left_s = self._left_s(CONFIRM_SHARE)
            if self._crossing is not None:
                most = min(most, self._crossing.likely * (1 - CLEAR))
            # If what is left after this one would be too short for another: one long trial.
            seconds = (
                settings.confirmation_s if left_s > 1.5 * settings.confirmation_s else left_s / 1.05
            )
            held = claims.held
            rate = self._next(
                seconds, most, PRUDENCE if held is None else BOLD, claims.fresh(self._trials)
            )
            if rate is None or (held is not None and rate <= held.rate_per_s):
                return
            if seconds < settings.confirmation_s / 3 or not await self._measure(
                CONFIRM, rate, seconds, CONFIRM_SHARE
            ):
                return
            look = claims.look(rate, self._trials)
            if not look.success:
                most = rate if look.met else self._ladder.rung(self._ladder.below(rate))

    def _next(
        self,
        seconds: float,
        most: float = math.inf,
        prudence: float = PRUDENCE,
        shown_by: TrialEvidence | None = None,
    ) -> float | None:
        """The highest rate that this many more seconds are likely to show to hold, together with
        what counts (all trials, if `shown_by` is None), not above `most` and not too far from what
        was measured. None if there is no such rate.
        """
        evidence = self._evidence
        if not evidence.rates:
            return self._ladder.start if len(self._trials) < TRIES else None
        lowest, highest = evidence.rates[0], evidence.rates[-1]
        holds, fails = evidence.holds, evidence.fails
        if fails == lowest:
            if lowest <= self._ladder.rung(self._ladder.lowest):
                return None
            if self._too_slow(lowest):
                return self._ladder.rung(self._ladder.lowest)
        lines = lines_of(evidence)
        top = min(
            highest * FURTHER,
            most,
            self._ladder.highest,
            math.inf if fails is None else self._ladder.below(fails),
        )
        # Where the line is at a thirtieth of what may be over the bound, lower rates are no easier
        # to show to hold.
        surely = min((line.rate_at(NEAR[0]) for line in lines), default=0.0)
        if shown_by is not None:
            held = self._claims.held
            holds = self._clearly_holds() if held is None else held.rate_per_s
        else:
            near = min((line.rate_at(0.0) for line in lines), default=0.0)
            surely = max(surely, near * (1 - self._settings.slack))
        floor = max(holds or max(lowest / FURTHER, self._ladder.lowest), min(surely, top))
        fresh = shown_by or evidence

        def likely(rate: float) -> bool:
            if self._crossing is not None:
                return promised(evidence, fresh, lines, rate, seconds, prudence)
            return promises(fresh, lines, rate, seconds, prudence)

        return self._ladder.rung(
            self._ladder.highest_that(
                likely,
                floor,
                max(top, floor),
            )
        )

    def _clearly_holds(self) -> float | None:
        """The highest rate that holds even if allowance is made for all rates tried."""
        evidence = self._evidence
        risk = (1.0 - self._settings.confidence) / max(len(evidence.rates), 1)
        held = [rate for rate in evidence.rates if evidence.chance_alone(rate) <= risk]
        fails = evidence.fails
        return max((rate for rate in held if fails is None or rate < fails), default=None)

    def _too_slow(self, rate: float) -> bool:
        """Whether nine in ten requests miss a bound: then waiting for one another is not the only
        reason, and a little less load will not help.
        """
        for goal in self._goals:
            if goal.allowed is not None and not goal.at_least:
                if self._evidence.values(rate, goal.measure).percentile_ns(10) > goal.allowed:
                    return True
        return False

    async def _draw(self, rate: float | None) -> None:
        """Short trials below and above, so that the curve reaches to where throughput stops
        following. Without a limit, what was tried is the curve.
        """
        if rate is None:
            return
        wanted = [self._ladder.rung(rate * part) for part in (*BELOW, *ABOVE)]
        wanted = [
            each
            for each in dict.fromkeys(wanted)
            if all(abs(trial.rate_per_s / each - 1) > 0.04 for trial in self._trials)
        ]
        asked_for = 3 * (self._settings.request_s or 0.0)  # shorter ones see no request end
        for left, each in zip(range(len(wanted), 0, -1), wanted):
            if each > min(
                (trial.rate_per_s for trial in self._trials if collapsed(trial)), default=math.inf
            ):
                return
            seconds = self._settings.first_look_s(self._stated, each)
            if rate < each <= rate * NEXT and self._evidence.fails is None:
                # Long enough to show that it fails: the upper end of the bracket.
                seconds = self._settings.longest_point_s
            seconds = min(seconds, self._left_s(1.0) / left)
            if (
                seconds < self._settings.shortest_s / 4
                or seconds < asked_for
                or not await self._measure(CURVE, each, seconds, 1.0)
            ):
                return

    def _left_s(self, share: float) -> float:
        return self._settings.budget_s * share - self._spent_s

    async def _measure(self, phase: str, rate: float, seconds: float, share: float) -> bool:
        """One trial, or what it showed before; False if that share of the budget has no room for
        it.
        """
        number = len(self._trials)
        if number >= self._settings.most_trials or seconds > self._left_s(share):
            return False
        seed = seed_of(self._settings.seed, number)
        settings = self._settings
        plan = TrialPlan(
            number,
            phase,
            rate,
            float(f"{seconds:.4g}"),
            seed,
            self._stated,
            settings.over,
            settings.request_s or 0.0,
            (settings.hint_per_s or 0.0) if settings.over == RATE else 0.0,
        )
        kept = self._done.get(number)
        if kept is None:
            began = time.monotonic()
            trial = await self._measure_trial(plan)
            trial = replace(trial, took_s=max(trial.took_s, time.monotonic() - began))
        else:
            check_same(kept, plan)
            trial = kept
        self._add(trial)
        evidence = (
            TrialEvidence(self._goals, self._settings.confidence, [trial])
            if phase == CURVE
            else self._evidence
        )
        verdict = evidence.verdict(rate)
        self._on_step(
            Step(
                trial,
                verdict.kind,
                verdict.why,
                self._evidence.holds,
                self._evidence.fails,
                self._spent_s,
                kept is not None,
            )
        )
        return True

    def _add(self, trial: Trial) -> None:
        self._trials.append(trial)
        self._spent_s += trial.took_s
        if trial.phase != CURVE:
            self._evidence.add(trial)
        vain = sum(
            not other.valid for other in self._trials if other.rate_per_s == trial.rate_per_s
        )
        if vain >= TRIES:
            # Halfway down to what could be measured.
            reached = max(
                (rate for rate in self._evidence.rates if rate < trial.rate_per_s),
                default=self._ladder.lowest,
            )
            highest = math.sqrt(reached * trial.rate_per_s) / (1 + self._settings.resolution / 2)
            self._ladder = replace(self._ladder, highest=max(highest, self._ladder.lowest))

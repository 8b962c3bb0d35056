"""One trial at one rate: what it was planned to measure, what it showed, and the counts that are
kept of it, so that an interrupted search goes on from the trials it had.

Counts are kept by batch, a few neighbouring intervals each: small enough for a result file, and
fine enough to see how much a queue's waits crowd. What the counts say about a goal is left to
qs.limit.judging.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.base.scenarios import CONCURRENCY, RATE
from qs.base.words import counted as counted_words
from qs.base.words import number as in_figures
from qs.engine import RESPONSE, Ending, ErrorKind, Histogram, RunResult
from qs.limit.counts import (
    BatchCounts,
    Recorded,
    Values,
    Waits,
    counted,
    crowding,
    decoded,
    encoded,
)
from qs.limit.goals import GOODPUT, Goal, of_each_request
from qs.limit.trial_plan import TrialPlan
from qs.llm.measures import DECODE_RATE, OUTPUT

WINDOW_S = 0.1  # of the engine's count of what happened
# After these engine caveats, a rate that did not hold says more about the engine than the target.
ENGINE_CAVEATS = ("engine_bound", "loop_bound")
# Kinds of errors whose requests no interval counts as due.
NEVER_ENDED = (ErrorKind.NOT_ISSUED, ErrorKind.CUT_OFF)


@dataclass(frozen=True)
class Trial:
    """One trial at one load, with all that the search needs of it."""

    number: int
    phase: str
    # Requests/s that arrived, or over concurrency the users.
    rate_per_s: float
    # How long requests fell due; `wall_s` lasts until the last answer.
    duration_s: float
    seed: int
    wall_s: float
    # What it cost of the budget: until the last request was due and answered, or all of the time
    # around it where that was longer.
    took_s: float
    completed: int
    # Requests that were due and not answered well, including those that never had their turn.
    failed: int
    # Requests that were due and unanswered when the last one had fallen due.
    backlog: int
    # Why the trial says nothing about the target; empty if it does.
    reasons: tuple[str, ...]
    # By the goals' names.
    tallies: dict[str, BatchCounts] = field(repr=False, compare=False)
    waits: Waits = field(repr=False, compare=False)
    # Of the completed requests, from their due times.
    response: Histogram = field(repr=False, compare=False)
    over: str = RATE
    # How long requests really fell due, if the trial was ended before; and why, which is the
    # target's doing.
    cut_s: float | None = None
    collapse: str = ""
    # Of the other measures that are bounded, by their names.
    measures: dict[str, Values] = field(repr=False, compare=False, default_factory=dict)
    # What a good request keeps, by measure.
    bounds: dict[str, int] = field(repr=False, compare=False, default_factory=dict)
    # For curves, as far as they are known: tokens/s, those of the median user, good requests/s.
    figures: dict[str, float] = field(repr=False, compare=False, default_factory=dict)

    @property
    def valid(self) -> bool:
        return not self.reasons

    @property
    def requests(self) -> int:
        return self.completed + self.failed

    @property
    def due_per_s(self) -> float:
        """What the arrivals that were drawn come to; `rate_per_s` is what was asked for."""
        return self.requests / self.measured_s if self.measured_s > 0 else 0.0

    @property
    def measured_s(self) -> float:
        """How long requests fell due."""
        return self.duration_s if self.cut_s is None else self.cut_s

    @property
    def answered_per_s(self) -> float:
        """What was answered per second while anything was: it follows the rate as long as the
        target keeps up.
        """
        return self.completed / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def mean_ns(self) -> float:
        return self.response.mean_ns

    def values_of(self, measure: str) -> Histogram:
        """Of the response time, or of another measure that is bounded."""
        if measure == RESPONSE:
            return self.response
        return self.measures[measure].histogram

    def waits_of(self, goal: Goal) -> Waits:
        """What shows how the requests that miss a goal crowd; of goodput the values that crowd the
        most among those that are bounded, as shares of their bounds.
        """
        if goal.name != GOODPUT:
            return self._waits(goal.measure)
        bounded = [self._waits(name).of(1.0 / bound) for name, bound in self.bounds.items()]
        return max(bounded, key=lambda waits: crowding((waits,), 1.0)[0], default=self.waits)

    def _waits(self, measure: str) -> Waits:
        return self.waits if measure == RESPONSE else self.measures[measure].waits

    @staticmethod
    def of(plan: TrialPlan, result: RunResult) -> Trial:
        """From the engine's result of the plan."""
        reasons = [str(caveat) for caveat in result.caveats if caveat.code in ENGINE_CAVEATS]
        if result.interrupted:
            reasons.append("the trial was interrupted")
        cut = result.ended_by == Ending.ERROR_BUDGET
        cut_s = min(result.wall_s, plan.duration_s) if cut else None
        return Trial.counted(
            plan,
            wall_s=result.wall_s,
            completed=result.completed,
            failed=result.errors,
            backlog=0 if plan.over == CONCURRENCY else _backlog(result, cut_s or plan.duration_s),
            response=result.response,
            recorded=Recorded.of(result),
            reasons=reasons,
            histograms={name: each.histogram for name, each in result.measures.items()},
            figures=_figures(plan, result),
            cut_s=cut_s,
            collapse=_collapse(plan, result) if cut else "",
        )

    @staticmethod
    def counted(
        plan: TrialPlan,
        *,
        wall_s: float,
        completed: int,
        failed: int,
        backlog: int,
        response: Histogram,
        recorded: Recorded,
        reasons: Sequence[str] = (),
        histograms: Mapping[str, Histogram] = {},
        figures: Mapping[str, float] = {},
        cut_s: float | None = None,
        collapse: str = "",
    ) -> Trial:
        """From what was recorded; `histograms` of measures by name."""
        nothing = () if completed + failed else ("no request fell due",)
        lasted_s = plan.duration_s if cut_s is None else cut_s
        warm_s = plan.warm_s if cut_s is None else 0.0
        tallies, waits, others = counted(plan.goals, recorded, failed, lasted_s, warm_s)
        return Trial(
            number=plan.number,
            phase=plan.phase,
            rate_per_s=plan.rate_per_s,
            duration_s=plan.duration_s,
            seed=plan.seed,
            wall_s=wall_s,
            took_s=max(wall_s, lasted_s),
            completed=completed,
            failed=failed,
            backlog=backlog,
            reasons=(*reasons, *nothing),
            tallies=tallies,
            waits=waits,
            response=response,
            over=plan.over,
            cut_s=cut_s,
            collapse=collapse,
            measures={
                name: Values(each, histograms.get(name, Histogram()))
                for name, each in others.items()
            },
            bounds={goal.measure: goal.allowed or 1 for goal in of_each_request(plan.goals)},
            figures=dict(figures),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in (*_PLAIN, *_MORE, "mean_ns", "valid")} | {
            "reasons": list(self.reasons),
            "tallies": {name: counts.to_dict() for name, counts in self.tallies.items()},
            "waits": self.waits.to_dict(),
            "response": encoded(self.response),
            "measures": {name: values.to_dict() for name, values in self.measures.items()},
        }

    @staticmethod
    def from_dict(plain: dict[str, Any]) -> Trial:
        """Raises ValueError, KeyError, TypeError or AttributeError if `to_dict` did not make it, or
        what decoders of histograms raise.
        """
        counts = plain["tallies"].items()
        _check_more(plain)
        for name in _PLAIN:
            number = type(plain[name]) in (int, float) and 0 <= plain[name] < math.inf
            if not (isinstance(plain[name], str) if name == "phase" else number):
                raise ValueError(f"{name} is {plain[name]!r}")
        return Trial(
            **{name: plain[name] for name in _PLAIN},
            reasons=tuple(plain["reasons"]),
            tallies={name: BatchCounts.from_dict(each) for name, each in counts},
            waits=Waits.from_dict(plain["waits"]),
            response=decoded(plain["response"]),
            **{name: plain[name] for name in _MORE if name in plain},
            measures={
                name: Values.from_dict(each) for name, each in plain.get("measures", {}).items()
            },
        )


_PLAIN = (
    "number",
    "phase",
    "rate_per_s",
    "duration_s",
    "seed",
    "wall_s",
    "took_s",
    "completed",
    "failed",
    "backlog",
)


def _check_more(plain: Mapping[str, Any]) -> None:
    """Raises ValueError for further keys that no trial wrote."""
    cut_s = plain.get("cut_s")
    sound = (
        plain.get("over", RATE) in (RATE, CONCURRENCY)
        and (cut_s is None or type(cut_s) in (int, float) and 0 <= cut_s < math.inf)
        and isinstance(plain.get("collapse", ""), str)
        and all(type(each) is int and each > 0 for each in plain.get("bounds", {}).values())
        and all(type(each) in (int, float) for each in plain.get("figures", {}).values())
    )
    if not sound:
        raise ValueError("over, cut_s, collapse, bounds or figures are not those of a trial")


_MORE = ("over", "cut_s", "collapse", "bounds", "figures")


def _collapse(plan: TrialPlan, result: RunResult) -> str:
    """Why a trial was ended early."""
    after = f"after {in_figures(min(result.wall_s, plan.duration_s))} s"
    if result.errors_by_kind.get(ErrorKind.DROPPED):
        return f"it does not keep up: more than {plan.most_in_flight} requests in flight {after}"
    failures = counted_words(result.errors, "failed request")
    return f"{failures} {after}"


def _figures(plan: TrialPlan, result: RunResult) -> dict[str, float]:
    """What curves are made of, as far as it was measured."""
    found: dict[str, float] = {}
    seconds = result.wall_s
    made, users = result.happened.get(OUTPUT), result.measures.get(DECODE_RATE.name)
    # Without the beginning, when nobody is answered yet, and the end, when nobody asks any more.
    first = round(min(plan.request_s, seconds / 2) / WINDOW_S)
    last = round(min(plan.duration_s, seconds) / WINDOW_S)
    if made is not None and made[first:last].size:
        found["output_per_s"] = float(made[first:last].sum()) / ((last - first) * WINDOW_S)
    if users is not None and users.histogram.count:
        found["user_per_s"] = users.histogram.percentile_ns(50) / DECODE_RATE.scale
    if result.good is not None and seconds > 0:
        found["good_per_s"] = result.good / seconds
    return found


def _backlog(result: RunResult, duration_s: float) -> int:
    """The most that the intervals around the end of the schedule had in flight, and what never had
    its turn.
    """
    never = sum(result.errors_by_kind.get(kind, 0) for kind in NEVER_ENDED)
    ends = [(row.start_s + row.length_s, row.in_flight) for row in result.intervals]
    if any(in_flight is None for _, in_flight in ends):
        # A worker was lost, and with it what it knew of due times: what came back after the end was
        # in flight at it.
        return never + sum(row.completed for row in result.intervals if row.start_s >= duration_s)
    after = next(
        (at for at, (end_s, _) in enumerate(ends) if end_s >= duration_s * (1 - 1e-9)),
        len(ends) - 1,
    )
    around = ends[max(after - 1, 0) : after + 1]
    return never + max((in_flight or 0 for _, in_flight in around), default=0)

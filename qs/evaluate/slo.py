"""The bounds of `--slo`, held against what a case measured: each over all its requests, with the
test that a search for a limit has, and what was good of each request.

A bound that does not hold as measured is not met, however few the requests; one that holds as
measured and may hold by chance alone is a doubt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qs.base.errors import Faults
from qs.base.words import counted, number, percent
from qs.engine import RESPONSE, Histogram, RunResult
from qs.evaluate import cures
from qs.limit.counts import Recorded
from qs.limit.counts import counted as counted_by_goal
from qs.limit.goals import (
    ERRORS,
    GOODPUT,
    Goal,
    of_each_request,
    of_the_run,
    unmeasured,
    with_implied,
)
from qs.limit.judging import FAILS, HOLDS, Judgement, judge
from qs.llm.asked import LlmAsked
from qs.llm.measures import BY_NAME, measures_of
from qs.result.row import Row
from qs.result.scenario_entry import RuleEntry
from qs.result.tokens_entry import GoodputEntry
from qs.result.verdict import DoubtEntry
from qs.settings.case import Case
from qs.settings.request import Request

CONFIDENCE = 0.95
CODE, UNCLEAR_CODE = "slo", "slo_unclear"
OPENAI = "OPENAI"  # the backend of language models
NS_PER_MS = 1e6
_SURER = 1.5  # times as many requests as would just tell


@dataclass(frozen=True)
class Held:
    """What became of the bounds of a case."""

    rules: tuple[RuleEntry, ...] = ()
    # What does not hold.
    reasons: tuple[str, ...] = ()
    # What was not measured, so that the case cannot be judged.
    unmeasured: tuple[str, ...] = ()
    doubts: tuple[DoubtEntry, ...] = ()
    # None: no request is bounded by itself.
    goodput: GoodputEntry | None = None
    # Whether a bound says how many may fail.
    failures_are_bounded: bool = False

    @property
    def unjudged(self) -> Held:
        """For a case whose verdict does not depend on it, but for how many may fail."""
        return Held(failures_are_bounded=self.failures_are_bounded)


def check_goals(request: Request) -> None:
    """Raises Faults for bounds of what is not measured."""
    measured, of = _measured(request)
    faults = unmeasured(request.goals, measured, of)
    if faults:
        raise Faults(faults)


def _measured(request: Request) -> tuple[list[str], str]:
    """Names of measures, and what they are of, in words."""
    if request.hardware_type != OPENAI:
        return [], "a model that is no language model behind an API (openai+http://...)"
    asked = dict(request.remote.get("llm") or {})
    api = asked.get("api") or LlmAsked.api
    stream = asked.get("stream") is not False
    of = f"{api} requests" + ("" if stream or api == "embeddings" else " without --stream")
    return [each.name for each in measures_of(api, stream)], of


def held_to(goals: Sequence[Goal], case: Case, result: RunResult) -> Held:
    """What the case came to by its bounds, if it has any."""
    if not goals:
        return Held()
    whole = with_implied(goals)
    # Failures that nobody bounded are faults, as ever.
    judged = [goal for goal in of_the_run(whole) if goal.name != ERRORS or not goal.implied]
    recorded = Recorded.of(result)
    tallies, waits, others = counted_by_goal(whole, recorded, result.errors, result.wall_s)
    rules, reasons, nothing, doubts = [], [], [], []
    for goal in judged:
        crowded = others.get(goal.measure, waits)
        found = judge(goal, [[(tallies[goal.name], crowded)]], CONFIDENCE)
        rules.append(_rule(goal, found, result))
        if found.value is None:
            nothing.append(f"--slo {goal}: {goal.name} was not measured of any request")
        elif not found.met:
            reasons.append(_said(goal, found, result))
        elif found.verdict(CONFIDENCE) != HOLDS and goal.share != 0:
            doubts.append(_doubt(goal, found, case, result))
    return Held(
        tuple(rules),
        tuple(reasons),
        tuple(nothing),
        tuple(doubts),
        goodput_of(goals, result),
        any(goal.name in (ERRORS, GOODPUT) for goal in judged),
    )


def goodput_of(goals: Sequence[Goal], result: RunResult) -> GoodputEntry | None:
    """Requests that kept every bound: as the engine counted them, or where the response time alone
    is bounded, from its histogram. None where no request is bounded by itself, or nobody counted.
    """
    bounded = of_each_request(goals)
    if not bounded:
        return None
    good, estimate = result.good, result.good_per_s
    if good is None:
        if [goal.measure for goal in bounded] != [RESPONSE]:
            return None
        good = _within(result.response, bounded[0])
    return GoodputEntry(
        goals=[str(goal) for goal in bounded],
        good=good,
        good_per_s=good / result.wall_s if result.wall_s > 0 else None,
        half_width=None if estimate is None else estimate.half_width,
        batches=None if estimate is None else estimate.batches,
    )


def with_goals(row: Row) -> Row:
    """The row, whose goodput in tokens says what it is by."""
    tokens, goodput = row.tokens, row.goodput
    if tokens is None or tokens.goodput is None or goodput is None:
        return row
    said = tokens.goodput.changed(goals=goodput.goals)
    return row.changed(tokens=tokens.changed(goodput=said))


def _within(response: Histogram, goal: Goal) -> int:
    """A histogram bin that straddles the bound (0.1 % wide) counts as over."""
    index = response.counts.nonzero()[0]
    within = Histogram.tops_ns(index) <= (goal.allowed or 0)
    return int(response.counts[index][within].sum())


def _rule(goal: Goal, found: Judgement, result: RunResult) -> RuleEntry:
    """As the row has it: of a percentile the percentile itself, of a share the share in %."""
    measured, needed, unit = _figures(goal, found, result)
    verdict = found.verdict(CONFIDENCE)
    return RuleEntry(
        name=goal.name.replace("_", " "),
        needed=needed,
        measured=measured,
        passed=found.met,
        advice="" if found.met else "a lower load, or another bound",
        unit=unit,
        bound="at least" if goal.at_least else "at most",
        code=CODE,
        held=verdict,
        share_percent=None if goal.share is None or found.value is None else 100 * found.value,
        share_interval_percent=_interval(goal, found),
    )


def _interval(goal: Goal, found: Judgement) -> list[float | None] | None:
    """Where the share that missed the bound lies, at 95 % for both ends together."""
    ends = None if goal.share is None else found.interval(1 - (1 - CONFIDENCE) / 2)
    return None if ends is None else [100 * end for end in ends]


def _figures(
    goal: Goal, found: Judgement, result: RunResult
) -> tuple[float | None, float | None, str]:
    """Measured, needed, and their unit."""
    if goal.allowed is None:
        share = goal.share or 0.0
        seen = found.value
        if goal.name == GOODPUT:
            return None if seen is None else 100 * (1 - seen), 100 * (1 - share), "%"
        return None if seen is None else 100 * seen, 100 * share, "%"
    measured = BY_NAME.get(goal.measure)
    timed = measured is None or measured.unit == "ns"
    unit = "ms" if timed or measured is None else measured.unit
    scale = NS_PER_MS if timed or measured is None else float(measured.scale)
    if goal.percentile is None:
        value = found.value
    else:
        values = _values(goal, result)
        at = 100 - goal.percentile if goal.at_least else goal.percentile
        value = float(values.percentile_ns(at)) if values.count else None
    return None if value is None else value / scale, goal.allowed / scale, unit


def _values(goal: Goal, result: RunResult) -> Histogram:
    if goal.measure == RESPONSE:
        return result.response
    found = result.measures.get(goal.measure)
    return Histogram() if found is None else found.histogram


def _said(goal: Goal, found: Judgement, result: RunResult) -> str:
    measured, needed, unit = _figures(goal, found, result)
    bound = "at least" if goal.at_least else "at most"
    if unit == "ms" and needed is not None and needed < 1 and measured is not None:
        measured, needed, unit = measured * 1000, needed * 1000, "us"
    said = f"--slo {goal}: {number(measured, 4)} {unit}, needed {bound} {number(needed, 6)} {unit}"
    if goal.share is not None and goal.allowed is not None:
        beyond = "below" if goal.at_least else "over"
        said += (
            f"; {percent(found.value or 0.0)} of {_counted(goal, found)} are {beyond} it or failed"
            f", {percent(goal.share)} may be"
        )
    if found.verdict(CONFIDENCE) != FAILS and goal.share != 0:
        said += f" (so few that it may be chance: {_worth(goal, found)})"
    return said


def _counted(goal: Goal, found: Judgement) -> str:
    return counted(found.requests, goal.measure.replace("_", " ") if goal.many else "request")


def _worth(goal: Goal, found: Judgement) -> str:
    if goal.share is None:
        return f"{counted(round(found.effective), 'batch')}".replace("batchs", "batches")
    worth = max(math.floor(found.effective), 0)
    return f"{_counted(goal, found)}, worth {number(worth)} independent ones"


def _doubt(goal: Goal, found: Judgement, case: Case, result: RunResult) -> DoubtEntry:
    """That it holds as measured, and might do so by chance."""
    times = 4.0
    if goal.share and found.effective > 0 and not found.value:
        least = math.log(1 - CONFIDENCE) / math.log(1 - goal.share)
        times = max(_SURER * least / found.effective, _SURER)
    needed_s = times * result.wall_s
    return DoubtEntry(
        code=UNCLEAR_CODE,
        text=f"--slo {goal} holds as measured, which may be chance: {_worth(goal, found)}",
        cure=cures.longer(case, needed_s),
        needed_s=needed_s,
    )

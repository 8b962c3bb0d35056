"""The conditions of `--fail_if`, and whether what was measured decides them.

A condition says that a figure is slower by at least a share. It holds if the figure is slower, so
that it stands beside all the figures that the condition is about, and by at least that share. It
does not hold if the interval of each of these figures excludes a change so large. Everything else
is unclear: the gate cannot tell, and says how long one would have to measure.

Two kinds of error are kept apart. A condition that holds anywhere is one of many that might, so
chance is shared between them (Holm, qs.comparison.verdict). That it holds nowhere must be true of
every figure at once, and each interval excludes it with full confidence: the intersection-union
test, which needs no correction (R. L. Berger, "Multiparameter hypothesis testing and acceptance
sampling", Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qs.base.words import signed_percent
from qs.comparison.difference import LEVEL, SLOWER, Difference, VarianceSource, difference_from
from qs.comparison.verdict import ComparedCase, holm, weights_of
from qs.gates.grammar import Change
from qs.result.part import Word

LONGEST_S = 4 * 3600.0  # nobody waits longer for a gate
STEP = 1.1  # how exactly the time that a gate needs is found


class State(Word):
    """Whether a condition holds."""

    HOLDS = "holds"
    DOES_NOT = "does not hold"
    UNCLEAR = "cannot tell"


@dataclass(frozen=True)
class JudgedFigure:
    """What a condition says of one figure of one case."""

    case: ComparedCase
    difference: Difference
    state: State
    # How long each run of both sides must last to decide it, in seconds; None if no length would.
    # For a figure whose interval is not known, the least that gives one.
    needs_s: float | None = None

    def __str__(self) -> str:
        each = self.difference
        said = f"{each.metric.name} {signed_percent(each.change)}"
        if self.state is not State.UNCLEAR:
            return said
        if each.low is None or each.high is None:
            return f"{said}, {each.why}" if each.why else said
        return f"{said} [{signed_percent(each.low)}, {signed_percent(each.high)}]"

    def to_dict(self) -> dict[str, Any]:
        each = self.difference
        return {
            "case": self.case.title,
            "metric": each.metric.name,
            "state": self.state.value,
            "change": each.change,
            "interval": None if each.low is None else [each.low, each.high],
            "needs_s": self.needs_s,
            "why": each.why or None,
        }


@dataclass(frozen=True)
class Judgement:
    """Whether one condition holds, and of which figures."""

    condition: Change
    figures: tuple[JudgedFigure, ...]

    @property
    def state(self) -> State:
        states = {each.state for each in self.figures}
        for state in (State.HOLDS, State.UNCLEAR):
            if state in states:
                return state
        return State.DOES_NOT if states else State.UNCLEAR

    def those(self, state: State) -> list[JudgedFigure]:
        return [each for each in self.figures if each.state is state]

    @property
    def needs_s(self) -> float | None:
        """How long to measure so that every figure is decided; None if no length would do."""
        needed = [each.needs_s for each in self.those(State.UNCLEAR)]
        return None if not needed or None in needed else max(each or 0.0 for each in needed)

    def to_dict(self) -> dict[str, Any]:
        return {
            "condition": str(self.condition),
            "state": self.state.value,
            "needs_s": self.needs_s if self.state is State.UNCLEAR else None,
            "figures": [each.to_dict() for each in self.figures],
        }


def judge(
    conditions: Sequence[Change], cases: Sequence[ComparedCase], margin: float
) -> list[Judgement]:
    """Whether each condition holds of the compared cases. `margin` is that of the comparison."""
    return [_judged(condition, cases, margin) for condition in conditions]


def met(judged: Iterable[Judgement]) -> list[str]:
    """Everything that holds, one line each."""
    return [
        f"{each.condition}: {figure.case.title}: {figure}"
        for each in judged
        for figure in each.those(State.HOLDS)
    ]


def _judged(condition: Change, cases: Sequence[ComparedCase], margin: float) -> Judgement:
    regarded = [
        (case, each)
        for case in cases
        if not condition.selector.words or condition.selector.takes(case.b.row)
        for each in case.differences
        if _regards(condition, each)
    ]
    tested = [(case, each) for case, each in regarded if each.p is not None]
    weights = weights_of(tested)
    adjusted = iter(holm([each.p or 0.0 for _, each in tested], weights))
    tests = {id(each): sum(weights) / weight for (_, each), weight in zip(tested, weights)}
    figures = []
    for case, each in regarded:
        stands = each.p is not None and next(adjusted) < 1.0 - LEVEL
        state = _state(condition, each, stands)
        needs = (
            _needed_s(condition, case, each, tests.get(id(each), 1.0), margin)
            if state is State.UNCLEAR
            else None
        )
        figures.append(JudgedFigure(case, each, state, needs))
    return Judgement(condition, tuple(figures))


def _regards(condition: Change, difference: Difference) -> bool:
    """Whether it is about this figure. A percentile that has too few queries to be reported is
    judged only where the condition names it.
    """
    if condition.figure is None:
        return not difference.unreported
    return difference.metric.name == condition.figure


def _state(condition: Change, difference: Difference, stands: bool) -> State:
    """Of one figure, that is slower beside all others if it `stands`."""
    worst, worse = difference.worst, difference.worse
    if worst is None or worse is None:
        return State.UNCLEAR
    if stands and difference.verdict == SLOWER and worse >= condition.share:
        return State.HOLDS
    return State.DOES_NOT if worst < condition.share else State.UNCLEAR


def _needed_s(
    condition: Change, case: ComparedCase, difference: Difference, tests: float, margin: float
) -> float | None:
    """How long each run must last for the figure to be decided, if it stays as it is now, as one of
    so many tests.
    """
    if difference.low is None:
        return difference.needs_s
    lengths = {
        f"within {name}": max(side.length_s, 1e-3) for name, side in zip("AB", (case.a, case.b))
    }
    lengths["within A and B"] = min(lengths.values())

    def decided(seconds: float) -> bool:
        longer = _longer(difference, lengths, seconds, margin)
        stands = longer.p is not None and longer.p * tests < 1.0 - LEVEL
        return _state(condition, longer, stands) is not State.UNCLEAR

    short, long = min(lengths.values()), LONGEST_S
    if not decided(long):
        return None
    while long > STEP * short:
        middle = math.sqrt(short * long)
        short, long = (short, middle) if decided(middle) else (middle, long)
    return long


def _longer(
    difference: Difference, lengths: dict[str, float], seconds: float, margin: float
) -> Difference:
    """The same figures from runs of that length: what varies within a run averages out, what
    differs between runs does not.
    """
    assert difference.a is not None and difference.b is not None
    sources = tuple(
        _scaled(each, seconds / lengths.get(each.source, seconds)) for each in difference.sources
    )
    return difference_from(difference.metric, difference.a, difference.b, sources, margin)


def _scaled(source: VarianceSource, times: float) -> VarianceSource:
    return replace(
        source, variance=source.variance / times, freedom=max(source.freedom * times, 1.0)
    )

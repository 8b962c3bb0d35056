"""Holding a result to bounds on its figures: `p99>50ms` holds, does not hold, or cannot be told.

A figure with a 95 % interval is beyond a bound if the whole interval is; one that has none, or
whose interval includes the bound, cannot tell. Counts, memory and scores are facts: those of a
data set are exact for its items, and their interval is shown, since other items would give others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from qs.base.names import nearest
from qs.base.words import number
from qs.gates.deciding import seconds_needed
from qs.gates.figures import Figure, Histogram, Seen
from qs.gates.grammar import ACCURACY, Bound, Selector, words_of
from qs.result.gate import GateEntry, GateOutcome
from qs.result.longer import longer_command
from qs.result.result import Result
from qs.result.row import Row
from qs.result.story import AGREEMENT, Score, metrics_of, named


def judged(bounds: Sequence[Bound], result: Result, histogram: Histogram) -> list[GateEntry]:
    """What becomes of each condition, an entry for each case that it takes. `histogram` gives the
    text of a log that a row names. Those that cannot be told name one command that tells all.
    """
    found: list[GateEntry] = []
    seconds: list[float] = []
    for bound in bounds:
        if bound.figure is None:
            found.append(_scored(bound, result))
            continue
        cases = [each for each in named(result.performance) if bound.selector.takes(each.row)]
        if not cases:
            found.append(_unclear(bound, _no_case(bound.selector, result.performance)))
        for case in cases:
            seen = bound.figure.of(case.row, histogram, bound.share)
            name = case.name if len(result.performance) > 1 else f"BS {case.row.batch_size}"
            found.append(_measured(bound, bound.figure, name, case.row, seen))
            if found[-1].outcome is GateOutcome.UNCLEAR:
                seconds.append(seconds_needed(case.row, seen, bound.value) or math.inf)
    longest = max((each for each in seconds if math.isfinite(each)), default=None)
    command = None if longest is None else longer_command(result.command, longest)
    return [_with(entry, command) for entry in found]


def _measured(bound: Bound, figure: Figure, name: str, row: Row, seen: Seen) -> GateEntry:
    scale = 100.0 if bound.share else 1.0
    outcome, why = outcome_of(bound, seen), None
    if outcome is GateOutcome.UNCLEAR:
        why = "it could not be measured" if not row.completed else seen.why
        why = why or "the interval includes the bound"
    return GateEntry(
        condition=str(bound),
        outcome=outcome,
        case=name,
        figure=figure.name,
        value=_scaled(seen.value, scale),
        low=_scaled(seen.low, scale),
        high=_scaled(seen.high, scale),
        unit="%" if bound.share else figure.shown_in,
        why=why,
    )


def _unclear(bound: Bound, why: str) -> GateEntry:
    name = bound.figure.name if bound.figure else bound.metric
    return GateEntry(condition=str(bound), outcome=GateOutcome.UNCLEAR, figure=name, why=why)


def _with(entry: GateEntry, command: str | None) -> GateEntry:
    told = entry.case is None or entry.outcome is not GateOutcome.UNCLEAR
    return entry if told or command is None else entry.changed(decide=command)


def outcome_of(bound: Bound, seen: Seen) -> GateOutcome:
    """Holds if all of the interval meets the bound, does not if none of it does."""
    if seen.value is None or seen.low is None or seen.high is None:
        return GateOutcome.UNCLEAR
    met = {bound.met(end) for end in (seen.low, seen.high)}
    if len(met) == 2:
        return GateOutcome.UNCLEAR
    return GateOutcome.HOLDS if met == {True} else GateOutcome.NOT


def _scored(bound: Bound, result: Result) -> GateEntry:
    """A metric of the data set, or a figure of the agreement with the reference."""
    section = result.accuracy
    scores = list(_scores(result))
    score = _named(bound.metric, scores)
    if score is None:
        if section is None or section.not_measured:
            why = (section and section.not_measured) or "no accuracy was measured"
        else:
            names = ", ".join(each.name for each in scores) or "nothing"
            near = nearest(bound.metric, [each.name for each in scores])
            why = f"the data set reports {names}" + (f"; did you mean {near!r}?" if near else "")
        return _unclear(bound, why)
    low, high = score.interval or (None, None)
    return GateEntry(
        condition=str(bound),
        outcome=GateOutcome.HOLDS if bound.met(float(score.value)) else GateOutcome.NOT,
        figure=score.name,
        value=score.value,
        low=low,
        high=high,
    )


def _scores(result: Result) -> Iterator[Score]:
    if result.accuracy is not None:
        yield from metrics_of(result.accuracy)
        numbers = result.accuracy.numbers()
        yield from (Score(name, numbers[name]) for name in AGREEMENT if name in numbers)


def _named(name: str, scores: Sequence[Score]) -> Score | None:
    """By its name; "accuracy" is the first metric, if none is called so."""
    for score in scores:
        if score.name.lower() == name.lower():
            return score
    first = next((each for each in scores if each.name not in AGREEMENT), None)
    return first if name.lower() == ACCURACY else None


def _no_case(selector: Selector, rows: Iterable[Row]) -> str:
    if not (rows := list(rows)):
        return "nothing was measured"
    sizes = ", ".join(f"bs{number(row.batch_size)}" for row in rows[:8])
    near = nearest(str(selector), {word for row in rows for word in words_of(row)})
    meant = f"; did you mean {near}?" if near else ""
    return f"no case is {selector}; measured: {sizes}{meant}"


def _scaled(value: float | None, scale: float) -> float | None:
    return value if value is None or scale == 1.0 else value * scale

"""The conditions of `qs ci`, and what the rounds say of them: a change between old and new, or a
bound on the new.

A condition holds if all of the interval of a figure is beyond it, of any figure that it names;
chance is shared between the figures (Holm, qs.comparison.verdict). It does not hold if all of the
interval is on this side of it. `slower:5%` names no figure: then the leading one of each case
(throughput; in open loop, where the schedule sets that, the mean response time) says that it does
not hold, since a tail that cannot be told would keep most gates from ever passing; every figure may
say that it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from qs.base.scenarios import OFFLINE
from qs.ci.sequential import FEWEST, Mean, risk_of, rounds_needed
from qs.comparison.measured import MEASURED_METRICS, METRICS, OVERLOAD, ComparedMetric
from qs.comparison.verdict import holm
from qs.gates.figures import Figure, Unit
from qs.gates.grammar import Bound, Change
from qs.result.gate import GateEntry, GateOutcome, overall
from qs.result.row import Row

HOLDS, NOT, UNCLEAR = GateOutcome.HOLDS, GateOutcome.NOT, GateOutcome.UNCLEAR
INCLUDED = "the interval includes the bound"
# Of a figure that is a fact: how that of all rounds follows from those of each.
_OVER_ROUNDS: dict[str, Callable[[Sequence[float]], float]] = {
    "errors": sum,
    "completed": sum,
    "min": min,
}


@dataclass
class CiCase:
    """A case of both sides, and its rounds so far: (old, new)."""

    name: str
    title: str
    rounds: list[tuple[Row, Row]] = field(default_factory=list)

    @property
    def row(self) -> Row:
        return self.rounds[0][1]

    @property
    def metrics(self) -> list[ComparedMetric]:
        """The figures that every round has on both sides."""
        if not self.rounds:
            return []
        offline = self.row.scenario == OFFLINE
        # Of a load that neither side keeps up with, response times say how long it lasted.
        behind = all(OVERLOAD in row.warning_codes for row in self.rounds[-1])
        return [
            metric
            for metric in (*METRICS, *MEASURED_METRICS)
            if (metric.rate or not (offline or behind))
            and all((metric.column.of(row) or 0.0) > 0.0 for pair in self.rounds for row in pair)
        ]

    @property
    def leading(self) -> str:
        return "mean" if self.row.open_loop and self.row.scenario != OFFLINE else "throughput"

    def changes(self, metric: ComparedMetric) -> Mean | None:
        """Of log(new / old)."""
        return Mean.of(
            [math.log(metric.column.of(new) / metric.column.of(old)) for old, new in self.rounds]
        )

    def level(self, metric: ComparedMetric, side: int) -> float:
        """The geometric mean of a side's rounds."""
        logs = [math.log(metric.column.of(pair[side])) for pair in self.rounds]
        return math.exp(sum(logs) / len(logs))


@dataclass
class Gate:
    """Conditions over all cases; what was decided once stays so."""

    conditions: Sequence[Bound | Change]
    cases: Sequence[CiCase]
    decided: dict[tuple[str, str], GateEntry] = field(default_factory=dict)
    # Of the last look: what is shown beside the figures.
    risk: float = 0.0

    @property
    def done(self) -> bool:
        """Whether more rounds would change nothing."""
        found = list(self.decided.values())
        if any(each.outcome is HOLDS for each in found):
            return True
        wanted = [self._key(condition, case) for condition, case in self._pairs()]
        return bool(wanted) and all(key in self.decided for key in wanted)

    def look(self, last: bool = False) -> None:
        """Decide what can be decided. `last`: there will be no more rounds."""
        rounds = max((len(case.rounds) for case in self.cases), default=0)
        if rounds < FEWEST:
            return
        self.risk = risk_of(rounds, last)
        for condition in self.conditions:
            for entry in self._judged(condition, last):
                key = (str(condition), entry.case or "")
                if entry.outcome is not UNCLEAR:
                    self.decided.setdefault(key, entry)

    def entries(self) -> list[GateEntry]:
        """What became of each condition in each case; call it after the last look."""
        found = []
        for condition in self.conditions:
            judged = {each.case: each for each in self._judged(condition, True)}
            cases = [case for each, case in self._pairs() if each is condition]
            if not cases:
                why = f"no case is {condition.selector}"
                found.append(GateEntry(condition=str(condition), outcome=UNCLEAR, why=why))
            for case in cases:
                key = self._key(condition, case)
                found.append(self.decided.get(key) or judged.get(case.title) or self._none(*key))
        return found

    @property
    def outcome(self) -> GateOutcome:
        return overall(self.entries())

    def needed(self) -> float | None:
        """How many rounds would decide what is open; None if no number would, or it is unknown."""
        found: list[float] = []
        for condition, case in self._pairs():
            if self._key(condition, case) in self.decided:
                continue
            mean, bound = self._open(condition, case)
            needed = None if mean is None else rounds_needed(mean, bound, risk_of(0, True))
            if needed is None:
                return None
            found.append(needed)
        return max(found, default=None)

    def _pairs(self) -> Iterator[tuple[Bound | Change, CiCase]]:
        for condition in self.conditions:
            for case in self.cases:
                if not case.rounds or condition.selector.takes(case.row):
                    yield condition, case

    def _key(self, condition: Bound | Change, case: CiCase) -> tuple[str, str]:
        return str(condition), case.title

    def _none(self, condition: str, case: str) -> GateEntry:
        return GateEntry(
            condition=condition, outcome=UNCLEAR, case=case, why="too few rounds were measured"
        )

    def _judged(self, condition: Bound | Change, last: bool) -> list[GateEntry]:
        cases = [
            case for each, case in self._pairs() if each is condition and len(case.rounds) >= FEWEST
        ]
        if isinstance(condition, Bound):
            return [self._bound(condition, case, last) for case in cases]
        return self._changes(condition, cases)

    def _changes(self, condition: Change, cases: Sequence[CiCase]) -> list[GateEntry]:
        tests: list[tuple[CiCase, ComparedMetric, Mean]] = []
        for case in cases:
            for metric in case.metrics:
                mean = case.changes(metric)
                if mean is not None and condition.figure in (None, metric.name):
                    tests.append((case, metric, mean))
        adjusted = holm(
            [_worse(metric, mean).above(_bound(metric, condition)) for _, metric, mean in tests]
        )
        found = []
        for case in cases:
            own = [(test, p) for test, p in zip(tests, adjusted) if test[0] is case]
            holding = [test for test, p in own if p < self.risk]
            name = condition.figure or case.leading
            leading = next((test for test, _ in own if test[1].name == name), None)
            if holding:
                worst = max(holding, key=lambda test: _worse(test[1], test[2]).value)
                found.append(self._entry(condition, case, worst[1], worst[2], HOLDS))
            elif leading is None:
                found.append(self._missing(condition, case, name))
            else:
                _, metric, mean = leading
                high = _worse(metric, mean).interval(self.risk)[1]
                outcome = NOT if high < _bound(metric, condition) else UNCLEAR
                found.append(self._entry(condition, case, metric, mean, outcome))
        return found

    def _missing(self, condition: Bound | Change, case: CiCase, name: str) -> GateEntry:
        why = f"{name} was not measured in every round: too few queries in a block, or none"
        if OVERLOAD in case.row.warning_codes and name != "throughput":
            why = f"neither side keeps up with the load, so {name} says nothing"
        return GateEntry(
            condition=str(condition), outcome=UNCLEAR, case=case.title, figure=name, why=why
        )

    def _entry(
        self,
        condition: Change,
        case: CiCase,
        metric: ComparedMetric,
        mean: Mean,
        outcome: GateOutcome,
    ) -> GateEntry:
        low, high = mean.interval(self.risk)
        return GateEntry(
            condition=str(condition),
            outcome=outcome,
            case=case.title,
            figure=f"change of {metric.name}",
            value=as_percent(mean.value),
            low=as_percent(low),
            high=as_percent(high),
            unit="%",
            why=INCLUDED if outcome is UNCLEAR else None,
        )

    def _bound(self, bound: Bound, case: CiCase, last: bool) -> GateEntry:
        figure = bound.figure
        assert figure is not None  # qs ci takes no scores
        values = [figure.value(new) for _, new in case.rounds]
        known = [float(value) for value in values if value is not None]
        if not known or len(known) < len(values):
            return self._missing(bound, case, figure.name)
        if _is_fact(figure):
            value = float(_OVER_ROUNDS.get(figure.name, max)(known))
            if bound.share:
                queries = sum((new.completed or 0) + (new.errors or 0) for _, new in case.rounds)
                value = value / max(queries, 1)
            met = bound.met(value)
            final = met and figure.name != "completed"
            outcome = HOLDS if met and (final or last) else NOT if last else UNCLEAR
            low = high = value
        else:
            mean = Mean.of([math.log(value) if value > 0 else math.nan for value in known])
            if mean is None:
                return self._missing(bound, case, figure.name)
            low, high = (math.exp(end) for end in mean.interval(self.risk))
            value = math.exp(mean.value)
            both = {bound.met(low), bound.met(high)}
            outcome = UNCLEAR if len(both) == 2 else HOLDS if both == {True} else NOT
        scale = 100.0 if bound.share else 1.0
        return GateEntry(
            condition=str(bound),
            outcome=outcome,
            case=case.title,
            figure=f"new {figure.name}",
            value=value * scale,
            low=low * scale,
            high=high * scale,
            unit="%" if bound.share else figure.shown_in,
            why=INCLUDED if outcome is UNCLEAR else None,
        )

    def _open(self, condition: Bound | Change, case: CiCase) -> tuple[Mean | None, float]:
        """The mean and the bound that are not parted yet."""
        if len(case.rounds) < FEWEST:
            return None, 0.0
        if isinstance(condition, Change):
            name = condition.figure or case.leading
            metric = next((each for each in case.metrics if each.name == name), None)
            mean = None if metric is None else case.changes(metric)
            if metric is None or mean is None:
                return None, 0.0
            return _worse(metric, mean), _bound(metric, condition)
        assert condition.figure is not None
        values = [condition.figure.value(new) or 0.0 for _, new in case.rounds]
        if _is_fact(condition.figure) or not all(values) or condition.value <= 0.0:
            return None, 0.0
        return Mean.of([math.log(value) for value in values]), math.log(condition.value)


def _is_fact(figure: Figure) -> bool:
    return figure.unit in (Unit.COUNT, Unit.BYTES) or figure.attribute in (
        "min",
        "max",
        "min_ms",
        "max_ms",
        "first_inference_ms",
    )


def _worse(metric: ComparedMetric, mean: Mean) -> Mean:
    """In the direction of slower."""
    return Mean(-mean.value, mean.error, mean.freedom) if metric.rate else mean


def _bound(metric: ComparedMetric, condition: Change) -> float:
    """The change of the logarithm that a condition speaks of: 5 % less throughput, 5 % more
    time.
    """
    if not metric.rate:
        return math.log1p(condition.share)
    return -math.log1p(-condition.share) if condition.share < 1.0 else math.inf


def as_percent(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, 700.0)) * 100.0

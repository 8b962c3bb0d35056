"""From the differences of single figures to one verdict for each case, one for the whole
comparison, and the conditions of `--fail_if`.

With many comparisons, some look different by chance alone. So a figure counts as slower or faster
only if that stands beside all the others (S. Holm, "A simple sequentially rejective multiple test
procedure", Scandinavian Journal of Statistics 6, 1979): the chance of even one false alarm is then
at most 5 %, however many cases there are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.base.scenarios import OFFLINE
from qs.base.words import number, signed_percent
from qs.compare.difference import CANNOT_TELL, FASTER, LEVEL, SAME, SLOWER, Difference
from qs.compare.measured import NAMES, CaseRuns
from qs.result.keys import Key, title_of

MIXED = "mixed"
FLAG = "--fail_if"
ALLOWED = "slower:5%, or for one figure: p99.slower:10%, throughput.slower:3%; separated by commas"
_CONDITION = re.compile(r"(?:(?P<metric>.+)\.)?(?P<word>\w+):(?P<share>[^:%]+)%?")


@dataclass(frozen=True)
class ComparedCase:
    """One case that both results have."""

    key: Key
    a: CaseRuns
    b: CaseRuns
    differences: tuple[Difference, ...]
    # Which of the differences count beside all the others.
    stands: tuple[bool, ...] = ()

    @property
    def leading(self) -> str:
        """The figure that decides "the same": in open loop the schedule sets the throughput."""
        return "mean" if self.a.open_loop and self.a.scenario != OFFLINE else "throughput"

    @property
    def verdict(self) -> str:
        found = {each.verdict for each, stands in zip(self.differences, self.stands) if stands}
        if {SLOWER, FASTER} <= found:
            return MIXED
        for verdict in (SLOWER, FASTER):
            if verdict in found:
                return verdict
        leading = next(each for each in self.differences if each.metric.name == self.leading)
        return SAME if leading.verdict == SAME else CANNOT_TELL

    @property
    def alone(self) -> list[Difference]:
        """Those that differ on their own, but do not stand beside the others."""
        return [
            each
            for each, stands in zip(self.differences, self.stands)
            if each.verdict in (SLOWER, FASTER) and not stands
        ]

    @property
    def title(self) -> str:
        ours, theirs = title_of(self.a.row), title_of(self.b.row)
        return ours if ours == theirs else f"{ours} against {theirs}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know about the measurements themselves."""
        sides = (("A", self.a), ("B", self.b))
        notes = [f"{name}: {side.missing}" for name, side in sides if side.missing]
        notes += [f"{name} is INVALID: {reason}" for name, side in sides for reason in side.invalid]
        if self.a.overloaded != self.b.overloaded:
            which = "A" if self.a.overloaded else "B"
            notes.append(f"{which} could not keep up with the load, the other could")
        return notes


@dataclass(frozen=True)
class Headline:
    """The verdict of a whole comparison."""

    verdict: str
    # How many figures were compared.
    tests: int
    # Cases by verdict.
    counts: dict[str, int] = field(default_factory=dict)

    def sentence(self) -> str:
        parts = [f"{count} {verdict}" for verdict, count in self.counts.items()]
        cases = sum(self.counts.values())
        return (
            f"{self.verdict}: of {cases} case{'s' * (cases != 1)} {', '.join(parts)}"
            if cases > 1
            else self.verdict
        )


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities adjusted for their number: reject those below the level."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(values[at] * (len(values) - rank), 1.0))
        adjusted[at] = highest
    return adjusted


def settled(cases: Iterable[ComparedCase]) -> list[ComparedCase]:
    """The cases of all comparisons made at once, with what stands beside all of them."""
    cases = list(cases)
    tests = [each.p for case in cases for each in case.differences if each.p is not None]
    adjusted = iter(holm(tests))
    return [
        replace(
            case,
            stands=tuple(
                each.p is not None and next(adjusted) < 1.0 - LEVEL for each in case.differences
            ),
        )
        for case in cases
    ]


def headline_of(cases: Sequence[ComparedCase]) -> Headline:
    """One verdict: slower if something is slower and nothing faster; the same only if every case
    is.
    """
    counts = Counter(case.verdict for case in cases)
    tests = sum(each.p is not None for case in cases for each in case.differences)
    if counts[MIXED] or (counts[SLOWER] and counts[FASTER]):
        verdict = MIXED
    elif counts[SLOWER] or counts[FASTER]:
        verdict = SLOWER if counts[SLOWER] else FASTER
    else:
        verdict = SAME if cases and counts[SAME] == len(cases) else CANNOT_TELL
    order = (SLOWER, FASTER, MIXED, SAME, CANNOT_TELL)
    return Headline(verdict, tests, {name: counts[name] for name in order if counts[name]})


@dataclass(frozen=True)
class Condition:
    """A condition of --fail_if: a figure is slower by at least `share`, and that stands beside all
    others that were compared.
    """

    share: float
    # None: any figure.
    metric: str | None = None

    def __str__(self) -> str:
        return f"{self.metric + '.' if self.metric else ''}slower:{self.share * 100:g}%"

    def met_by(self, cases: Iterable[ComparedCase]) -> list[str]:
        """Where it holds, in words; empty if nowhere."""
        return [
            f"{case.title}: {each.metric.name} {signed_percent(each.change)}"
            for case in cases
            for each, stands in zip(case.differences, case.stands)
            if stands
            and each.verdict == SLOWER
            and self.metric in (None, each.metric.name)
            and each.change is not None
            and (each.worse or 0.0) >= self.share
        ]


def parse_conditions(texts: Iterable[str], margin: float) -> tuple[Condition, ...]:
    """Conditions, one in each text or several separated by commas. Raises Faults with everything
    that is wrong with them.
    """
    conditions: list[Condition] = []
    faults: list[Fault] = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        condition = _condition(part, margin)
        if isinstance(condition, Fault):
            faults.append(condition)
        else:
            conditions.append(condition)
    if faults:
        raise Faults(faults)
    return tuple(conditions)


def met(conditions: Sequence[Condition], cases: Sequence[ComparedCase]) -> list[str]:
    """Everything that holds, one line each."""
    return [
        f"{condition}: {where}" for condition in conditions for where in condition.met_by(cases)
    ]


def _condition(text: str, margin: float) -> Condition | Fault:
    matched = _CONDITION.fullmatch(text.lower())
    if matched is None or matched["word"] != SLOWER:
        return Fault(FLAG, "", text, ALLOWED)
    metric = matched["metric"]
    if metric is not None and metric not in NAMES:
        allowed = f"one of {', '.join(NAMES)} before .slower"
        return Fault(FLAG, "", text, allowed, nearest=nearest(metric, NAMES))
    percent = text.endswith("%")
    try:
        share = float(matched["share"]) / (100.0 if percent else 1.0)
    except ValueError:
        return Fault(FLAG, "", text, ALLOWED)
    if not (math.isfinite(share) and share > 0.0 and (percent or share < 1.0)):
        return Fault(FLAG, "", text, "a share above 0, such as 5% or 0.05")
    if share < margin:
        hint = (
            f"differences within the margin of {number(margin * 100)} % are called the same: "
            f"add --margin {share * 100:g}%"
        )
        return Fault(FLAG, "", text, f"at least the margin, {margin * 100:g}%", hint=hint)
    return Condition(share, metric)

"""From the differences of single figures to one verdict for each case, and one for the whole
comparison.

With many comparisons, some look different by chance alone. So a figure counts as slower or faster
only if that stands beside all the others (S. Holm, "A simple sequentially rejective multiple test
procedure", Scandinavian Journal of Statistics 6, 1979): the chance of even one false alarm is then
at most 5 %, however many cases there are. Figures do not share it alike: see `weights_of`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from qs.base.scenarios import OFFLINE
from qs.comparison.difference import CANNOT_TELL, FASTER, LEVEL, SAME, SLOWER, Difference
from qs.comparison.energy import energy_notes
from qs.comparison.measured import CaseRuns
from qs.result.keys import Key, title_of

MIXED = "mixed"


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
        return [*notes, *energy_notes(self.a.rows, self.b.rows)]


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
            f"{self.verdict} ({', '.join(parts)}, of {cases} cases)" if cases > 1 else self.verdict
        )


def holm(values: Sequence[float], weights: Sequence[float] = ()) -> list[float]:
    """Probabilities adjusted for their number: reject those below the level. Weights, all 1 if none
    are given, are shares of the level (Holm's section 3).
    """
    weights = weights or [1.0] * len(values)
    order = sorted(range(len(values)), key=lambda at: values[at] / weights[at])
    adjusted, highest, left = [0.0] * len(values), 0.0, sum(weights)
    for at in order:
        highest = max(highest, min(values[at] / weights[at] * left, 1.0))
        left -= weights[at]
        adjusted[at] = highest
    return adjusted


def weights_of(tested: Sequence[tuple[ComparedCase, Difference]]) -> list[float]:
    """The leading figures of the cases have one half of the level, all others the other half: more
    percentiles must not hide that the throughput fell.
    """
    leading = [each.metric.name == case.leading for case, each in tested]
    many, few = leading.count(False), leading.count(True)
    return [1.0 / few if first else 1.0 / many for first in leading]


def settled(cases: Iterable[ComparedCase]) -> list[ComparedCase]:
    """The cases of all comparisons made at once, with what stands beside all of them."""
    cases = list(cases)
    tested = [(case, each) for case in cases for each in case.differences if each.p is not None]
    adjusted = iter(holm([each.p or 0.0 for _, each in tested], weights_of(tested)))
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

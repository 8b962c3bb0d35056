"""From the differences of single figures to one verdict for each case and one for the whole
comparison.

Of many comparisons some look different by chance alone. So here a figure counts as slower or faster
only where that stands beside all others (S. Holm, "A simple sequentially rejective multiple test
procedure", Scandinavian Journal of Statistics 6, 1979): the chance of even one false alarm is then
at most 5 %, however many cases there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qs.compare.difference import CANNOT_TELL, FASTER, LEVEL, SAME, SLOWER, Difference
from qs.compare.measured import OFFLINE, Measured
from qs.result.keys import Key

MIXED = "mixed"


@dataclass(frozen=True)
class Case:
    """One case that both results have. `stands`: which of the differences count beside all the
    others.
    """

    key: Key
    title: str
    a: Measured
    b: Measured
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    stands: tuple[bool, ...] = ()

    @property
    def leading(self) -> str:
        """The figure that "the same" goes by: in open loop the schedule sets the throughput."""
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
        """Those that differ each for itself, but do not stand beside the others."""
        return [
            each
            for each, stands in zip(self.differences, self.stands)
            if each.verdict in (SLOWER, FASTER) and not stands
        ]


@dataclass(frozen=True)
class Headline:
    """The verdict of a whole comparison. `tests`: how many figures were compared; `counts`: cases
    by verdict.
    """

    verdict: str
    tests: int
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


def settled(cases: Iterable[Case]) -> list[Case]:
    """The cases of all comparisons that are made at once, with what stands beside all of them."""
    cases = list(cases)
    tests = [each.p for case in cases for each in case.differences if each.p is not None]
    adjusted = iter(holm(tests))
    found = []
    for case in cases:
        stands = tuple(
            each.p is not None and next(adjusted) < 1.0 - LEVEL for each in case.differences
        )
        found.append(
            Case(case.key, case.title, case.a, case.b, case.differences, case.notes, stands)
        )
    return found


def headline(cases: Sequence[Case]) -> Headline:
    """One verdict: slower where something is slower and nothing faster; the same only where every
    case is.
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

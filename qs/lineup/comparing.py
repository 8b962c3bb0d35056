"""What the backends' results say together: each case with every backend's figures, and each two of
them compared.

The turns of a case count as repeats of it. Of each two backends the difference of each figure is
taken as `qs compare` takes it (qs.comparison), and one is faster only if that stands beside all
other comparisons of the page (Holm's procedure): with three backends and four batch sizes there are
twelve chances to see a difference that is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from qs.base.scenarios import OFFLINE
from qs.comparison.comparing import MARGIN, SEED
from qs.comparison.difference import (
    CANNOT_TELL,
    FASTER,
    SLOWER,
    Difference,
    differences_of,
)
from qs.comparison.level import Level, level_of
from qs.comparison.measured import METRICS, CaseRuns, ComparedMetric, comparable_metrics, runs_of
from qs.comparison.noise import KnownSpread, known_spread
from qs.comparison.sides import Side
from qs.comparison.verdict import ComparedCase, settled
from qs.result.keys import Key, settings_of, words_of
from qs.result.row import Row
from qs.result.verdict import Verdict

FIGURES = ("throughput", "mean", "p50", "p99")
SHOWN = tuple(each for each in METRICS if each.name in FIGURES)


@dataclass(frozen=True, eq=False)
class Entry:
    """What one backend measured of a case."""

    backend: str
    row: Row
    runs: CaseRuns
    levels: Mapping[str, Level]  # by the figure's name


@dataclass(frozen=True)
class Pair:
    """Two backends in one case."""

    a: str
    b: str
    case: ComparedCase

    @cached_property
    def leading(self) -> Difference:
        """That of the figure which decides: throughput, or in open loop the mean response time."""
        name = self.case.leading
        return next(each for each in self.case.differences if each.metric.name == name)

    @cached_property
    def verdict(self) -> str:
        """Of b against a."""
        at = self.case.differences.index(self.leading)
        found = self.leading.verdict
        if found in (SLOWER, FASTER) and not self.case.stands[at]:
            return CANNOT_TELL
        return found

    def ratio(self, of: str) -> tuple[float, float | None, float | None] | None:
        """How many times as much of the figure `of` has as the other one, with its interval."""
        found = self.leading
        if found.change is None:
            return None
        ends = [None if each is None else 1.0 + each for each in (found.low, found.high)]
        value, low, high = 1.0 + found.change, *ends
        if of == self.b:
            return value, low, high
        turned = [None if not each else 1.0 / each for each in (high, low)]
        return 1.0 / value, turned[0], turned[1]


@dataclass(frozen=True)
class LinedCase:
    """One case, with those that measured it."""

    name: str  # what tells it from the other cases: "4", or "4, Poisson 200/s"
    row: Row  # of the first of them
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]
    left_out: Mapping[str, str]  # backend -> why its row does not count

    @property
    def open_loop(self) -> bool:
        """Whether the schedule sets the throughput, so that the response time is what differs."""
        return self.row.open_loop and self.row.scenario != OFFLINE

    @property
    def leading(self) -> str:
        return "mean" if self.open_loop else "throughput"

    def pair(self, one: str, other: str) -> Pair:
        return next(each for each in self.pairs if {each.a, each.b} == {one, other})

    def verdict(self, one: str, other: str) -> str:
        """Of `one` against `other`."""
        pair = self.pair(one, other)
        if pair.b == one:
            return pair.verdict
        return {SLOWER: FASTER, FASTER: SLOWER}.get(pair.verdict, pair.verdict)

    @property
    def by_speed(self) -> list[str]:
        """The backends from the fastest to the slowest, as measured."""

        def value(entry: Entry) -> float:
            level = entry.levels[self.leading].value or 0.0
            return level if self.open_loop else -level

        return [entry.backend for entry in sorted(self.entries, key=value)]

    @property
    def leaders(self) -> list[str]:
        """Those that no other one is faster than, as far as can be told; the best first."""
        names = self.by_speed
        return [
            name
            for name in names
            if not any(self.verdict(other, name) == FASTER for other in names if other != name)
        ]


@dataclass(frozen=True)
class Lineup:
    """All that was measured, compared."""

    title: str
    sides: tuple[Side, ...]
    cases: tuple[LinedCase, ...]
    # Backends of which nothing can be compared -> why.
    absent: Mapping[str, str]
    known: KnownSpread
    rounds: int
    margin: float = MARGIN

    @property
    def names(self) -> list[str]:
        return [side.name for side in self.sides]

    @property
    def compared(self) -> list[str]:
        """Those that have figures to compare."""
        return [name for name in self.names if name not in self.absent]

    @property
    def tests(self) -> int:
        return sum(
            each.p is not None
            for case in self.cases
            for pair in case.pairs
            for each in pair.case.differences
        )


def compare_backends(title: str, sides: Sequence[Side], rounds: int) -> Lineup:
    """The sides' names are those of their backends."""
    known = known_spread([side.result for side in sides])
    rng = np.random.default_rng(SEED)
    rows: dict[str, dict[str, Row]] = {}
    for side in sides:
        for row in side.rows:
            rows.setdefault(_key(row), {})[side.name] = row
    finds = {side.name: side.histogram for side in sides}
    names = _names([next(iter(found.values())) for found in rows.values()])
    made = [
        _case(name, key, found, finds, known, rng)
        for name, (key, found) in zip(names, rows.items())
    ]
    stand = iter(settled([pair.case for case in made for pair in case.pairs]))
    cases = tuple(
        LinedCase(
            case.name,
            case.row,
            case.entries,
            tuple(Pair(pair.a, pair.b, next(stand)) for pair in case.pairs),
            case.left_out,
        )
        for case in made
    )
    return Lineup(title, tuple(sides), cases, _absent(sides, cases), known, rounds)


def _case(
    name: str,
    key: str,
    found: Mapping[str, Row],
    finds: Mapping[str, Callable[[str], str | None]],
    known: KnownSpread,
    rng: np.random.Generator,
) -> LinedCase:
    entries, left_out = [], {}
    for backend, row in found.items():
        if row.verdict is Verdict.INVALID or not row.items_per_s:
            left_out[backend] = "; ".join(row.reasons) or "INVALID"
            continue
        runs = runs_of(finds[backend], [row])
        shown = [each for each in comparable_metrics(runs, runs) if each in SHOWN]
        levels = {each.name: level_of(runs, each, known, rng) for each in shown}
        entries.append(Entry(backend, row, runs, levels))
    made: Key = (("case", key),)
    pairs = []
    for one, other in combinations(entries, 2):
        metrics: list[ComparedMetric] = [each for each in SHOWN if each.name in one.levels]
        differences = differences_of(
            one.runs, other.runs, metrics, MARGIN, known, rng, in_turn=True
        )
        case = ComparedCase(made, one.runs, other.runs, tuple(differences))
        pairs.append(Pair(one.backend, other.backend, case))
    row = entries[0].row if entries else next(iter(found.values()))
    return LinedCase(name, row, tuple(entries), tuple(pairs), left_out)


def _key(row: Row) -> str:
    """Clients, instances, pools and threads may be each backend's own."""
    size = row.requested_batch_size or row.batch_size
    settings = {name: value for name, value in settings_of(row).items() if value is not None}
    return json.dumps([size, row.scenario, settings], sort_keys=True, default=str)


def _names(rows: Sequence[Row]) -> list[str]:
    """Each case by its batch size, and by its scenario where there are several."""
    scenarios = [words_of(row)["Scenario"] for row in rows]
    sizes = [str(row.requested_batch_size or row.batch_size) for row in rows]
    if len(set(scenarios)) < 2:
        return sizes
    return [f"{size}, {scenario}" for size, scenario in zip(sizes, scenarios)]


def _absent(sides: Sequence[Side], cases: Sequence[LinedCase]) -> dict[str, str]:
    there = {entry.backend for case in cases for entry in case.entries}
    found = {}
    for side in sides:
        if side.name not in there:
            result = side.result
            reasons = result.reasons or ["nothing was measured"]
            found[side.name] = reasons[0] if len(reasons) == 1 else "; ".join(reasons[:3])
    return found

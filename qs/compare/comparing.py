"""A comparison from start to end: match cases, refuse what cannot be compared, take the
differences, settle the verdicts.

The first result is the baseline; each other one is compared with it, and the headline is over all
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.compare.difference import LEVEL, differences
from qs.compare.measured import compared, measured
from qs.compare.sides import Side
from qs.compare.spread import NOTHING, Known
from qs.compare.unlike import Unlike, invalid, unlike
from qs.compare.verdict import Case, Headline, headline, settled
from qs.result.keys import Key, key_of, loosened, title_of

MARGIN = 0.02
SEED = 0  # of the resampling: the same files always give the same verdict
Rows = dict[Key, list[Mapping[str, Any]]]


@dataclass(frozen=True)
class Comparison:
    """One result against the baseline. only_a, only_b: titles of cases that the other has not."""

    a: Side
    b: Side
    cases: list[Case]
    only_a: list[str]
    only_b: list[str]
    unlike: list[Unlike]
    notes: list[str]


@dataclass(frozen=True)
class Compared:
    """All comparisons of one call, and what they say together."""

    comparisons: list[Comparison]
    headline: Headline
    margin: float
    known: Known

    @property
    def cases(self) -> list[Case]:
        return [case for comparison in self.comparisons for case in comparison.cases]

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.headline.verdict,
            "cases_by_verdict": self.headline.counts,
            "tests": self.headline.tests,
            "level": LEVEL,
            "margin": self.margin,
            "spread_between_runs": {"share": self.known.share, "origin": self.known.origin},
            "seed": SEED,
            "baseline": self.comparisons[0].a.name,
            "comparisons": [_plain(each) for each in self.comparisons],
        }


def compare(
    sides: Sequence[Side], margin: float = MARGIN, anyway: bool = False, known: Known = NOTHING
) -> Compared:
    """Compare results. UserError names all that keeps them from being compared, unless `anyway`."""
    baseline, *others = sides
    if not anyway:
        _refuse(sides)
    comparisons = [_compare(baseline, other, margin, anyway, known) for other in others]
    cases = iter(settled(case for comparison in comparisons for case in comparison.cases))
    comparisons = [replace(each, cases=[next(cases) for _ in each.cases]) for each in comparisons]
    return Compared(
        comparisons, headline([case for each in comparisons for case in each.cases]), margin, known
    )


def _refuse(sides: Sequence[Side]) -> None:
    said = []
    for side in sides:
        said += [f"{side.name} is INVALID: {reason}" for reason in invalid(side.result)]
    for other in sides[1:]:
        between = f"{sides[0].name} and {other.name}: "
        found = [str(each) for each in unlike(sides[0].result, other.result) if each.refused]
        ours, theirs = _by(key_of, sides[0]), _by(key_of, other)
        if not set(ours) & set(theirs):
            found.append(f"no case is in both: {_titles(ours)} against {_titles(theirs)}")
        said += [between + text for text in found]
    if said:
        lines = "\n".join(f"  {text}" for text in dict.fromkeys(said))
        raise UserError(
            f"these cannot be compared as they are; add --anyway to do it all the same:\n{lines}"
        )


def _compare(a: Side, b: Side, margin: float, anyway: bool, known: Known) -> Comparison:
    ours, theirs, notes = _matched(a, b, anyway)
    rng = np.random.default_rng(SEED)
    cases = []
    for key in ours:
        if key in theirs:
            first, second = measured(a, ours[key]), measured(b, theirs[key])
            found = differences(first, second, compared(first, second), margin, known, rng)
            said = [f"A: {first.lacks}"] * bool(first.lacks) + [f"B: {second.lacks}"] * bool(
                second.lacks
            )
            said += [
                f"{side} is INVALID: {reason}"
                for side, each in (("A", first), ("B", second))
                for reason in each.invalid
            ]
            if first.overloaded != second.overloaded:
                said.append(
                    f"{'A' if first.overloaded else 'B'} could not keep up with the load, the other could"
                )
            cases.append(
                Case(
                    key,
                    _title(ours[key][0], theirs[key][0]),
                    first,
                    second,
                    tuple(found),
                    tuple(said),
                )
            )
    return Comparison(
        a,
        b,
        cases,
        [title_of(rows[0]) for key, rows in ours.items() if key not in theirs],
        [title_of(rows[0]) for key, rows in theirs.items() if key not in ours],
        unlike(a.result, b.result),
        [*notes, *a.notes, *b.notes],
    )


def _weaker(number: int, row: Mapping[str, Any]) -> Any:
    return loosened(row)[number]


def _matched(a: Side, b: Side, anyway: bool) -> tuple[Rows, Rows, list[str]]:
    """The rows by key. Where no key is in both and that is not to matter, by the strongest of the
    weaker keys that tells cases apart.
    """
    ours, theirs = _by(key_of, a), _by(key_of, b)
    if set(ours) & set(theirs) or not anyway:
        return ours, theirs, []
    for number in range(len(loosened({}))):
        by_weaker = [_by(partial(_weaker, number), side) for side in (a, b)]
        both = set(by_weaker[0]) & set(by_weaker[1])
        unique = all(
            len({key_of(row) for row in rows[key]}) == 1 for rows in by_weaker for key in both
        )
        if both and unique:
            names = ", ".join(name for name, _ in loosened({})[number]) or "being the only one"
            return by_weaker[0], by_weaker[1], [f"no case is in both: matched by {names} alone"]
    raise UserError(f"no case is in both: {_titles(ours)} against {_titles(theirs)}")


def _by(key: Callable[[Mapping[str, Any]], Key], side: Side) -> Rows:
    found: Rows = {}
    for row in side.rows:
        found.setdefault(key(row), []).append(row)
    return found


def _titles(rows: Rows) -> str:
    return "; ".join(title_of(each[0]) for each in rows.values())


def _title(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    ours, theirs = title_of(a), title_of(b)
    return ours if ours == theirs else f"{ours} against {theirs}"


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": comparison.a.name,
        "b": comparison.b.name,
        "unlike": [each.to_dict() for each in comparison.unlike],
        "notes": comparison.notes,
        "only_in_a": comparison.only_a,
        "only_in_b": comparison.only_b,
        "cases": [
            {
                "case": case.title,
                "key": dict(case.key),
                "verdict": case.verdict,
                "runs": [case.a.runs, case.b.runs],
                "notes": list(case.notes),
                "differences": [
                    each.to_dict() | {"stands": stands}
                    for each, stands in zip(case.differences, case.stands)
                ],
            }
            for case in comparison.cases
        ],
    }

"""A comparison from start to end: match cases, refuse what cannot be compared, take the
differences, settle the verdicts.

The first result is the baseline; each of the others is compared with it, and the headline covers
all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.comparison.difference import LEVEL, differences_of
from qs.comparison.measured import comparable_metrics, runs_of
from qs.comparison.noise import ASSUMED_SPREAD, KnownSpread
from qs.comparison.sides import Side
from qs.comparison.unlike import Unlike, invalid, unlike
from qs.comparison.verdict import ComparedCase, Headline, headline_of, settled
from qs.result.keys import LOOSER, Key, key_of, looser_key, title_of
from qs.result.row import Row

MARGIN = 0.02
SEED = 0  # of the resampling: the same files always give the same verdict
Rows = dict[Key, list[Row]]


@dataclass(frozen=True)
class Comparison:
    """One result against the baseline."""

    a: Side
    b: Side
    cases: list[ComparedCase]
    # A row of each case that the other one does not have.
    only_a: list[Row]
    only_b: list[Row]
    unlike: list[Unlike]
    notes: list[str]


@dataclass(frozen=True)
class Compared:
    """All comparisons of one call, and what they say together."""

    comparisons: list[Comparison]
    headline: Headline
    margin: float
    known: KnownSpread

    @property
    def sides(self) -> list[Side]:
        """The baseline, and what was compared with it."""
        return [self.comparisons[0].a, *(each.b for each in self.comparisons)]

    @property
    def cases(self) -> list[ComparedCase]:
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


def compare_results(
    sides: Sequence[Side],
    margin: float = MARGIN,
    anyway: bool = False,
    known: KnownSpread = ASSUMED_SPREAD,
) -> Compared:
    """Compare results. Raises UserError with everything that keeps them from being compared, unless
    `anyway`.
    """
    baseline, *others = sides
    if not anyway:
        _refuse(sides)
    comparisons = [_compare(baseline, other, margin, anyway, known) for other in others]
    cases = iter(settled(case for comparison in comparisons for case in comparison.cases))
    comparisons = [replace(each, cases=[next(cases) for _ in each.cases]) for each in comparisons]
    return Compared(
        comparisons,
        headline_of([case for each in comparisons for case in each.cases]),
        margin,
        known,
    )


def _refuse(sides: Sequence[Side]) -> None:
    faults = []
    for side in sides:
        faults += [f"{side.name} is INVALID: {reason}" for reason in invalid(side.result)]
    for other in sides[1:]:
        between = f"{sides[0].name} and {other.name}: "
        refused = [str(each) for each in unlike(sides[0].result, other.result) if each.refused]
        ours, theirs = _by(key_of, sides[0]), _by(key_of, other)
        if not set(ours) & set(theirs) and _by_batch_size(sides[0], other) is None:
            refused.append(f"no case is in both: {_titles(ours)} against {_titles(theirs)}")
        faults += [between + text for text in refused]
    if faults:
        lines = "\n".join(f"  {text}" for text in dict.fromkeys(faults))
        raise UserError(
            f"these cannot be compared as they are; add --anyway to do so nevertheless:\n{lines}"
        )


def _compare(a: Side, b: Side, margin: float, anyway: bool, known: KnownSpread) -> Comparison:
    ours, theirs, notes = _matched(a, b, anyway)
    rng = np.random.default_rng(SEED)
    cases = []
    for key in ours:
        if key in theirs:
            first, second = runs_of(a.histogram, ours[key]), runs_of(b.histogram, theirs[key])
            metrics = comparable_metrics(first, second)
            differences = differences_of(first, second, metrics, margin, known, rng)
            cases.append(ComparedCase(key, first, second, tuple(differences)))
    return Comparison(
        a,
        b,
        cases,
        [rows[0] for key, rows in ours.items() if key not in theirs],
        [rows[0] for key, rows in theirs.items() if key not in ours],
        unlike(a.result, b.result),
        [*notes, *a.notes, *b.notes],
    )


def _matched(a: Side, b: Side, anyway: bool) -> tuple[Rows, Rows, list[str]]:
    """The rows by key. If no key is in both, by batch size if each side has one case of each; if
    `anyway`, by the strongest of the weaker keys that still tells cases apart.
    """
    ours, theirs = _by(key_of, a), _by(key_of, b)
    if set(ours) & set(theirs):
        return ours, theirs, []
    by_size = _by_batch_size(a, b)
    if by_size is not None:
        return *by_size, ["the settings differ: cases are matched by their batch size"]
    if not anyway:
        return ours, theirs, []
    for parts in LOOSER:
        by_weaker = [_by(partial(looser_key, parts=parts), side) for side in (a, b)]
        both = set(by_weaker[0]) & set(by_weaker[1])
        unique = all(
            len({key_of(row) for row in rows[key]}) == 1 for rows in by_weaker for key in both
        )
        if both and unique:
            names = ", ".join(parts) or "being the only one"
            return by_weaker[0], by_weaker[1], [f"no case is in both: matched by {names} alone"]
    raise UserError(f"no case is in both: {_titles(ours)} against {_titles(theirs)}")


def _by_batch_size(a: Side, b: Side) -> tuple[Rows, Rows] | None:
    """The rows of two runs whose settings differ, if each has one case of each batch size, and they
    share one.
    """
    found = [_by(partial(looser_key, parts=("BS",)), side) for side in (a, b)]
    alone = all(len({key_of(row) for row in rows}) == 1 for side in found for rows in side.values())
    loads = {row.open_loop for side in (a, b) for row in side.rows}
    return (
        (found[0], found[1])
        if alone and len(loads) == 1 and set(found[0]) & set(found[1])
        else None
    )


def _by(key: Callable[[Row], Key], side: Side) -> Rows:
    rows: Rows = {}
    for row in side.rows:
        rows.setdefault(key(row), []).append(row)
    return rows


def _titles(rows: Rows) -> str:
    return "; ".join(title_of(each[0]) for each in rows.values())


def _plain(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": comparison.a.name,
        "b": comparison.b.name,
        "unlike": [each.to_dict() for each in comparison.unlike],
        "notes": comparison.notes,
        "only_in_a": list(map(title_of, comparison.only_a)),
        "only_in_b": list(map(title_of, comparison.only_b)),
        "cases": [
            {
                "case": case.title,
                "key": dict(case.key),
                "verdict": case.verdict,
                "runs": [case.a.runs, case.b.runs],
                "notes": case.notes,
                "differences": [
                    each.to_dict() | {"stands": stands}
                    for each, stands in zip(case.differences, case.stands)
                ],
            }
            for case in comparison.cases
        ],
    }

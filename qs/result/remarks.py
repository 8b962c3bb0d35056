"""What a result says against itself: the reasons of its verdict and its doubts, once each, with the
cases they hold for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qs.result.cases import NamedCase, short
from qs.result.result import Kind, Result
from qs.result.verdict import DoubtEntry

_FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NAMED = 4  # as many cases are named beside a doubt; more are counted


@dataclass(frozen=True)
class Remark:
    """A reason or a doubt, and the names of the cases it holds for; none: the whole run."""

    text: str
    cases: tuple[str, ...] = ()
    of: int = 0  # how many cases there are
    cure: str = ""  # what to type to be rid of it
    code: str = ""  # a doubt's, for programs

    @property
    def where(self) -> str:
        """The cases it holds for; "" for the whole run."""
        if not self.cases:
            return ""
        if 1 < self.of == len(self.cases):
            return "all cases"
        if len(self.cases) > _NAMED:
            return f"{len(self.cases)} of {self.of} cases"
        return "; ".join(self.cases)

    @property
    def sentence(self) -> str:
        """Where it holds, and what it is; without the cure."""
        return f"{self.where}: {self.text}" if self.cases else self.text

    def __str__(self) -> str:
        return f"{self.sentence}; {self.cure}" if self.cure else self.sentence


def reasons_of(result: Result, cases: Sequence[NamedCase]) -> tuple[Remark, ...]:
    """The run's own, then each case's. A sweep finds out which settings fail: their reasons are no
    reasons of its own.
    """
    own = tuple(map(Remark, result.own_reasons))
    if result.kind is Kind.SWEEP:
        return own
    pairs = ((short(case, cases), reason) for case in cases for reason in case.row.reasons)
    return (*own, *_together(pairs, len(cases)))


def doubts_of(result: Result, cases: Sequence[NamedCase]) -> tuple[Remark, ...]:
    """Those of the run, then those of its cases: each kind once, with the cases it holds for."""
    own = dict.fromkeys((each.text, each.cure, each.code) for each in result.doubts)
    by_kind: dict[object, list[tuple[str, DoubtEntry]]] = {}
    places, of = _places(result, cases)
    for name, each in places:
        by_kind.setdefault(each.code or each.text, []).append((name, each))
    return (
        *(Remark(text, cure=cure, code=code) for text, cure, code in own),
        *(_one(found, of) for found in by_kind.values()),
    )


def _places(
    result: Result, cases: Sequence[NamedCase]
) -> tuple[Iterable[tuple[str, DoubtEntry]], int]:
    """Where each doubt holds, and how many places there are: cases, or settings of a sweep, whose
    trials are nothing that one would name.
    """
    settings = result.sweep.table if result.sweep else []
    if any(line.doubts for line in settings):
        return ((line.name, each) for line in settings for each in line.doubts), len(settings)
    return ((short(case, cases), each) for case in cases for each in case.row.doubts), len(cases)


def _one(found: Sequence[tuple[str, DoubtEntry]], of: int) -> Remark:
    """One doubt of several cases, with the cure of the one that has to be measured longest."""
    names = tuple(dict.fromkeys(name for name, _ in found))
    worst = max((each for _, each in found), key=lambda each: each.needed_s or 0.0)
    texts = tuple(dict.fromkeys(each.text for _, each in found))
    if len(texts) == 1:
        text = worst.text
    else:
        one = f"at worst, {worst.text}" if worst.needed_s else f"for example, {worst.text}"
        text = _in_one(texts) or one
    return Remark(text, names, of, worst.cure, worst.code)


def _in_one(texts: Sequence[str]) -> str | None:
    """Texts that differ in one figure, in one: "lost its core 12 to 108 times a second". None if
    they differ in more.
    """
    frames = {_FIGURE.sub("\0", text) for text in texts}
    if len(frames) > 1:
        return None
    figures = list(zip(*(_FIGURE.findall(text) for text in texts)))
    differing = [at for at, each in enumerate(figures) if len(set(each)) > 1]
    if len(differing) != 1:
        return None
    at = differing[0]
    low, *_, high = sorted(set(figures[at]), key=lambda figure: float(figure.replace(",", "")))
    found = list(_FIGURE.finditer(texts[0]))[at]
    return f"{texts[0][: found.start()]}{low} to {high}{texts[0][found.end() :]}"


def _together(pairs: Iterable[tuple[str, str]], of: int) -> list[Remark]:
    """(case, text) pairs with the cases of each text put together, in the order they came."""
    by_text: dict[str, dict[str, None]] = {}
    for case, text in pairs:
        by_text.setdefault(text, {})[case] = None
    return [Remark(text, tuple(names), of) for text, names in by_text.items()]

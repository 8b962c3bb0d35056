"""A comparison on the terminal, within 80 columns: a table for each case, and below it what numbers
do not say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TextIO

from qs.base.console import console, open_table
from qs.base.words import moment, number, percent, signed_percent
from qs.comparison.comparing import Compared, Comparison
from qs.comparison.difference import CANNOT_TELL, LEVEL, Difference, VarianceSource
from qs.comparison.sides import Side
from qs.comparison.verdict import ComparedCase
from qs.result.keys import title_of

# Told apart by the colour blind too; the words say the same.
STYLES = {
    "slower": "bold red",
    "faster": "bold blue",
    "mixed": "bold magenta",
    "same": "",
    CANNOT_TELL: "dim",
}
LISTED = 8  # how many cases of one side only are named; the rest are counted


def print_compared(found: Compared, stream: TextIO) -> None:
    from rich.text import Text

    out = console(stream, 100)

    def say(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    for comparison in found.comparisons:
        for line in _heading(comparison):
            say(line)
        for case in comparison.cases:
            out.print(Text(case.title, style="bold"), soft_wrap=True)
            out.print(_table(case))
            for line in _notes(case, found.margin):
                say(f"  {line}")
        for line in _unmatched(comparison):
            say(line)
        say("")
    for line in _closing(found):
        say(line)
    out.print(
        Text(
            f"verdict: {found.headline.sentence()}", style=STYLES[found.headline.verdict] or "bold"
        )
    )


def _heading(comparison: Comparison) -> list[str]:
    lines = [f"A  {_about(comparison.a)}", f"B  {_about(comparison.b)}"]
    lines += [f"{'UNLIKE' if each.refused else 'differs'}: {each}" for each in comparison.unlike]
    return lines + [f"note: {text}" for text in comparison.notes]


def _about(side: Side) -> str:
    result = side.result
    what = f"{result.kind} of {result.task} on {result.backend}"
    return f"{side.name}: {what}, {moment(result.started)}"


def _table(case: ComparedCase) -> Any:
    from rich.text import Text

    made = open_table()
    for heading in ("", "A", "B", "change", f"{percent(LEVEL)} interval", "verdict"):
        made.add_column(
            heading, justify="left" if heading in ("", "verdict") else "right", no_wrap=True
        )
    for each in case.differences:
        if each.unreported:  # a note says why
            continue
        interval = (
            "" if each.low is None else f"{_percent(each.low)} .. {signed_percent(each.high)}"
        )
        cells = [
            each.metric.heading,
            number(each.a),
            number(each.b),
            signed_percent(each.change),
            interval,
        ]
        made.add_row(*map(Text, cells), Text(each.verdict, style=STYLES[each.verdict]))
    return made


def _percent(share: float) -> str:
    return f"{share * 100:+.1f}"


def _notes(case: ComparedCase, margin: float) -> Iterator[str]:
    yield from case.notes
    whys: dict[str, list[str]] = {}
    for each in case.differences:
        if each.why and not each.log_missing:  # of that, the notes have spoken
            whys.setdefault(each.why, []).append(each.metric.name)
    for why, names in whys.items():
        yield f"{', '.join(names)}: {why}"
    for each in case.alone:
        yield (
            f"{each.metric.name} is {each.verdict} on its own; among this many figures "
            "that may be chance"
        )
    leading = next(each for each in case.differences if each.metric.name == case.leading)
    least = smallest(leading, margin)
    if case.verdict != CANNOT_TELL:
        return
    if least is not None:
        yield f"{leading.metric.name}: only a difference of about {percent(least)} would show"
    if max(leading.sources, key=lambda each: each.variance, default=None) in _loads(leading):
        yield "most of the uncertainty is from other programs, which used the machine's CPUs"


def _loads(difference: Difference) -> list[VarianceSource]:
    return [each for each in difference.sources if each.source == "other load"]


def smallest(difference: Difference, margin: float) -> float | None:
    """The least change from which an interval of this width would not reach back to the margin."""
    if difference.low is None or difference.high is None or difference.low <= -1.0:
        return None  # an interval down to nothing at all has no width on this scale
    return math.expm1(
        (math.log1p(difference.high) - math.log1p(difference.low)) / 2.0 + math.log1p(margin)
    )


def _unmatched(comparison: Comparison) -> list[str]:
    lines = []
    for name, rows in (("A", comparison.only_a), ("B", comparison.only_b)):
        lines += [f"only in {name}: {title_of(row)}" for row in rows[:LISTED]]
        if len(rows) > LISTED:
            lines.append(f"only in {name}: {len(rows) - LISTED} more")
    return lines


def _closing(found: Compared) -> list[str]:
    lines = [
        f"slower, faster: by more than {number(found.margin * 100)} % (--margin), "
        f"with {percent(LEVEL)} confidence; the same: by less"
    ]
    if any(case.a.runs == 1 or case.b.runs == 1 for case in found.cases):
        lines.append(f"spread between runs, which a single run cannot show: {found.known.origin}")
    return lines

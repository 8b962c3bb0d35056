"""What a gate says: which conditions hold, which cannot be decided and by which figures, and the
command that would decide them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import counted, number, percent
from qs.comparison.comparing import Compared
from qs.comparison.difference import Difference
from qs.comparison.gates import JudgedFigure, Judgement, State
from qs.gates.grammar import FLAG
from qs.result.longer import longer_command, rounded_s

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of the sides
# What does not average out in a longer run, and what to do about it.
LASTING = {
    "other load": "other programs used the machine's CPUs; stop them (qs doctor shows their load) "
    "and measure both sides again",
    "drift": "the speed drifted while it was measured; qs doctor may show why; measure both sides "
    "again",
}
NAMED = 5  # cases of a condition that are named; more are counted


def gate_lines(judged: Sequence[Judgement], found: Compared) -> list[str]:
    """What holds, a line for each case, and what is unclear, with what would decide it."""
    return [line for each in judged for line in _lines(each, found)]


def _lines(judgement: Judgement, found: Compared) -> Iterator[str]:
    name = f"{FLAG} {judgement.condition}"
    if judgement.state is State.HOLDS:
        yield from (f"{name}: {text}" for text in _by_case(judgement.those(State.HOLDS)))
    if judgement.state is not State.UNCLEAR:
        return
    if not judgement.figures:
        what = judgement.condition.figure or "figure"
        yield f"{name} cannot tell: no case of both results has a {what} to compare"
        return
    yield f"{name} cannot tell:"
    yield from (f"  {text}" for text in _by_case(judgement.those(State.UNCLEAR)))
    decided = len(judgement.those(State.DOES_NOT))
    if decided:
        share = percent(judgement.condition.share)
        yield f"  {counted(decided, 'other figure')} did not get worse by {share} or more"
    yield from (f"  {line}" for line in _cure(judgement, found))


def _lasting(differences: Sequence[Difference]) -> str:
    """The largest source of variance that a longer run does not reduce."""
    sources = [
        source
        for each in differences
        for source in each.sources
        if not source.source.startswith("within")
    ]
    return max(sources, key=lambda each: each.variance).source if sources else ""


def _by_case(figures: Sequence[JudgedFigure]) -> Iterator[str]:
    cases: dict[str, list[str]] = {}
    for each in figures:
        cases.setdefault(each.case.title, []).append(str(each))
    for title, texts in list(cases.items())[:NAMED]:
        yield f"{title}: {', '.join(texts)}"
    if len(cases) > NAMED:
        yield f"and {counted(len(cases) - NAMED, 'more case')}"


def _cure(judgement: Judgement, found: Compared) -> Iterator[str]:
    """What would decide it."""
    needs = judgement.needs_s
    if needs is None:
        hopeless = [
            each.difference
            for each in judgement.those(State.UNCLEAR)
            if each.needs_s is None and each.difference.low is not None
        ]
        if hopeless:
            spread = (
                f"two runs of the same thing differ by too much ({found.known.origin}); "
                "repeat both sides"
            )
            why = LASTING.get(_lasting(hopeless), spread)
            yield f"measuring longer does not decide it: {why}"
        return
    seconds = number(rounded_s(needs))
    commands = {
        name: command
        for name, side in zip(NAMES, found.sides)
        if (command := longer_command(side.result.command, needs))
    }
    yield f"to decide, measure each for about {seconds} s{':' if commands else ''}"
    if len(set(commands.values())) == 1:
        yield f"  {next(iter(commands.values()))}"
        return
    yield from (f"  {name}: {command}" for name, command in commands.items())

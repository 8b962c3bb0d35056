"""Whether numbers count, and how far to trust them: the verdict of a row and of a result, its
doubts, and the words that every view has for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qs.base.words import counted
from qs.result.part import Number, Part, Word, key


class Verdict(Word):
    """Whether a number counts, and if not, why: from the best to the worst."""

    VALID = "VALID"
    SLO_NOT_MET = "SLO NOT MET"  # measured well, and the bound that was stated does not hold
    OVERLOADED = "OVERLOADED"  # open loop: the target does not keep up with what arrives
    INVALID = "INVALID"  # the measurement is faulty


class Tone(Word):
    """What a verdict means at a glance, for colours."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


TOO_SHORT = "too_short"  # the code of the doubt that no interval could be computed


class DoubtEntry(Part):
    """A reason to trust the numbers less, and what to type to be rid of it."""

    code: str = key("Code", "")  # for programs; "" where an older version wrote none
    text: str = key("Text")
    cure: str = key("Cure", "")  # "" where nothing is known to help
    needed_s: Number = key("Needed Duration", None)  # of a case, if the cure is to measure longer

    def __str__(self) -> str:
        return f"{self.text}; {self.cure}" if self.cure else self.text


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; VALID if there are none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.VALID)


def standing(verdict: Verdict, doubts: Sequence[object], too_short: bool) -> str:
    """The verdict as every view says it: "VALID, 3 doubts", "VALID, too short to tell"."""
    if verdict is not Verdict.VALID:
        return str(verdict)
    if too_short:
        return f"{verdict}, too short to tell"
    return f"{verdict}, {counted(len(doubts), 'doubt')}" if doubts else str(verdict)


def tone(verdict: Verdict, doubts: Sequence[object]) -> Tone:
    """The colour that goes with `standing`."""
    if verdict is not Verdict.VALID:
        return Tone.BAD
    return Tone.DOUBTFUL if doubts else Tone.GOOD


def with_doubts(found: Any) -> Any:
    """A row or a result whose `doubts`, if its file has none, are its warnings. They stay absent
    in what is written from it.
    """
    if "doubts" not in found.model_fields_set and found.warnings:
        found.__dict__["doubts"] = [DoubtEntry(text=text) for text in found.warnings]
    return found

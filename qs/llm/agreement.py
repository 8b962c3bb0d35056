"""Whether a server answers the same when it is busy: greedy answers to one prompt, given when idle
and under load, piece by piece.

Pieces are tokens where there is a tokenizer, else words. A server that batches may compute a token
otherwise than it does alone, and all that follows differs then; so where two answers part tells
more than how much of them differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qs.engine.statistics import share_interval

TOKEN, WORD = "token", "word"
_WORDS = re.compile(r"\s*\S+|\s+$")
_LEVEL = 0.95
Pieces = Callable[[str], Sequence[str]]


def words(text: str) -> list[str]:
    """A text cut where words begin, with the blanks before each; joined they are the text."""
    return _WORDS.findall(text)


@dataclass(frozen=True)
class Parting:
    """Where an answer leaves the other. Pieces are counted from 1; that of an answer which only
    goes on, or ends too soon, is the one after the last that both have.
    """

    piece: int
    of: int  # pieces of the idle answer
    idle: str  # what stands there; "" at an end
    busy: str


def parting(idle: str, busy: str, pieces: Pieces = words) -> Parting | None:
    """None if both are the same to the last character."""
    if idle == busy:
        return None
    of_idle, of_busy = list(pieces(idle)), list(pieces(busy))
    shared = 0
    for one, other in zip(of_idle, of_busy):
        if one != other:
            break
        shared += 1
    return Parting(
        shared + 1,
        len(of_idle),
        "".join(of_idle[shared : shared + 1]),
        "".join(of_busy[shared : shared + 1]),
    )


@dataclass(frozen=True)
class Agreement:
    """Of answers under load, how many are those of the idle server, and where the others part."""

    compared: int
    same: int
    # the share that is the same, and its 95 % interval (C. J. Clopper and E. S. Pearson, 1934);
    # None: nothing was compared
    share: float | None
    low: float | None
    high: float | None
    # of the others: the earliest piece that differs, and the median one
    earliest: int | None
    median: int | None


def agreement_of(partings: Sequence[tuple[Parting | None, int]]) -> Agreement:
    """Of (where it parts, how many answers it stands for)."""
    compared = sum(count for _, count in partings)
    same = sum(count for found, count in partings if found is None)
    at = sorted(
        (found.piece, count) for found, count in partings if found is not None and count > 0
    )
    low, high = (
        share_interval(same / compared, compared, (1.0 - _LEVEL) / 2.0)
        if compared
        else (None, None)
    )
    return Agreement(
        compared,
        same,
        same / compared if compared else None,
        low,
        high,
        at[0][0] if at else None,
        _median(at),
    )


def _median(counted: Sequence[tuple[int, int]]) -> int | None:
    half = sum(count for _, count in counted) / 2
    passed = 0
    for value, count in counted:
        passed += count
        if passed >= half:
            return value
    return None

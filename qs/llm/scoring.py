"""Whether an answer is the right one, by what a prompt says is right: exact match, or a choice.

The two metrics that need no judge. Answers are taken as they were given; blanks at their ends and
runs of blanks do not count, everything else does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from qs.engine.statistics import share_interval
from qs.llm.prompt import Prompt

EXACT, CHOICE = "exact", "choice"
NAMES = {EXACT: "Exact Match", CHOICE: "Multiple-Choice Accuracy"}
_LEVEL = 0.95
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIRST = re.compile(r"^\W*([A-Za-z])(?:\W|$)")
_SAID = re.compile(r"\b(?:answer|choice|option)\b\W*(?:is|:|=)?\W*([A-Za-z])(?:\W|$)", re.I)


@dataclass(frozen=True)
class Score:
    """A share of prompts answered rightly, with its 95 % interval (C. J. Clopper and E. S. Pearson,
    Biometrika 26, 1934). `unread`: answers that make no choice; they are wrong.
    """

    name: str
    items: int
    right: int
    unread: int
    value: float
    low: float
    high: float


def right(prompt: Prompt, text: str, how: str) -> bool | None:
    """Whether the text answers the prompt; None if nobody knows the right answer to it."""
    if prompt.answer is None:
        return None
    if how == EXACT:
        return plain(text) == plain(prompt.answer)
    known = place_of(prompt.answer, prompt.choices)
    return None if known is None else chosen(text, prompt.choices) == known


def plain(text: str) -> str:
    """In Unicode's composed form (NFC), with single blanks and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def place_of(answer: str, choices: Sequence[str]) -> int | None:
    """Which of the choices is meant: by its text, its letter (A is the first) or its number from 0;
    None if it is none of them.
    """
    texts = [plain(each) for each in choices]
    stated = plain(answer)
    if stated in texts:
        return texts.index(stated)
    if len(stated) == 1 and stated.upper() in _LETTERS[: len(choices)]:
        return _LETTERS.index(stated.upper())
    if stated.isdecimal() and int(stated) < len(choices):
        return int(stated)
    return None


def chosen(text: str, choices: Sequence[str]) -> int | None:
    """Which choice an answer makes: it is one (its text or letter), it begins with a letter, it
    says "the answer is B", or it has the text of exactly one of them in it. None: none of these.
    """
    stated = plain(text)
    texts = [plain(each) for each in choices]
    if stated in texts:
        return texts.index(stated)
    for pattern in (_FIRST, _SAID):
        found = pattern.search(stated)
        # a word such as "I" or "a" is a letter too: capitals only, unless it is all there is
        if found and (found[1].isupper() or len(stated.strip(" .()")) == 1):
            letter = found[1].upper()
            if letter in _LETTERS[: len(choices)]:
                return _LETTERS.index(letter)
    held = [at for at, each in enumerate(texts) if each and each.casefold() in stated.casefold()]
    return held[0] if len(held) == 1 else None


def score_of(found: Sequence[bool], how: str, unread: int = 0) -> Score | None:
    """None where nothing was scored."""
    items, hits = len(found), sum(found)
    if not items:
        return None
    low, high = share_interval(hits / items, items, (1.0 - _LEVEL) / 2.0)
    return Score(NAMES[how], items, hits, unread, hits / items, low, high)

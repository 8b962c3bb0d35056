"""A reason to trust a result less: plain words for people and a code for programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caveat:
    """`code` for programs; `text` what was seen and what it does to the result; `advice` what to
    change.
    """

    code: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}; {self.advice}"

"""Counting tokens: by the model's tokenizer, or by the server's endpoint for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """What counts the tokens of texts. Special tokens (begin, end, chat template) are left out."""

    # as a report names it
    name: str

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each has."""
        ...

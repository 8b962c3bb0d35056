"""How the texts that a model wrote are compared and scored: what a backend whose answers are texts
hands to the judge of answers under load (qs.inside.text_answers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qs.llm.agreement import TOKEN
from qs.llm.prompt import Prompt, from_line
from qs.llm.scoring import CHOICE, chosen, right
from qs.llm.tokenizing import SavedTokenizer, Tokenizer


class AnswerTexts:
    """Of one model. `fed` is the name of the input that holds a prompt, `output` of the one with
    its answer's text; `score` of qs.llm.scoring, "" for none.
    """

    unit = TOKEN

    def __init__(self, fed: str, output: str, score: str, tokenizer: Tokenizer | None) -> None:
        self.output, self.score, self._fed = output, score, fed
        # A server's endpoint counts tokens, and says nothing of where one ends.
        self.pieces: Callable[[str], Sequence[str]] | None = None
        if isinstance(tokenizer, SavedTokenizer):
            self.pieces = tokenizer.pieces

    def right(self, feeds: Mapping[str, Any], text: str) -> bool | None:
        return right(self._prompt(feeds), text, self.score)

    def unread(self, feeds: Mapping[str, Any], text: str) -> bool:
        if self.score != CHOICE:
            return False
        return chosen(text, self._prompt(feeds).choices) is None

    def _prompt(self, feeds: Mapping[str, Any]) -> Prompt:
        return from_line(str(np.asarray(feeds[self._fed]).ravel()[0]))

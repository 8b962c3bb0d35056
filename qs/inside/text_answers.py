"""Texts that a language model wrote under load, judged against those that it wrote when idle: where
they part, and whether they are right by what their prompts say.

A text that differs is no wrong answer: a server that batches adds numbers in another order, and one
token that comes out otherwise changes all after it. It is told, and so is how early. Wrong is an
answer that belongs to another prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from qs.llm.agreement import WORD, Parting, agreement_of, parting, words
from qs.llm.scoring import score_of

# Answers as short as this may be those of several prompts.
SHORT = 8
MOST_SHOWN = 200  # characters of an example


class Texts(Protocol):
    """What a backend whose answers are texts has as `texts`. Only `output` must be there; without
    `pieces` words are compared.
    """

    output: str  # the name of the text among the outputs
    unit: str  # of pieces: "token"
    pieces: Callable[[str], Sequence[str]] | None
    score: str  # of qs.llm.scoring; "": none is asked for

    def right(self, feeds: Mapping[str, Any], text: str) -> bool | None:
        """Whether it answers the prompt; None if nobody knows."""
        ...

    def unread(self, feeds: Mapping[str, Any], text: str) -> bool:
        """Whether nothing in it could be right or wrong: it makes no choice."""
        ...


class TextJudge:
    """Collects one case's answers."""

    def __init__(self, texts: Texts, samples: Sequence[Any]) -> None:
        self._texts, self._samples = texts, samples
        self.unit = texts.unit if texts.pieces is not None else WORD
        self._pieces = texts.pieces or words
        self._partings: list[tuple[Parting | None, int]] = []
        self._example: tuple[int | None, Parting] | None = None
        self._scored: dict[int, bool] = {}
        self._unread = 0

    def text(self, outputs: Mapping[str, np.ndarray]) -> str | None:
        """None: it has no such output."""
        found = outputs.get(self._texts.output)
        return None if found is None or not found.size else str(found.ravel()[0])

    def compare(self, sample: int | None, idle: str, busy: str, count: int) -> None:
        """`count` equal answers to a prompt."""
        found = parting(idle, busy, self._pieces)
        self._partings.append((found, count))
        if found is not None and (self._example is None or found.piece < self._example[1].piece):
            self._example = sample, found

    def belongs_elsewhere(self, text: str) -> bool:
        """Whether it is long enough to be one prompt's alone."""
        return len(self._pieces(text)) > SHORT

    def score(self, sample: int | None, text: str) -> None:
        """The first answer to a prompt counts."""
        if not self._texts.score or sample is None or sample in self._scored:
            return
        feeds = self._samples[sample]
        found = self._texts.right(feeds, text)
        if found is not None:
            self._scored[sample] = found
            self._unread += self._texts.unread(feeds, text)

    def told(self, idle_same: bool) -> dict[str, Any]:
        """The fields `texts` and `score` of a VerificationEntry. `idle_same`: whether the idle
        server repeats itself.
        """
        agreement = agreement_of(self._partings)
        example = None
        if self._example is not None:
            sample, found = self._example
            example = {
                "sample": sample,
                "piece": found.piece,
                "of": found.of,
                "idle": found.idle[:MOST_SHOWN],
                "busy": found.busy[:MOST_SHOWN],
            }
        scored = [self._scored[sample] for sample in sorted(self._scored)]
        score = score_of(scored, self._texts.score, self._unread) if self._texts.score else None
        return {
            "texts": asdict(agreement)
            | {"unit": self.unit, "example": example, "idle_same": idle_same},
            "score": None if score is None else asdict(score),
        }

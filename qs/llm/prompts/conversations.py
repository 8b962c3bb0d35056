"""Conversations: which prompts are turns of one, and what was said before each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Literal

from qs.llm.prompt import Message, Prompt

History = Literal["served", "recorded"]


def conversations_of(prompts: Iterable[Prompt]) -> Iterator[list[Prompt]]:
    """Turns that belong together. A prompt of no conversation is one of its own."""
    for name, turns in groupby(prompts, lambda prompt: prompt.conversation):
        if name:
            yield list(turns)
        else:
            yield from ([turn] for turn in turns)


def with_history(
    turns: Sequence[Prompt], index: int, served: Sequence[str], history: History = "served"
) -> Prompt:
    """Turn `index` as it is sent: after the messages of the turns before it and their answers.

    `served` holds the answers of the turns before. With "recorded" those of the recording stand in
    their place, where there are any. Its input length is that of all it holds where that is known
    beforehand, and else None.
    """
    said: list[Message] = []
    tokens = turns[index].input_tokens
    for turn, answer in zip(turns[:index], served, strict=False):
        kept = turn.recorded if history == "recorded" else None
        said += [*turn.messages, Message("assistant", answer if kept is None else kept)]
        known = None if kept is None else _sum(turn.input_tokens, turn.output_tokens)
        tokens = _sum(tokens, known)
    return replace(turns[index], messages=(*said, *turns[index].messages), input_tokens=tokens)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other

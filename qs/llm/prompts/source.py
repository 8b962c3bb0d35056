"""Where the prompts of a run come from: a file of the user's, or texts of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.llm.asked import LlmAsked
from qs.llm.prompt import Message, Prompt

COUNT = 64  # of prompts of our own, where nothing is said


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a run, in order; those of a conversation stand together, in their order."""

    prompts: Sequence[Prompt]
    # what the user is to know of them, a sentence each
    notes: Sequence[str] = ()
    # name, kind, seed, items
    about: Mapping[str, Any] = field(default_factory=dict)
    # when each is due, in seconds from the first, in order; None: they say nothing of it
    dues_s: Sequence[float] | None = None
    # whether some are turns of a conversation: `Prompt.conversation` says of which
    conversations: bool = False


def prompts_of(asked: LlmAsked, ask: Any = None) -> PromptSet:
    """The prompts that were asked for. Raises UserError: a file's faults, or a flag's."""
    prompts = [
        Prompt(
            (Message("user", f"Write a few sentences about the number {index}."),), id=str(index)
        )
        for index in range(asked.prompt_count or COUNT)
    ]
    about = {"name": "short texts", "kind": "synthetic", "seed": asked.seed, "items": len(prompts)}
    return PromptSet(prompts, about=about)

"""The prompts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.llm.prompt import Prompt


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a run, in order; those of a conversation stand together, in their order."""

    # made when they are looked at, where they are synthetic: a list of all may be large
    prompts: Sequence[Prompt]
    # what the user is to know of them, a sentence each
    notes: Sequence[str] = ()
    # name, kind, seed, items, and what is known beside: format, lengths
    about: Mapping[str, Any] = field(default_factory=dict)
    # when each is due, in seconds from the first, in order; None: they say nothing of it
    dues_s: Sequence[float] | None = None
    # whether some are turns of a conversation: `Prompt.conversation` says of which
    conversations: bool = False

"""One prompt: what is asked, how long the answer is to be, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    role: str  # "system", "user", "assistant"
    content: str


@dataclass(frozen=True)
class Prompt:
    """What one request asks. Lengths are in tokens; None: not stated."""

    messages: tuple[Message, ...]
    id: str = ""
    # as drawn or stated; what the server counts is in its answer
    input_tokens: int | None = None
    # how long the answer is to be: sent as the most tokens, and where the server knows it as the
    # least as well
    output_tokens: int | None = None
    # of the request's body, over everything else
    body: Mapping[str, Any] = field(default_factory=dict)
    # the right answer, and what it is to be chosen from
    answer: str | None = None
    choices: tuple[str, ...] = ()
    # when it is due, in seconds from the start of a trace
    due_s: float | None = None
    # the conversation that it is a turn of, "" if of none; the pause before it
    conversation: str = ""
    think_s: float = 0.0

    @property
    def text(self) -> str:
        """For an API that takes a text: the contents of its messages, a blank line between."""
        return "\n\n".join(each.content for each in self.messages)


class PromptRequest(bytes):
    """A request as it is sent, head and body, with the prompt that it was made of. Whoever reads an
    answer finds it as `call.request`.
    """

    prompt: Prompt

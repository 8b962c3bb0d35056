"""One answer of a language model, as its API's events or its body tell it. Filled by an API of
qs.llm.apis; what is measured of it is worked out by qs.llm.reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Channel(Enum):
    """Where a token came. One of any channel is a token."""

    CONTENT = "content"
    REASONING = "reasoning"
    TOOL_CALL = "tool call"


class Finish(Enum):
    """Why an answer ended, whatever the API calls it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool calls"
    CONTENT_FILTER = "content filter"
    OTHER = "other"


class Delta(NamedTuple):
    """A piece of the answer in one event. `at_ns` is when the read returned that brought the first
    byte of the event; 0 where the answer came whole.
    """

    at_ns: int
    channel: Channel
    text: str
    # of several answers to one prompt (n > 1), which
    choice: int = 0


@dataclass
class Answer:
    """What an answer says. None: it does not say."""

    deltas: list[Delta] = field(default_factory=list)
    finish: Finish | None = None
    # of the server, in its own words: what an error event or body says
    error: str | None = None
    # the API's own mark of the end was seen
    ended: bool = False
    # tokens as the server counts them
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    # times that the server states of itself, in ms by name: prompt_ms, predicted_ms (llama.cpp)
    timings: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    # events that carried no token: role only, empty, usage
    other_events: int = 0
    # tokens that the server names one by one in its events (`token_ids`, `logprobs`), so far
    listed_tokens: int = 0
    # of an embedding: how many numbers
    dimensions: int | None = None

    def text(self, channel: Channel = Channel.CONTENT) -> str:
        return "".join(delta.text for delta in self.deltas if delta.channel is channel)

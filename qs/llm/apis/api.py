"""What an API of language models is: where it is asked, with which body, and what its answers say.
One API a file of this folder; `qs.llm.apis.choice` has them by name.

Events are read after the run, from bytes that nobody trusts: an API reads what it knows, passes
over what it does not, and never raises.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from qs.llm.answer import Answer
from qs.llm.asked import LlmAsked
from qs.llm.prompt import Prompt


class Event(NamedTuple):
    """An event of a stream (SSE)."""

    # when the read returned that brought its first byte, and the one that completed it
    at_ns: int
    whole_ns: int
    data: bytes
    # its type; b"" where it names none
    name: bytes = b""


class Api(Protocol):
    """One API."""

    # below the server's /v1: "chat/completions"
    path: str

    def headers(self, key: str) -> dict[str, str]:
        """Those of each request beside Content-Type; "" is no key."""
        ...

    def body(self, prompt: Prompt, asked: LlmAsked, model: str) -> dict[str, Any]:
        """A request's JSON. The fields of `asked.body` stand over ours, those of `prompt.body` over
        both; one that is None is not sent. `min_tokens` and `ignore_eos` are sent where the prompt
        states a length and `asked.exact_lengths` is "always": whoever knows the server replaces
        "auto".
        """
        ...

    def read_event(self, event: Event, answer: Answer) -> None:
        """Add what an event of a stream says."""
        ...

    def read_whole(self, body: bytes, answer: Answer) -> None:
        """Add what a body says that came whole."""
        ...

    def looks_whole(self, body: bytes, streamed: bool) -> bool:
        """Whether it ended well and holds a token, as far as a few bytes tell
        (`qs.llm.apis.whole`). False: it has to be read.
        """
        ...

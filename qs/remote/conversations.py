"""Conversations as samples of the engine's load Sessions: each turn is sent after what was said
before it, which is known when the answer to the turn before has come.

Where the answers of a recording stand in the history, every turn is a request made beforehand.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from qs.llm.prompt import PromptRequest
from qs.llm.prompts.conversations import History, conversations_of, with_history

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall
    from qs.remote.protocols.openai import OpenAi

NS_PER_S = 1e9


class Conversation:
    """One conversation. `requests` are its turns as they are known beforehand: the first is sent as
    it is, the others where their history is recorded.
    """

    def __init__(
        self, protocol: OpenAi, requests: Sequence[PromptRequest], history: History
    ) -> None:
        self._protocol, self._history = protocol, history
        self._turns = [each.prompt for each in requests]
        self.requests = list(requests)
        if history == "recorded":
            unsaid = [""] * len(requests)
            for index in range(1, len(requests)):
                if all(each.recorded is not None for each in self._turns[:index]):
                    self.requests[index] = protocol.prompt_request(
                        with_history(self._turns, index, unsaid, history)
                    )
        # of the turns that can be sent without having heard the answers before
        self._known = [
            index == 0 or self.requests[index] is not requests[index]
            for index in range(len(requests))
        ]

    def turns(self) -> Generator[tuple[PromptRequest, int], WireCall, None]:
        """(request, think time in ns), to be sent the call of each answer."""
        served: list[str] = []
        for index, turn in enumerate(self._turns):
            request = self.requests[index]
            if not self._known[index]:
                request = self._protocol.prompt_request(
                    with_history(self._turns, index, served, self._history)
                )
            call = yield request, int(turn.think_s * NS_PER_S)
            if index + 1 < len(self._turns):
                served.append("" if self._known[index + 1] else self._protocol.text_of(call))


def conversations(
    protocol: OpenAi, requests: Sequence[PromptRequest], history: History
) -> list[Conversation]:
    """Requests of turns in their order, as conversations; one of no conversation is one alone."""
    found, at = [], 0
    for turns in conversations_of(each.prompt for each in requests):
        found.append(Conversation(protocol, requests[at : at + len(turns)], history))
        at += len(turns)
    return found

"""Conversations as samples: what is sent before and after each answer."""

from __future__ import annotations

import pytest

from qs.engine.wire.calls import WireCall
from qs.llm.prompt import from_line
from qs.remote.asked import Asked
from qs.remote.conversations import conversations
from qs.remote.protocols.openai import OpenAi
from tests.servers.rest import read_request
from tests.servers.scripted import chat_events

LINES = (
    '{"conversation": "a", "prompt": "one", "recorded": "told one"}',
    '{"conversation": "a", "prompt": "two", "think_s": 0.5}',
    '{"conversation": "a", "prompt": "three"}',
    '{"prompt": "alone"}',
)


def made(history: str):
    asked = Asked.of({"url": "openai+http://h/v1", "model": "m", "llm": {"history": history}})
    protocol = OpenAi(asked.address(), asked)
    requests = [protocol.prompt_request(from_line(line)) for line in LINES]
    return requests, conversations(protocol, requests, history)


def answered(text: str) -> WireCall:
    call = WireCall(b"", lambda call: None, None)
    call.status, call.body = 200, b"".join(chat_events(text))
    return call


def said(request: bytes) -> list[str]:
    return [each["content"] for each in read_request(request).json["messages"]]


@pytest.mark.parametrize(
    ("history", "second", "third"),
    [
        ("served", ["one", "A", "two"], ["one", "A", "two", "B", "three"]),
        ("recorded", ["one", "told one", "two"], ["one", "told one", "two", "B", "three"]),
    ],
)
def test_each_turn_is_sent_after_what_was_said(history, second, third):
    requests, (talk, alone) = made(history)
    turns = talk.turns()
    first, think_ns = next(turns)
    assert (first is requests[0], said(first), think_ns) == (True, ["one"], 0)
    request, think_ns = turns.send(answered("A"))
    assert (said(request), think_ns) == (second, 500_000_000)
    assert said(turns.send(answered("B"))[0]) == third
    with pytest.raises(StopIteration):
        turns.send(answered("C"))
    assert said(next(alone.turns())[0]) == ["alone"]


def test_an_answer_that_says_nothing_is_an_empty_one():
    _, (talk, _) = made("served")
    turns = talk.turns()
    next(turns)
    call = answered("")
    call.body = b"garbage"
    assert said(turns.send(call)[0]) == ["one", "", "two"]


def test_a_conversation_can_be_held_again():
    _, (talk, _) = made("served")
    for text in ("A", "other"):
        turns = talk.turns()
        next(turns)
        assert said(turns.send(answered(text))[0]) == ["one", text, "two"]

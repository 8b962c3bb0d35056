"""What an answer is judged to be when it has come: a table of bodies, for all APIs."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.llm.apis.choice import api_of
from qs.llm.events import events
from qs.llm.outcomes import Outcome, judge, read_answer, verdict
from tests.qs.llm.calls import JSON, STREAM, call_of
from tests.servers.scripted import chat_events, event

USAGE = {"prompt_tokens": 2, "completion_tokens": 2}
GOOD = b"".join(chat_events("a", "b", usage=USAGE))
ERROR = {"error": {"message": "CUDA out of memory", "type": "server_error", "code": 500}}
LONG_ERROR = {"error": {"message": "too long: " + "x" * 5_000}}
MESSAGES = b"".join(
    event(each, each["type"])
    for each in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    )
)
RESPONSE = {"id": "r", "status": "completed", "error": None, "output": []}
RESPONSES = b"".join(
    event(each, each["type"])
    for each in (
        {"type": "response.created", "response": {"error": None}},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.completed", "response": {**RESPONSE, "text": "x" * 4_000}},
    )
)


def judged(
    body: bytes, api: str = "chat", streamed: bool = True, kind: bytes = STREAM
) -> tuple[str | None, str]:
    call = call_of(body, kind=kind)
    judge(call, api_of(api), streamed)
    return call.failure, call.detail


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (GOOD, None),
        (GOOD.replace(b"\n", b"\r\n"), None),
        (b"".join(chat_events("a", finish="length")), None),
        (b"".join(chat_events("a", finish=None)), None),  # [DONE] alone
        (b"".join(chat_events("a", done=False)), None),  # a finish alone
        (b": ping\n\n" + GOOD, None),
        (GOOD.replace(b"data: ", b"data:"), None),
        (b"".join(chat_events('she said "error" and \\"error\\" again')), None),
        (b"".join(chat_events(*["word"] * 2_000)), None),
        # An error of any shape, at the beginning, in the midst, at the end.
        (event(ERROR), "error event"),
        (event(ERROR) + event("[DONE]"), "error event"),
        (b"".join(chat_events("a", finish=None, done=False)) + event(ERROR), "error event"),
        (b"".join(chat_events("a", finish=None, done=False)) + event(ERROR) + event("[DONE]"),
         "error event"),
        (b"".join(chat_events("a", finish=None, done=False)) + event(LONG_ERROR) + event("[DONE]"),
         "error event"),
        (event({"object": "error", "message": "no"}), "error event"),
        (event({"message": "no"}, "error"), "error event"),
        (b'error: {"code":500,"message":"no"}\n\n', "error event"),
        (json.dumps(ERROR).encode(), "error event"),
        (b"".join(chat_events("a", finish=None, done=False)) + json.dumps(ERROR).encode() + b"\n\n",
         "error event"),
        (event({"choices": [{"delta": {}, "finish_reason": "error"}]}) + event("[DONE]"),
         "error event"),
        # Cut.
        (b"".join(chat_events("a", finish=None, done=False)), "cut stream"),
        (GOOD[:200], "cut stream"),
        (b"", "cut stream"),
        (b": ping\n\n", "cut stream"),
        (b"garbage\x00\xff\n\n", "cut stream"),
        (b"data: garbage\n\n", "cut stream"),
        (event({"choices": [{"delta": {"content": "a"}, "finish_reason": "null"}]}), "cut stream"),
        # Nothing in it.
        (b"".join(chat_events()), "empty answer"),
        (b"".join(chat_events("", "")), "empty answer"),
        (b"".join(chat_events(finish=None)), "empty answer"),
    ],
)  # fmt: skip
def test_streams_of_chat(body: bytes, failure: str | None) -> None:
    assert judged(body)[0] == failure


@pytest.mark.parametrize(
    ("body", "kind", "failure"),
    [
        (GOOD, b"Text/Event-Stream", None),
        (GOOD, b"text/plain", "wrong content type"),
        (GOOD, JSON, "wrong content type"),
        (b'{"choices":[]}', JSON, "wrong content type"),
        (b"<html>Welcome</html>", b"text/html", "wrong content type"),
        (json.dumps(ERROR).encode(), JSON, "error event"),
    ],
)
def test_content_types_of_streams(body: bytes, kind: bytes, failure: str | None) -> None:
    assert judged(body, kind=kind)[0] == failure


def test_an_answer_that_is_packed_was_not_asked_for() -> None:
    call = call_of(gzip.compress(GOOD), kind=STREAM + b"\r\nContent-Encoding: gzip")
    judge(call, api_of("chat"), True)
    assert (call.failure, call.detail) == (
        "wrong content type",
        "packed by gzip, which was not asked for",
    )


def test_a_very_long_odd_stream_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    body = event({"choices": [{"delta": {"content": "a"}}]}) * 200_000 + event(ERROR)
    seen = []
    real = type(api_of("chat")).read_event
    monkeypatch.setattr(
        type(api_of("chat")), "read_event", lambda *given: (seen.append(1), real(*given))
    )
    assert judged(body) == ("error event", "CUDA out of memory")
    assert len(seen) < 40_000


def message(**fields: Any) -> bytes:
    return json.dumps({"choices": [{"message": fields, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize(
    ("api", "body", "failure"),
    [
        ("chat", message(role="assistant", content="Hi"), None),
        ("chat", message(role="assistant", content=None, reasoning_content="Hm"), None),
        ("chat", message(content=None, tool_calls=[{"function": {"name": "f"}}]), None),
        ("chat", message(content=""), "empty answer"),
        ("chat", b'{"choices":[]}', "empty answer"),
        ("chat", json.dumps(ERROR).encode(), "error event"),
        ("chat", message(content="Hi")[:-1], "wrong content type"),
        ("chat", b"[]", "wrong content type"),
        ("chat", b"", "wrong content type"),
        ("chat", b"<html>", "wrong content type"),
        ("completions", b'{"choices":[{"text":"Hi"}]}', None),
        ("completions", b'{"choices":[{"text":""}]}', "empty answer"),
        ("embeddings", b'{"data":[{"embedding":[0.5,1]}]}', None),
        ("embeddings", b'{"data": [{"embedding": "AACAPw=="}]}', None),
        ("embeddings", b'{"data":[{"embedding":[]}]}', "empty answer"),
        ("embeddings", b'{"data":[]}', "empty answer"),
        ("embeddings", json.dumps(ERROR).encode(), "error event"),
        ("messages", b'{"content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}', None),
        ("messages", b'{"type":"error","error":{"message":"no"}}', "error event"),
        ("responses", json.dumps({**RESPONSE, "output": [
            {"type": "message", "content": [{"text": "Hi"}]}]}).encode(), None),
        ("responses", json.dumps(RESPONSE).encode(), "empty answer"),
        ("responses", json.dumps({**RESPONSE, "status": "failed",
                                  "error": {"message": "no"}}).encode(), "error event"),
    ],
)  # fmt: skip
def test_whole_answers(api: str, body: bytes, failure: str | None) -> None:
    assert judged(body, api, streamed=False, kind=JSON)[0] == failure


@pytest.mark.parametrize(
    ("api", "body", "failure"),
    [
        ("messages", MESSAGES, None),
        ("messages", MESSAGES[: MESSAGES.index(b"event: message_delta")], "cut stream"),
        ("messages", MESSAGES + event({"type": "error", "error": {"message": "x"}}), "error event"),
        ("responses", RESPONSES, None),
        ("responses", RESPONSES[: RESPONSES.index(b"event: response.completed")], "cut stream"),
        ("responses", event({"type": "response.failed", "response": {"status": "failed"}}),
         "error event"),
        ("responses", event({"type": "response.completed", "response": RESPONSE}), "empty answer"),
        ("completions", b'data: {"choices":[{"text":"a","finish_reason":"stop"}]}\n\n'
                        b"data: [DONE]\n\n", None),
        ("completions", b'data: {"choices":[{"text":"a"}]}\n\n', "cut stream"),
    ],
)  # fmt: skip
def test_streams_of_other_apis(api: str, body: bytes, failure: str | None) -> None:
    assert judged(body, api)[0] == failure


def test_the_servers_words_are_the_detail() -> None:
    assert judged(event(ERROR)) == ("error event", "CUDA out of memory")
    assert judged(GOOD, kind=b"text/plain")[1] == "text/plain where a stream was asked for"
    assert judged(b"<html>", streamed=False, kind=b"text/html")[1] == (
        "text/html, and no JSON object: <html>"
    )
    assert len(judged(event(LONG_ERROR))[1]) == 200


def test_a_call_that_has_failed_already_is_left_as_it_is() -> None:
    call = call_of(b"", failure="HTTP 429")
    judge(call, api_of("chat"), True)
    assert (call.failure, call.detail) == ("HTTP 429", "")


def test_a_body_that_is_a_view() -> None:
    call = call_of(b"")
    call.body = memoryview(GOOD)
    judge(call, api_of("chat"), True)
    assert call.failure is None


def test_good_answers_are_not_read_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: Any) -> None:
        raise AssertionError("read in full")

    for api in ("chat", "messages", "responses"):
        monkeypatch.setattr(type(api_of(api)), "read_event", never)
        monkeypatch.setattr(type(api_of(api)), "read_whole", never)
    assert judged(GOOD)[0] is None
    assert judged(MESSAGES, "messages")[0] is None
    assert judged(RESPONSES, "responses")[0] is None
    assert judged(message(content="Hi"), streamed=False, kind=JSON)[0] is None


PARTS = st.sampled_from(
    [*chat_events("a", "error", usage=USAGE), *chat_events("b", done=False), event(ERROR),
     b": ping\n\n", b"data: x\n\n", event({"choices": []})]
)  # fmt: skip


@given(st.lists(PARTS, max_size=8))
def test_what_is_passed_at_once_passes_when_it_is_read(parts: list[bytes]) -> None:
    """But for an error in the midst of a long stream that goes on."""
    body = b"".join(parts)
    answer = read_answer(body, None, api_of("chat"), True)
    found = verdict(answer, True)
    assert judged(body)[0] == (None if found is None else found.value)
    assert len(answer.deltas) <= sum(1 for _ in events(body, None))


def test_an_error_in_the_midst_of_a_long_stream_that_goes_on_is_found_when_it_is_read() -> None:
    many = ["word"] * 50
    body = b"".join(chat_events(*many, finish=None, done=False)) + event(ERROR)
    body += b"".join(chat_events(*many))
    assert judged(body)[0] is None
    assert verdict(read_answer(body, None, api_of("chat"), True), True) is Outcome.ERROR_EVENT

"""What each API's requests look like, and what its answers say, as servers of several kinds send
them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.llm.answer import Answer, Channel, Finish
from qs.llm.apis.api import Event
from qs.llm.apis.choice import api_of
from qs.llm.asked import APIS, LlmAsked
from qs.llm.prompt import Message, Prompt
from tests.servers.scripted import chat_events

HELLO = Prompt((Message("system", "Be brief."), Message("user", "Hello")), output_tokens=16)
BRIEF = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hello"}
USAGE = {"include_usage": True}


def read(api: str, *contents: Any, names: tuple[bytes, ...] = ()) -> Answer:
    """A stream of these events, at 10, 20, 30 ... ns."""
    answer = Answer()
    for number, each in enumerate(contents):
        data = each.encode() if isinstance(each, str) else json.dumps(each).encode()
        name = names[number] if names else b""
        api_of(api).read_event(Event(10 * number + 10, 10 * number + 11, data, name), answer)
    return answer


def read_whole(api: str, content: Any) -> Answer:
    answer = Answer()
    api_of(api).read_whole(json.dumps(content).encode(), answer)
    return answer


def told(answer: Answer) -> list[tuple[int, str, str]]:
    return [(each.at_ns, each.channel.value, each.text) for each in answer.deltas]


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


# Requests.


@pytest.mark.parametrize(
    ("api", "path", "body"),
    [
        ("chat", "chat/completions", {"model": "m", "messages": [BRIEF, USER], "max_tokens": 16,
                                      "stream": True, "stream_options": USAGE}),
        ("completions", "completions", {"model": "m", "prompt": "Be brief.\n\nHello",
                                        "max_tokens": 16, "stream": True,
                                        "stream_options": USAGE}),
        ("embeddings", "embeddings", {"model": "m", "input": "Be brief.\n\nHello"}),
        ("responses", "responses", {"model": "m", "input": [BRIEF, USER], "max_output_tokens": 16,
                                    "stream": True}),
        ("messages", "messages", {"model": "m", "messages": [USER], "system": "Be brief.",
                                  "max_tokens": 16, "stream": True}),
    ],
)  # fmt: skip
def test_requests(api: str, path: str, body: dict[str, Any]) -> None:
    assert api_of(api).path == path
    assert api_of(api).body(HELLO, LlmAsked(), "m") == body


@pytest.mark.parametrize("api", APIS)
def test_whole_answers_are_asked_for_without_options_of_a_stream(api: str) -> None:
    body = api_of(api).body(HELLO, LlmAsked(stream=False), "m")
    assert "stream_options" not in body and not body.get("stream", False)


def test_the_users_fields_stand_over_ours_and_the_prompts_over_both() -> None:
    asked = LlmAsked(body={"temperature": 0, "max_completion_tokens": 5, "stream_options": None})
    prompt = Prompt(HELLO.messages, output_tokens=16, body={"temperature": 1, "model": "other"})
    assert api_of("chat").body(prompt, asked, "m") == {
        "model": "other", "messages": [BRIEF, USER], "stream": True, "temperature": 1,
        "max_completion_tokens": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("api", "exact", "sent"),
    [
        ("chat", "always", {"max_tokens": 16, "min_tokens": 16, "ignore_eos": True}),
        ("completions", "always", {"max_tokens": 16, "min_tokens": 16, "ignore_eos": True}),
        ("responses", "always", {"max_output_tokens": 16}),
        ("messages", "always", {"max_tokens": 16}),
        ("chat", "never", {"max_tokens": 16}),
        ("chat", "auto", {"max_tokens": 16}),
    ],
)
def test_exact_lengths(api: str, exact: Any, sent: dict[str, Any]) -> None:
    names = ("max_tokens", "max_output_tokens", "min_tokens", "ignore_eos")
    body = api_of(api).body(HELLO, LlmAsked(exact_lengths=exact), "m")
    assert {name: body[name] for name in names if name in body} == sent
    # A length that the user states is the only one.
    stated = LlmAsked(exact_lengths=exact, body={"max_tokens": 3, "max_output_tokens": 3})
    assert "min_tokens" not in api_of(api).body(HELLO, stated, "m")


@pytest.mark.parametrize(
    ("least", "sent"),
    [
        (None, {"max_tokens": 16, "min_tokens": 16, "ignore_eos": True}),
        (16, {"max_tokens": 16, "min_tokens": 16, "ignore_eos": True}),
        (9, {"max_tokens": 16, "min_tokens": 9}),
        (0, {"max_tokens": 16}),  # a bound and no more
    ],
)
def test_a_prompts_own_least_length(least: int | None, sent: dict[str, Any]) -> None:
    prompt = Prompt(HELLO.messages, output_tokens=16, min_tokens=least)
    body = api_of("chat").body(prompt, LlmAsked(exact_lengths="always"), "m")
    names = ("max_tokens", "min_tokens", "ignore_eos")
    assert {name: body[name] for name in names if name in body} == sent


@pytest.mark.parametrize(("api", "key"), [("chat", "messages"), ("messages", "messages"),
                                          ("responses", "input")])  # fmt: skip
def test_messages_are_sent_as_they_were_written(api: str, key: str) -> None:
    raw = {"role": "user", "content": [{"type": "text", "text": "hi"}], "name": "n"}
    body = api_of(api).body(Prompt((Message("user", "hi", raw),)), LlmAsked(), "m")
    assert body[key] == [raw]


def test_messages_state_a_length_always_since_the_api_wants_one() -> None:
    assert api_of("messages").body(Prompt(HELLO.messages), LlmAsked(), "m")["max_tokens"] == 1024


def test_headers() -> None:
    assert api_of("chat").headers("k") == {"Authorization": "Bearer k"}
    assert api_of("chat").headers("") == {}
    version = {"anthropic-version": "2023-06-01"}
    assert api_of("messages").headers("k") == {**version, "x-api-key": "k"}
    assert api_of("messages").headers("") == version


# Chat.


def test_a_stream_of_chat() -> None:
    events = chat_events("Hel", "lo", usage={"prompt_tokens": 9, "completion_tokens": 3})
    answer = read("chat", *(each.decode()[6:].strip() for each in events))
    assert told(answer) == [(20, "content", "Hel"), (30, "content", "lo")]
    assert (answer.finish, answer.ended, answer.error) == (Finish.STOP, True, None)
    assert (answer.input_tokens, answer.output_tokens, answer.model) == (9, 3, "m")
    assert answer.other_events == 3  # the role, the finish, the usage; [DONE] is none


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": ""}, []),
        ({"content": None}, []),
        ({"role": "assistant"}, []),
        ({"role": "assistant", "content": "x"}, [("content", "x")]),
        ({"reasoning_content": "x", "content": None}, [("reasoning", "x")]),
        ({"reasoning": "x"}, [("reasoning", "x")]),
        ({"reasoning": "x", "reasoning_content": "x"}, [("reasoning", "x")]),
        ({"reasoning_content": "x", "content": "y"}, [("reasoning", "x"), ("content", "y")]),
        ({"refusal": "no"}, [("content", "no")]),
        ({"content": [{"type": "text", "text": "x"}, {"type": "text", "text": ""}]},
         [("content", "x")]),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
         [("tool call", "f")]),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\""}}]},
         [("tool call", "{\"a\"")]),
        ({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": ""}}]}, []),
        ({"tool_calls": {"function": {"name": "f", "arguments": {"a": 1}}}},
         [("tool call", 'f{"a":1}')]),
        ({"function_call": {"name": "f"}}, [("tool call", "f")]),
        ({"content": 5, "tool_calls": 7, "reasoning": {}}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_deltas_of_chat(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    answer = read("chat", delta(**fields))
    assert [each[1:] for each in told(answer)] == expected
    assert answer.other_events == (0 if expected else 1)


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", Finish.STOP), ("eos_token", Finish.STOP), ("length", Finish.LENGTH),
     ("tool_calls", Finish.TOOL_CALLS), ("function_call", Finish.TOOL_CALLS),
     ("content_filter", Finish.CONTENT_FILTER), ("abort", Finish.OTHER), (None, None), ("", None),
     ("null", None)],
)  # fmt: skip
def test_finishes(word: str | None, finish: Finish | None) -> None:
    assert read("chat", delta(word)).finish is finish


def test_usage_with_every_event_counts_as_it_says_last() -> None:
    parts = [
        {**delta(content=text), "usage": {"prompt_tokens": 9, "completion_tokens": number}}
        for number, text in enumerate("abc", 1)
    ]
    answer = read("chat", *parts)
    assert (answer.input_tokens, answer.output_tokens, len(answer.deltas)) == (9, 3, 3)
    assert read("chat", {**parts[0], "usage": None}).output_tokens is None


def test_details_of_usage() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 7,
             "prompt_tokens_details": {"cached_tokens": 4},
             "completion_tokens_details": {"reasoning_tokens": 5}}  # fmt: skip
    answer = read("chat", {"choices": [], "usage": usage})
    assert (answer.cached_tokens, answer.reasoning_tokens) == (4, 5)
    answer = read("chat", {"choices": [], "usage": {"reasoning_tokens": 3}})
    assert (answer.output_tokens, answer.reasoning_tokens) == (None, 3)
    nonsense = {"prompt_tokens": -1, "completion_tokens": "7", "prompt_tokens_details": 5}
    answer = read("chat", {"choices": [], "usage": nonsense})
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


def test_timings_of_llama_cpp() -> None:
    last = {**delta("stop"), "timings": {"prompt_ms": 4.5, "predicted_ms": 70, "predicted_n": 8,
                                         "odd": "x", "flag": True}}  # fmt: skip
    answer = read("chat", delta(content="x"), last)
    assert answer.timings == {"prompt_ms": 4.5, "predicted_ms": 70.0, "predicted_n": 8.0}
    assert answer.finish is Finish.STOP


def test_tokens_that_events_name() -> None:
    parts = [delta(content="ab"), delta(content="c")]
    parts[0]["choices"][0]["token_ids"] = [1, 2]
    parts[1]["choices"][0]["logprobs"] = {"content": [{"token": "c"}]}
    assert read("chat", *parts).listed_tokens == 3


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"choices":[{"delta":{"content":"a"},"logprob":-Infinity,"other":NaN}]}', "a"),
        (b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', "?"),
        (b'{"choices":[{"delta":{"content":"\\ud83d\\ude42"}}]}', "\N{SLIGHTLY SMILING FACE}"),
        (b'{"choices":[{"delta":{"content":"caf\xe9"}}]}', "caf\ufffd"),
        (b'{"choices":[{"delta":{"content":"a"}}]', ""),
        (b"[" * 100_000, ""),
        (b'{"a":' * 100_000, ""),
        (b"\xff", ""),
    ],
)
def test_json_that_is_almost_none(data: bytes, text: str) -> None:
    """Python's writer makes NaN; some servers cut a pair of surrogates in two."""
    answer = Answer()
    api_of("chat").read_event(Event(1, 1, data), answer)
    assert answer.text() == text


def test_several_choices() -> None:
    answer = read("chat", {"choices": [{"index": 1, "delta": {"content": "b"}},
                                       {"index": 0, "delta": {"content": "a"}}]})  # fmt: skip
    assert [(each.choice, each.text) for each in answer.deltas] == [(1, "b"), (0, "a")]


@pytest.mark.parametrize(
    ("api", "content", "name", "error"),
    [
        ("chat", {"error": {"message": "out of\nmemory", "code": 500}}, b"", "out of memory"),
        ("chat", {"error": "text"}, b"", "text"),
        ("chat", {"error": {"code": 5}}, b"", "5"),
        ("chat", {"error": "Request failed", "error_type": "generation"}, b"", "Request failed"),
        ("chat", {"object": "error", "message": "too long", "code": 400}, b"", "too long"),
        ("chat", {"type": "error", "error": {"type": "t", "message": "busy"}}, b"error", "busy"),
        ("chat", {"code": 500, "message": "no slot"}, b"error", "no slot"),
        ("chat", {"choices": [], "error": {"message": "late"}}, b"", "late"),
        ("chat", {"choices": [], "error": None}, b"", None),
        ("chat", {"choices": []}, b"", None),
        ("completions", {"error": {"message": "x"}}, b"", "x"),
        ("messages", {"type": "error", "error": {"message": "overloaded"}}, b"error", "overloaded"),
        ("messages", {"error": {"message": "x"}}, b"", "x"),
        ("responses", {"type": "error", "code": "c", "message": "x"}, b"error", "x"),
        ("responses", {"type": "response.failed",
                       "response": {"status": "failed", "error": {"message": "x"}}}, b"", "x"),
        ("responses", {"type": "response.failed", "response": {"status": "failed"}}, b"", "failed"),
        ("responses", {"error": {"message": "x"}}, b"", "x"),
    ],
)  # fmt: skip
def test_errors_within_a_stream(api: str, content: Any, name: bytes, error: str | None) -> None:
    assert read(api, content, names=(name,)).error == error


def test_a_whole_answer_of_chat() -> None:
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm",
               "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}  # fmt: skip
    choices = [{"message": message, "finish_reason": "length"}]
    content = {"model": "m", "usage": {"completion_tokens": 4}, "choices": choices}
    answer = read_whole("chat", content)
    assert told(answer) == [(0, "reasoning", "Hm"), (0, "content", "Hi"), (0, "tool call", "f{}")]
    assert (answer.finish, answer.ended, answer.output_tokens) == (Finish.LENGTH, True, 4)
    assert answer.text() == "Hi" and answer.text(Channel.REASONING) == "Hm"


# The others.


def test_completions() -> None:
    parts = [{"choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in ("", "a")]
    last = {"choices": [{"index": 0, "text": "b", "finish_reason": "length"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    answer = read("completions", *parts, last, usage, "[DONE]")
    assert told(answer) == [(20, "content", "a"), (30, "content", "b")]
    assert (answer.finish, answer.ended, answer.other_events) == (Finish.LENGTH, True, 2)
    whole = read_whole("completions", {"choices": [{"text": "ab", "finish_reason": "stop"}]})
    assert (told(whole), whole.ended, whole.finish) == ([(0, "content", "ab")], True, Finish.STOP)


@pytest.mark.parametrize(("vector", "size"), [([0.5, -1.0, 2], 3), ("AAAAAAAAAAAAAAAA", 3),
                                              ("AACAPw==", 1), ([], 0), (None, None)])  # fmt: skip
def test_embeddings(vector: Any, size: int | None) -> None:
    content = {"object": "list", "data": [{"embedding": vector}], "usage": {"prompt_tokens": 7}}
    answer = read_whole("embeddings", content)
    assert (answer.dimensions, answer.input_tokens, answer.ended) == (size, 7, True)
    assert read_whole("embeddings", {"error": {"message": "x"}}).error == "x"
    assert read_whole("embeddings", {"object": "error", "message": "x"}).error == "x"


def test_messages() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
             "output_tokens": 1}  # fmt: skip
    answer = read(
        "messages",
        {"type": "message_start", "message": {"model": "m", "usage": usage}},
        {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "x"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f",
                                                          "input": {}}},
        {"type": "content_block_delta", "delta": {"type": "input_json_delta",
                                                  "partial_json": "{}"}},
        {"type": "content_block_stop"},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"},
         "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    )  # fmt: skip
    assert told(answer) == [(40, "reasoning", "Hm"), (60, "content", "Hi"), (70, "tool call", "f"),
                            (80, "tool call", "{}")]  # fmt: skip
    assert (answer.finish, answer.ended, answer.other_events) == (Finish.TOOL_CALLS, True, 7)
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (10, 12, 3)


def test_a_whole_answer_of_messages() -> None:
    content = {"type": "message", "model": "m", "stop_reason": "max_tokens",
               "usage": {"input_tokens": 5, "output_tokens": 6},
               "content": [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Hi"},
                           {"type": "tool_use", "name": "f", "input": {"a": 1}}]}  # fmt: skip
    answer = read_whole("messages", content)
    assert [each[1:] for each in told(answer)] == [
        ("reasoning", "Hm"), ("content", "Hi"), ("tool call", 'f{"a":1}')]  # fmt: skip
    assert (answer.finish, answer.ended, answer.input_tokens) == (Finish.LENGTH, True, 5)


RESPONSE = {
    "status": "completed", "model": "m", "error": None, "incomplete_details": None,
    "output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
               {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 6,
              "output_tokens_details": {"reasoning_tokens": 4},
              "input_tokens_details": {"cached_tokens": 2}},
}  # fmt: skip


def test_responses() -> None:
    answer = read(
        "responses",
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.output_item.added", "item": {"type": "message"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
        {"type": "response.output_text.delta", "delta": "H"},
        {"type": "response.output_text.delta", "delta": "i"},
        {"type": "response.output_text.done", "text": "Hi"},
        {"type": "response.completed", "response": RESPONSE},
    )
    assert told(answer) == [(30, "reasoning", "Hm"), (40, "content", "H"), (50, "content", "i")]
    assert (answer.finish, answer.ended, answer.other_events) == (Finish.STOP, True, 4)
    assert (answer.input_tokens, answer.output_tokens) == (5, 6)
    assert (answer.reasoning_tokens, answer.cached_tokens) == (4, 2)


def test_calls_of_tools_in_responses() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    answer = read(
        "responses",
        {"type": "response.output_item.added", "item": {**call, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.completed", "response": {**RESPONSE, "output": [call]}},
    )
    assert told(answer) == [(10, "tool call", "f"), (20, "tool call", "{}")]
    assert answer.finish is Finish.TOOL_CALLS


def test_a_response_whose_text_stands_in_its_last_event_alone() -> None:
    answer = read("responses", {"type": "response.completed", "response": RESPONSE})
    assert told(answer) == [(10, "reasoning", "Hm"), (10, "content", "Hi")]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", Finish.LENGTH), ("content_filter", Finish.CONTENT_FILTER),
     (None, Finish.OTHER)],
)  # fmt: skip
def test_a_response_that_is_incomplete(reason: str | None, finish: Finish) -> None:
    content = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": reason}}
    answer = read("responses", {"type": "response.incomplete", "response": content})
    assert (answer.finish, answer.ended) == (finish, True)
    whole = read_whole("responses", content)
    assert (whole.finish, whole.text()) == (finish, "Hi")


# Whatever a server sends, reading it raises nothing.

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "text", "usage", "error", "type", "response",
             "finish_reason", "tool_calls", "function", "name", "arguments", "timings", "output",
             "data", "embedding", "index", "item", "content_block", "logprobs", "token_ids",
             "prompt_tokens", "completion_tokens", "model", "reasoning", "summary", "status",
             "prompt_tokens_details", "cached_tokens", "stop_reason", "input", "incomplete_details"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
KINDS = ["content_block_delta", "content_block_start", "message_start", "message_delta", "error",
         "response.output_text.delta", "response.output_item.added", "response.completed",
         "response.failed", "response.incomplete"]  # fmt: skip


@given(
    st.sampled_from(APIS), JSON, st.sampled_from([None, *KINDS]), st.sampled_from([b"", b"error"])
)
def test_whatever_comes_nothing_is_raised(api: str, content: Any, kind: Any, name: bytes) -> None:
    if isinstance(content, dict) and kind:
        content = {**content, "type": kind}
    data = json.dumps(content, allow_nan=False, default=str) if _finite(content) else "NaN"
    answer = Answer()
    api_of(api).read_event(Event(1, 2, data.encode("utf-8", "surrogatepass"), name), answer)
    api_of(api).read_whole(data.encode("utf-8", "surrogatepass"), answer)
    for number in (answer.input_tokens, answer.output_tokens, answer.cached_tokens):
        assert number is None or number >= 0
    assert all(isinstance(each.text, str) and each.text for each in answer.deltas)
    assert answer.error is None or isinstance(answer.error, str)


def _finite(content: Any) -> bool:
    try:
        json.dumps(content, allow_nan=False)
    except ValueError:
        return False
    return True

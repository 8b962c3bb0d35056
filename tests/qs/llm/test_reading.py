"""What is measured of answers, by bytes and marks made up for it: exact numbers. Times are in ms
where the name says so; a request is due and sent at 1,000 ms unless it says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import NOT_MEASURED, Ended, Reading
from qs.llm import counts
from qs.llm.apis.choice import api_of
from qs.llm.asked import LlmAsked
from qs.llm.measures import OUTPUT, measures_of
from qs.llm.reading import reader
from tests.qs.llm.calls import JSON, MS, call_of, prompt_of, streamed
from tests.servers.scripted import chat_events, event

NONE = NOT_MEASURED


class Letters:
    """A tokenizer for which each letter is a token."""

    name = "letters"

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.replace(" ", "")) for text in texts]


def read(*ended: Ended, tokenizer: Any = None, api: str = "chat", **asked: Any) -> Reading:
    return reader(api_of(api), LlmAsked(api=api, **asked), tokenizer)(ended)


def at(start_ms: float, gap_ms: float, events: Sequence[bytes]) -> dict[float, bytes]:
    """Each in a read of its own."""
    return {start_ms + gap_ms * number: each for number, each in enumerate(events)}


def value(reading: Reading, name: str) -> float | None:
    """Of the only request; times in ms."""
    (found,) = reading.values[name]
    if found == NONE:
        return None
    times = ("ttft", "ttft_sent", "tpot", "decode", "generation", "normalised",
             "server_prefill", "server_decode")  # fmt: skip
    return float(found) / (MS if name in times else 1)


def many(reading: Reading, name: str) -> list[float]:
    return [each / MS for each in reading.many[name][0].tolist()]


def usage(given: int, output: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": given, "completion_tokens": output, **more}


def test_every_measure_of_a_plain_stream() -> None:
    """Role at 1,040 ms, tokens from 1,050 each 10 ms, finish, usage, [DONE]."""
    events = chat_events("a", "b", "c", "d", "e", usage=usage(100, 5), finish="length")
    ended = streamed(at(1040, 10, events), due_ms=990, last_ms=1200)
    found = read(ended)
    assert value(found, "ttft") == 60
    assert value(found, "ttft_sent") == 50
    assert value(found, "tpot") == 10
    assert value(found, "decode") == 40
    assert value(found, "generation") == 50
    assert value(found, "normalised") == 42
    assert value(found, "prefill_rate") == 2_000_000  # 100 tokens in 50 ms, in 1/1000 tokens/s
    assert value(found, "decode_rate") == 100_000
    assert (value(found, "input_tokens"), value(found, "output_tokens")) == (100, 5)
    assert many(found, "event_gap") == [10] * 4
    assert many(found, "itl") == [10] * 4
    assert [each / MS for each in found.many["itl"][1]] == [1060, 1070, 1080, 1090]
    assert found.outcomes == ["length"]
    instants, amounts = found.happened[OUTPUT]
    assert [each / MS for each in instants[:5]] == [1050, 1060, 1070, 1080, 1090]
    assert amounts.sum() == 5
    expected = {counts.EVENTS: 8, counts.TOKEN_EVENTS: 5, counts.BY_USAGE: 1,
                counts.EVENTS_KNOWN: 1, counts.UNASKED_LENGTH: 1}  # fmt: skip
    assert {name: found.counts.get(name) for name in expected} == expected


def test_every_measure_is_there_for_every_request() -> None:
    for api, stream in (("chat", True), ("chat", False), ("embeddings", True)):
        found = read(streamed({}, last_ms=1), api=api, stream=stream)
        single = {each.name for each in measures_of(api, stream) if not each.many}
        assert single <= set(found.values)
        assert all(len(each) == 1 and each.dtype == np.int64 for each in found.values.values())
    assert read().outcomes == []


@pytest.mark.parametrize(
    "before",
    [
        chat_events(finish=None, done=False),  # the role
        chat_events("", "", finish=None, done=False),
        [b": ping\n\n", b": ping\n\n"],
        [event({"choices": [], "usage": usage(9, 0)})],
        [event({"choices": []})],
        [b"\n\n"],
        [b":"],
        [event({"choices": [{"delta": {"content": None, "tool_calls": None}}]})],
    ],
)
def test_events_that_carry_no_token_are_not_the_first(before: list[bytes]) -> None:
    events = chat_events("a", "b", role_first=False)
    parts = {1010.0: b"".join(before), 1100.0: b"\n" + events[0], 1120.0: b"".join(events[1:])}
    found = read(streamed(parts))
    assert value(found, "ttft") == 100
    assert many(found, "event_gap") == [20]


@pytest.mark.parametrize(
    "fields",
    [{"content": "x"}, {"reasoning_content": "x"}, {"reasoning": "x"},
     {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}],
)  # fmt: skip
def test_a_token_of_any_channel_is_the_first(fields: dict[str, Any]) -> None:
    first = event({"choices": [{"index": 0, "delta": fields}]})
    parts = {1025.0: first, 1100.0: b"".join(chat_events("a", role_first=False))}
    assert value(read(streamed(parts)), "ttft_sent") == 25


def test_the_first_byte_of_an_event_counts_and_not_its_last() -> None:
    events = chat_events("a", "b", role_first=False)
    parts = {1010.0: events[0][:1], 1050.0: events[0][1:], 1060.0: b"".join(events[1:])}
    assert value(read(streamed(parts)), "ttft") == 10


def test_several_tokens_in_an_event_by_usage_with_each() -> None:
    """Speculative decoding: 1, 3 and 2 tokens."""
    parts = [
        event({"choices": [{"delta": {"content": text}}], "usage": usage(7, number)})
        for text, number in (("a", 1), ("bcd", 4), ("ef", 6))
    ]
    end = chat_events(usage=usage(7, 6), finish="length", role_first=False)
    found = read(streamed({**at(1010, 30, parts), 1080: b"".join(end)}))
    assert many(found, "event_gap") == [30, 30]
    assert many(found, "itl") == [10, 10, 10, 15, 15]
    assert value(found, "tpot") == 12
    assert value(found, "decode_rate") == 83_333
    assert found.happened[OUTPUT][1].tolist() == [1, 3, 2, 0]


def test_several_tokens_in_an_event_that_names_them() -> None:
    parts = [
        event({"choices": [{"delta": {"content": "x"}, "token_ids": list(range(number))}]})
        for number in (1, 3)
    ]
    end = chat_events(finish="length", role_first=False)
    found = read(streamed({**at(1010, 30, parts), 1080: b"".join(end)}))
    assert many(found, "itl") == [10, 10, 10]
    assert value(found, "output_tokens") == 4


@pytest.mark.parametrize(
    ("tokenizer", "between"),
    # Of five letters, the second event has three: by the length of its text, and by the tokenizer.
    [(None, [10, 10, 10, 30]), (Letters(), [10, 10, 10, 30])],
)
def test_several_tokens_in_an_event_shared_out(tokenizer: Any, between: list[float]) -> None:
    events = chat_events("a", "bcd", "e", usage=usage(7, 5), finish="length")
    found = read(streamed(at(1000, 30, events)), tokenizer=tokenizer)
    assert many(found, "itl") == between
    shared = counts.EVENTS_KNOWN if tokenizer else counts.EVENTS_SHARED
    assert found.counts[shared] == 1


def test_without_a_count_an_event_is_not_taken_for_a_token() -> None:
    found = read(streamed(at(1000, 10, chat_events("a", "b", "c"))))
    assert many(found, "event_gap") == [10, 10]
    assert many(found, "itl") == []
    for name in ("tpot", "decode_rate", "normalised", "output_tokens", "prefill_rate"):
        assert value(found, name) is None
    assert (value(found, "ttft"), value(found, "decode")) == (10, 20)
    assert found.counts[counts.UNCOUNTED] == found.counts[counts.EVENTS_UNKNOWN] == 1
    assert found.happened[OUTPUT][1].tolist() == []


def test_one_token() -> None:
    found = read(streamed(at(1000, 10, chat_events("a", usage=usage(7, 1), finish="length"))))
    assert value(found, "ttft") == 10
    for name in ("tpot", "decode", "decode_rate"):
        assert value(found, name) is None
    assert many(found, "itl") == many(found, "event_gap") == []
    assert counts.ONE_READ not in found.counts
    assert found.happened[OUTPUT][1].sum() == 1


@pytest.mark.parametrize("texts", [("abcdefgh",), tuple("abcdefgh")])
def test_all_tokens_at_once_have_no_time_between_them(texts: tuple[str, ...]) -> None:
    """In one event, or in the events of one read: nothing is 0, and nothing infinite."""
    body = b"".join(chat_events(*texts, usage=usage(7, 8), finish="length"))
    found = read(streamed({1080.0: body}))
    assert value(found, "ttft") == 80
    for name in ("tpot", "decode", "decode_rate"):
        assert value(found, name) is None
    assert many(found, "itl") == many(found, "event_gap") == []
    assert found.counts[counts.ONE_READ] == 1
    assert found.happened[OUTPUT][1].sum() == 8


def test_the_end_of_an_answer_is_counted_and_has_no_text() -> None:
    """Four events, five tokens by usage: the fifth is the end."""
    events = chat_events("a", "b", "c", "d", usage=usage(7, 5))
    for tokenizer in (None, Letters()):
        found = read(streamed(at(1000, 10, events)), tokenizer=tokenizer)
        assert value(found, "output_tokens") == 5
        assert value(found, "tpot") == 10
        assert many(found, "itl") == [10, 10, 10]
        assert found.happened[OUTPUT][1].sum() == 5
        assert counts.DIFFERING not in found.counts


def test_reasoning_that_the_server_keeps_to_itself_is_no_part_of_what_is_shown() -> None:
    """103 tokens, 100 of them thought before the first event."""
    told = usage(7, 103, completion_tokens_details={"reasoning_tokens": 100})
    events = chat_events("a", "b", "c", usage=told, finish="length")
    found = read(streamed(at(1000, 10, events)))
    assert (value(found, "output_tokens"), value(found, "reasoning_tokens")) == (103, 100)
    assert value(found, "tpot") == 10 and many(found, "itl") == [10, 10]
    assert found.counts[counts.REASONING] == 100
    # Where it says nothing of them, nothing is made up.
    events = chat_events("a", "b", "c", usage=usage(7, 103), finish="length")
    found = read(streamed(at(1000, 10, events)))
    assert value(found, "tpot") is None and many(found, "itl") == []
    assert many(found, "event_gap") == [10, 10]
    assert found.counts[counts.EVENTS_UNKNOWN] == 1


def test_hidden_reasoning_told_with_the_first_event() -> None:
    parts = [
        event({"choices": [{"delta": {"content": text}}], "usage": usage(7, number)})
        for text, number in (("a", 901), ("b", 902), ("c", 903))
    ]
    end = chat_events(usage=usage(7, 903), finish="length", role_first=False)
    found = read(streamed({**at(1010, 10, parts), 1050: b"".join(end)}))
    assert value(found, "tpot") == 10 and many(found, "itl") == [10, 10]


def test_reasoning_that_is_shown_counts_like_any_token() -> None:
    """Of a stream that thinks for two events and answers in two."""
    parts = [event({"choices": [{"delta": {name: text}}]})
             for name, text in (("reasoning_content", "a"), ("reasoning_content", "b"),
                                ("content", "c"), ("content", "d"))]  # fmt: skip
    told = usage(7, 4, completion_tokens_details={"reasoning_tokens": 2})
    end = chat_events(usage=told, finish="length", role_first=False)
    found = read(streamed({**at(1010, 10, parts), 1050: b"".join(end)}), tokenizer=Letters())
    assert (value(found, "ttft"), value(found, "tpot")) == (10, 10)
    assert (value(found, "output_tokens"), value(found, "counted_tokens")) == (4, 4)


def test_who_counted_and_where_they_differ() -> None:
    """The tokenizer counts 4 letters."""
    told = chat_events("ab", "cd", usage=usage(7, 9), finish="length")
    silent = chat_events("ab", "cd", finish="length")
    prompt = prompt_of("Hello you")
    found = read(
        streamed(at(1000, 10, told), prompt=prompt),
        streamed(at(1000, 10, silent), prompt=prompt),
        tokenizer=Letters(),
    )
    assert found.values["output_tokens"].tolist() == [9, 4]
    assert found.values["counted_tokens"].tolist() == [4, 4]
    assert found.values["input_tokens"].tolist() == [7, 8]
    expected = {counts.BY_USAGE: 1, counts.BY_TOKENIZER: 1, counts.DIFFERING: 1,
                counts.DIFFERENCE: 5}  # fmt: skip
    assert {name: found.counts.get(name) for name in expected} == expected


def test_a_tokenizer_that_cannot_count() -> None:
    class Broken:
        name = "broken"

        def count(self, texts: Sequence[str]) -> list[int]:
            return [-1 for _ in texts]

    found = read(streamed(at(1000, 10, chat_events("a", "b"))), tokenizer=Broken())
    assert value(found, "output_tokens") is None and value(found, "counted_tokens") is None
    assert found.counts[counts.UNCOUNTED] == 1


@pytest.mark.parametrize(
    ("asked", "body", "expected"),
    [
        ({"output_tokens": 5}, {}, {}),
        ({"output_tokens": 9}, {}, {counts.SHORTER: 1}),
        ({"output_tokens": 9, "min_tokens": 0}, {}, {}),
        ({"output_tokens": 9, "min_tokens": 6}, {}, {counts.SHORTER: 1}),
        ({"output_tokens": 4}, {}, {counts.LONGER: 1}),
        ({"input_tokens": 100}, {"max_tokens": 5}, {}),
        ({"input_tokens": 90}, {"max_tokens": 5}, {}),  # what a chat template adds
        ({"input_tokens": 101}, {"max_tokens": 5}, {counts.OTHER_INPUT: 1}),
        ({}, {}, {counts.UNASKED_LENGTH: 1}),
        ({}, {"max_completion_tokens": 5}, {}),
    ],
)
def test_lengths_asked_for_and_served(
    asked: Mapping[str, int], body: Mapping[str, int], expected: Mapping[str, int]
) -> None:
    events = chat_events(*"abcde", usage=usage(100, 5), finish="length")
    ended = streamed(at(1000, 10, events), prompt=prompt_of(**asked))
    found = read(ended, body=body)
    names = (counts.SHORTER, counts.LONGER, counts.OTHER_INPUT, counts.UNASKED_LENGTH)
    assert {name: found.counts[name] for name in names if found.counts.get(name)} == expected
    assert found.values["asked_output_tokens"].tolist() == [asked.get("output_tokens", NONE)]
    assert found.values["asked_input_tokens"].tolist() == [asked.get("input_tokens", NONE)]


def test_the_servers_own_times_stand_beside_ours() -> None:
    timings = {"prompt_ms": 45.5, "predicted_ms": 39.0, "prompt_n": 7, "predicted_n": 5}
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "timings": timings})
    found = read(streamed(at(1050, 10, [*chat_events(*"abcde", finish=None, done=False), last])))
    assert (value(found, "server_prefill"), value(found, "server_decode")) == (45.5, 39)
    assert (value(found, "ttft_sent"), value(found, "decode")) == (60, 40)
    assert value(found, "generation") == 50  # to the finish, which came with the timings
    assert value(found, "output_tokens") == 5  # predicted_n: there is no usage


def test_a_request_that_failed_has_no_measure() -> None:
    """And one that failed in its last event none either, which a judge had let pass."""
    cut = chat_events("a", "b", finish=None, done=False)
    late = [*cut, event({"error": {"message": "no"}}), *chat_events("c", usage=usage(1, 3))]
    found = read(
        streamed(at(1000, 10, cut), failure="reset"),
        streamed(at(1000, 10, late)),
        streamed(at(1000, 10, cut)),
        streamed(at(1000, 10, chat_events("a", usage=usage(1, 1)))),
    )
    assert found.outcomes == ["", "error event", "cut stream", "stop"]
    for name, values in found.values.items():
        assert values[:3].tolist() == [NONE] * 3, name
    assert found.values["ttft"][3] == 10 * MS
    assert found.counts[counts.LATE_FAILURES] == 2 and found.counts[counts.BY_USAGE] == 1
    assert found.happened[OUTPUT][1].sum() == 1


def test_a_first_token_is_never_0_ns_after_the_request() -> None:
    found = read(streamed(at(1000, 0.5, chat_events("a", "b", role_first=False))))
    assert value(found, "ttft") is None and value(found, "ttft_sent") is None
    found = read(streamed(at(1000, 10, chat_events("a")), sent_ms=0))
    assert value(found, "ttft") == 10 and value(found, "ttft_sent") is None


def test_a_stream_without_marks_has_no_times() -> None:
    body = b"".join(chat_events("a", "b", usage=usage(7, 2), finish="length"))
    found = read(Ended(call_of(body, last_ns=2000 * MS), 1000 * MS, None))
    for name in ("ttft", "ttft_sent", "tpot", "decode", "prefill_rate", "decode_rate"):
        assert value(found, name) is None
    assert (value(found, "output_tokens"), value(found, "normalised")) == (2, 500)


def whole(content: Any, **fields: Any) -> Ended:
    call = call_of(json.dumps(content).encode(), kind=JSON, last_ns=1500 * MS, **fields)
    return Ended(call, 1000 * MS, None)


def test_answers_that_come_whole() -> None:
    message = {"choices": [{"message": {"content": "abcd"}, "finish_reason": "stop"}]}
    found = read(whole({**message, "usage": usage(9, 5)}), stream=False, tokenizer=Letters())
    assert "ttft" not in found.values and found.many == {}
    assert (value(found, "normalised"), value(found, "output_tokens")) == (100, 5)
    assert (value(found, "counted_tokens"), found.outcomes) == (4, ["stop"])
    assert [each.tolist() for each in found.happened[OUTPUT]] == [[1500 * MS], [5]]


def test_embeddings() -> None:
    content = {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 9}}
    found = read(whole(content), api="embeddings")
    assert (value(found, "input_tokens"), found.outcomes, found.happened) == (9, [""], {})
    prompt = prompt_of("Hello")
    bare = whole({"data": [{"embedding": [0.5]}]}, prompt=prompt)
    assert value(read(bare, api="embeddings", tokenizer=Letters()), "input_tokens") == 5


@pytest.mark.parametrize(
    "tokens", [-1, 10**30, 1 << 31, 99_999_999, 0, 3.5, "9", None, [9], True, 1e300]
)
def test_absurd_usage(tokens: Any) -> None:
    """No value out of range, no memory, no exception; what is not credible is not measured."""
    told = {"prompt_tokens": tokens, "completion_tokens": tokens}
    found = read(streamed(at(1000, 10, chat_events("a", "b", usage=told))))
    assert len(found.many["itl"][0]) <= 2
    assert found.happened[OUTPUT][1].sum() in (0, 99_999_999)


TEXTS = st.lists(st.sampled_from(["a", "bc", "", "é", "def"]), min_size=0, max_size=8)


@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 30), st.sampled_from(["stop", "length", None])),
             max_size=6),
    st.integers(1, 40),
    st.booleans(),
)  # fmt: skip
def test_requests_do_not_depend_on_their_neighbours(
    requests: list[tuple[list[str], int, str | None]], cut: int, counted: bool
) -> None:
    """Read together they are as read one by one, whatever the bytes of a read."""
    made = []
    for texts, total, finish in requests:
        body = b"".join(chat_events(*texts, usage=usage(3, total), finish=finish))
        size = max(len(body) // cut, 1)
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        made.append(streamed(at(1001, 1.5, parts)))
    tokenizer = Letters() if counted else None
    together = read(*made, tokenizer=tokenizer)
    alone = [read(each, tokenizer=tokenizer) for each in made]
    for name, values in together.values.items():
        assert values.tolist() == [each.values[name][0] for each in alone]
    for name, (values, _) in together.many.items():
        assert values.tolist() == [gap for each in alone for gap in each.many[name][0].tolist()]
        assert (values >= 0).all()
    assert together.outcomes == [each.outcomes[0] for each in alone]
    for values in together.values.values():
        assert ((values >= 0) | (values == NONE)).all()

"""Whatever a server sends, it is judged and read: nothing is raised, no value is out of range, and
what is measured can be counted by the engine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import NOT_MEASURED, Ended, Measure, Reading
from qs.engine.measures.checking import checked
from qs.llm.apis.choice import api_of
from qs.llm.asked import APIS, LlmAsked
from qs.llm.counts import ASKED
from qs.llm.measures import measures_of
from qs.llm.outcomes import judge
from qs.llm.reading import reader
from tests.qs.llm.calls import JSON, STREAM, call_of, prompt_of
from tests.qs.llm.test_outcomes import ERROR, MESSAGES, RESPONSES
from tests.servers.scripted import chat_events, event

USAGE = {"prompt_tokens": 5, "completion_tokens": 4}
GOOD = [b"".join(chat_events("a", "bc", "d", usage=USAGE)), MESSAGES, RESPONSES, event(ERROR)]


class Lengths:
    name = "lengths"

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text) - 1 for text in texts]  # -1 of an empty one: it cannot count that


def mangled(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        kind = draw(st.sampled_from(["cut", "put", "drop", "twice"]))
        if kind == "cut":
            del body[at:]
        elif kind == "put":
            body[at:at] = draw(
                st.sampled_from([b"\n", b"\r", b"\n\n", b"\x00", b"\xff", b'"', b"{", b"}", b"-1",
                                 b"1e999", b"null", b"data: ", b"9" * 30, b"\\ud83d"])
            )  # fmt: skip
        elif kind == "drop":
            del body[at : at + draw(st.integers(1, 30))]
        else:
            body[at:at] = body[at : at + 60]
    return bytes(body)


BODIES = st.binary(max_size=200) | st.composite(mangled)()


@given(BODIES, st.sampled_from(APIS), st.booleans(), st.booleans(), st.integers(1, 50))
def test_anything(body: bytes, api: str, streamed: bool, counted: bool, size: int) -> None:
    now_ns = time.perf_counter_ns()
    marks = []
    for end in range(size, len(body) + size, size):
        marks += [now_ns - 10**9 + end, min(end, len(body))]
    call = call_of(body, marks, kind=STREAM if streamed else JSON, sent_ns=now_ns - 2 * 10**9,
                   last_ns=now_ns, prompt=prompt_of(output_tokens=4))  # fmt: skip
    asked = LlmAsked(api=api, stream=streamed)
    judge(call, api_of(api), streamed and api != "embeddings")
    assert len(call.detail) <= 200 and call.detail.isprintable()
    read = reader(api_of(api), asked, Lengths() if counted else None)
    ended = Ended(call, call.sent_ns - 5, None)  # read it all the same
    reading = read([ended, ended._replace(failure="reset"), ended])
    assert_can_be_counted(reading, (*measures_of(api, streamed), *ASKED), 3)
    for values in reading.values.values():
        assert values[1] == NOT_MEASURED and values[0] == values[2]
    if call.failure is not None:
        # An answer that failed when it came is none when it is read.
        bare = call.failure in ("wrong content type", "error event")
        assert bare or reading.outcomes[0] == call.failure


def assert_can_be_counted(reading: Reading, measures: Sequence[Measure], size: int) -> None:
    assert checked(reading, size, measures, time.perf_counter_ns()).misread == {}


@pytest.mark.parametrize("number", ["1e18", "99999999999999999999", "4294967295", "-5", "0.5"])
def test_absurd_numbers_can_be_counted(number: str) -> None:
    body = b"".join(chat_events("a", "b", usage={"prompt_tokens": 77, "completion_tokens": 78}))
    body = body.replace(b"77", number.encode()).replace(b"78", number.encode())
    marks = [10, 300, 20, len(body)]
    ended = Ended(call_of(body, marks, last_ns=30), 1, None)
    reading = reader(api_of("chat"), LlmAsked(), Lengths())([ended] * 50)
    assert_can_be_counted(reading, (*measures_of("chat", True), *ASKED), 50)

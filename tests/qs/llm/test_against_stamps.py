"""The definitions against a server that stamps its own sends, through the real client: what is
measured is what was sent when. Medians, since any read may come late on a busy machine; a run that
was disturbed is made again.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from math import inf
from statistics import median

import numpy as np
import pytest

from qs.engine import Ended, Reading
from qs.engine.wire.calls import WireCall
from qs.engine.wire.http import HttpClient
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings
from qs.llm.apis.choice import api_of
from qs.llm.asked import LlmAsked
from qs.llm.events import events
from qs.llm.measures import OUTPUT
from qs.llm.outcomes import judge
from qs.llm.reading import reader
from tests.servers.scripted import (
    EVENTS,
    JSON,
    Piece,
    Script,
    chat_events,
    event,
    scripted,
    stream,
    whole,
)

uvloop = pytest.importorskip("uvloop")

CHAT = api_of("chat")
DUE_BEFORE_NS = 3_000_000  # each request was due so long before it was sent
TIMES = 25
ATTEMPTS = 8


def asked_of(port: int, count: int, at_once: int = 1, **settings: float) -> list[WireCall]:
    """So many requests, judged, in the order of their sending."""

    async def ask() -> list[WireCall]:
        client = HttpClient(ClientSettings("127.0.0.1", port, streamed=True, **settings))  # type: ignore[arg-type]
        await client.open(at_once)
        request = http_request("POST", "/v1/chat/completions", "h", {}, b"{}")
        calls: list[WireCall] = []
        for _ in range(count // at_once):
            calls += await asyncio.gather(*(client.call(request) for _ in range(at_once)))
        await client.close()
        return calls

    loop = uvloop.new_event_loop()
    try:
        calls = loop.run_until_complete(ask())
    finally:
        loop.close()
    for call in calls:
        judge(call, CHAT, True)
    return calls


def read(calls: Sequence[WireCall]) -> Reading:
    ended = [Ended(call, call.sent_ns - DUE_BEFORE_NS, call.failure) for call in calls]
    return reader(CHAT, LlmAsked(), None)(ended)


def expected(sends: list[int], call: WireCall, carrying: Sequence[int], tokens: int) -> dict:
    """By the server's stamps. `carrying`: pieces that begin an event with tokens."""
    first, last = sends[carrying[0]], sends[carrying[-1]]
    between = (last - first) / (tokens - 1)
    return {
        "ttft": first - call.sent_ns + DUE_BEFORE_NS,
        "ttft_sent": first - call.sent_ns,
        "decode": last - first,
        "tpot": between,
        "decode_rate": 1e12 / between,
    }


def off(script: Script, carrying: Sequence[int], tokens: int) -> dict[str, float]:
    """By measure, how far off it is at the median, in us (of rates in 1/1000)."""
    with scripted(script) as server:
        calls = asked_of(server.port, TIMES)
        found, sends = read(calls), server.sends()
    told = [expected(*each, carrying, tokens) for each in zip(sends, calls, strict=True)]
    measured: dict[str, float] = {}
    for name in told[0]:
        pairs = zip(found.values[name].tolist(), (each[name] for each in told), strict=True)
        scale = 1_000 if name != "decode_rate" else told[0][name] / 1_000
        measured[name] = median(abs(ours - theirs) for ours, theirs in pairs) / scale
    gaps = [b - a for each in sends for a, b in _pairs([each[at] for at in carrying])]
    ours = found.many["event_gap"][0].tolist()
    if len(ours) < len(gaps):  # all events of an answer came in one read: no time between them
        return {"disturbed": inf}
    measured["event_gap"] = median(abs(a - b) for a, b in zip(ours, gaps, strict=True)) / 1_000
    assert found.happened[OUTPUT][1].sum() == TIMES * tokens
    assert not any(call.failure for call in calls)
    return measured


def _pairs(values: list[int]) -> list[tuple[int, int]]:
    return list(zip(values, values[1:], strict=False))


def within(us: float, once: Callable[[], dict[str, float]]) -> None:
    """Some attempt has every measure within so many us at the median (1/1000 for a rate)."""
    closest: list[dict[str, float]] = []
    for _ in range(ATTEMPTS):
        found = once()
        if max(found.values()) <= us:
            return
        closest.append(found)
    best = min(closest, key=lambda each: max(each.values()))
    found = f"not within {us:g} us: {best}"
    if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        pytest.skip(f"a busy machine: {found}")
    raise AssertionError(found)


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 5, "completion_tokens": tokens}


PLAIN = chat_events(*"abcd", usage=usage(4), finish="length")
# A comment, a role and an empty event before the first token; an event of two tokens cut into two
# pieces, of which the first byte counts; two events in one piece.
ODD = (
    Piece(0.002, b": ping\n\n"),
    Piece(0.002, PLAIN[0]),
    Piece(0.002, chat_events("", role_first=False)[0]),
    Piece(0.004, PLAIN[1]),  # 3
    Piece(0.004, PLAIN[2][:9]),  # 4
    Piece(0.002, PLAIN[2][9:]),
    Piece(0.004, PLAIN[3] + b": ping\n\n" + PLAIN[5]),  # 6
    Piece(0.002, event({"choices": [], "usage": usage(3)}) + event("[DONE]")),
)
SCRIPTS = [
    pytest.param(stream(PLAIN, first_s=0.005, gap_s=0.004), [1, 2, 3, 4], 4, id="plain"),
    pytest.param(Script(ODD), [3, 4, 6], 3, id="odd"),
]


@pytest.mark.parametrize(("script", "carrying", "tokens"), SCRIPTS)
def test_what_is_measured_was_sent(script: Script, carrying: list[int], tokens: int) -> None:
    within(1_000, lambda: off(script, carrying, tokens))


@pytest.mark.slow
@pytest.mark.parametrize(("script", "carrying", "tokens"), SCRIPTS)
def test_within_100_us_at_the_median(script: Script, carrying: list[int], tokens: int) -> None:
    within(100, lambda: off(script, carrying, tokens))


def test_several_tokens_in_an_event() -> None:
    """Three events of 1, 4 and 4 tokens, counted by the usage with each."""
    parts = [
        event({"choices": [{"delta": {"content": "x" * 4}}], "usage": usage(total)})
        for total in (1, 5, 9)
    ]
    end = b"".join(chat_events(usage=usage(9), finish="length", role_first=False))
    with scripted(stream([*parts, end], first_s=0.005, gap_s=0.008)) as server:
        found = read(asked_of(server.port, 10))
    gaps, between = found.many["event_gap"][0], found.many["itl"][0]
    # A read may come late, and the next is early then; or all of an answer in one.
    assert len(gaps) in range(10, 21) and len(between) == 4 * len(gaps)
    assert abs(int(between.sum()) - int(gaps.sum())) < len(between)


def cut(*texts: str) -> list[bytes]:
    return chat_events(*texts, finish=None, done=False)


ERROR = {"error": {"message": "CUDA out of memory"}}


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (stream(PLAIN, first_s=0.0, gap_s=0.0), None),
        (stream(PLAIN, first_s=0.0, gap_s=0.0, end="leave"), None),
        (stream(PLAIN, first_s=0.0, gap_s=0.0, chunked=False), None),
        (stream(PLAIN, first_s=0.0, gap_s=0.0, chunked=None, end="close"), None),
        (stream(cut("a"), first_s=0.0, gap_s=0.0), "cut stream"),
        (stream(cut("a"), first_s=0.0, gap_s=0.0, chunked=None, end="close"), "cut stream"),
        (stream(cut("a"), first_s=0.0, gap_s=0.0, end="close"), "closed"),
        (stream(cut("a"), first_s=0.0, gap_s=0.001, end="reset"), "reset"),
        (stream(cut("a"), first_s=0.0, gap_s=0.0, end="hang"), "timeout"),
        (stream([*cut("a"), event(ERROR)], first_s=0.0, gap_s=0.001), "error event"),
        (stream(chat_events(), first_s=0.0, gap_s=0.0), "empty answer"),
        (stream(PLAIN, first_s=0.0, gap_s=0.0, headers=JSON), "wrong content type"),
        (whole(ERROR), "error event"),
        (whole({"choices": []}), "wrong content type"),
        (whole(ERROR, status=429), "HTTP 429"),
        (Script((Piece(0.0, b"\x00\xff garbage"),)), "cut stream"),
    ],
    ids=lambda each: "" if isinstance(each, Script) else str(each),
)
def test_outcomes_through_the_client(script: Script, failure: str | None) -> None:
    with scripted(script) as server:
        (call,) = asked_of(server.port, 1, timeout_s=0.4)
    assert (call.failure, call.last_ns > 0) == (failure, True)
    found = read([call])
    assert found.outcomes == ["length" if failure is None else ""]
    assert (found.values["ttft"][0] > 0) == (failure is None)


def test_an_event_of_megabytes_and_a_flood_of_comments() -> None:
    big = chat_events("x" * (4 << 20), usage=usage(1), finish="length")
    with scripted(Script((Piece(0.0, b": ping\n\n" * 1_000, 100), *_pieces(big)))) as server:
        (call,) = asked_of(server.port, 1, timeout_s=20)
    found = read([call])
    assert found.values["output_tokens"].tolist() == [1]
    assert len(call.body) > 4 << 20


def _pieces(events: Sequence[bytes]) -> list[Piece]:
    return [Piece(0.0, each) for each in events]


def test_many_streams_at_once() -> None:
    """Each answer's tokens are its own."""
    script = stream(chat_events(*["w"] * 20, usage=usage(20), finish="length"), first_s=0.01,
                    gap_s=0.01)  # fmt: skip
    with scripted(script) as server:
        calls = asked_of(server.port, 128, at_once=64)
    found = read(calls)
    assert found.outcomes == ["length"] * 128
    assert found.values["output_tokens"].tolist() == [20] * 128
    assert len(found.many["itl"][0]) > 64 * 19
    assert (found.values["decode"] > 50_000_000).mean() > 0.5


STREAMS = 1_000


@pytest.mark.slow
def test_a_thousand_streams_at_once_and_no_stamp_late() -> None:
    """Some 2,700 events/s at random instants: 99 of 100 are stamped within 1 ms of their send."""
    draw = random.Random(0)
    events_of = chat_events(*"abcdefghij", usage=usage(10), finish="length")
    scripts = []
    for number in range(STREAMS):
        gaps = [1 + draw.random(), *(0.2 + 0.3 * draw.random() for _ in events_of[1:])]
        headers = (*EVENTS, ("X-Number", str(number)))
        scripts.append(Script(tuple(map(Piece, gaps, events_of)), headers=headers))

    def once() -> dict[str, float]:
        with scripted(*scripts, streams_at_once=STREAMS) as server:
            calls = asked_of(server.port, STREAMS, at_once=STREAMS, connections=STREAMS)
            sends = server.sends()
        late = [
            (event.at_ns - sent) / 1_000
            for call in calls
            for event, sent in zip(
                events(bytes(call.body), call.marks),
                sends[int(call.headers()["x-number"])],
                strict=True,
            )
        ]
        assert len(late) == STREAMS * len(events_of)
        return {"p99": float(np.percentile(late, 99))}

    within(1_000, once)

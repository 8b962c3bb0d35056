"""Streams over real connections: marks, what a cut stream leaves, and time-outs within one."""

from __future__ import annotations

import time

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import CLIENTS, GET, ask
from tests.engine.wire.byte_server import ByteServer, Peer, Script
from tests.engine.wire.test_http_faults import FAULTS, Case

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
UNTIL_END = b"HTTP/1.1 200 OK\r\n\r\n"
PAUSE_S = 0.01
EVENTS = [b"data: %d\n\n" % number for number in range(8)]
BODY = b"".join(EVENTS)


def settings(server: ByteServer, **others: object) -> ClientSettings:
    return ClientSettings("127.0.0.1", server.port, streamed=True, **others)  # type: ignore[arg-type]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def paced(*pieces: bytes, end: str = "silence") -> tuple[Script, list[int]]:
    """Sends them one by one; when each was about to be sent."""
    sent: list[int] = []

    def script(peer: Peer) -> None:
        peer.request()
        for piece in pieces:
            time.sleep(PAUSE_S)
            sent.append(time.perf_counter_ns())
            peer.send(piece)
        if end != "close":
            getattr(peer, end)()

    return script, sent


def stamps_of(call: WireCall) -> list[int]:
    assert call.marks is not None
    return list(call.marks[::2])


def sizes_of(call: WireCall) -> list[int]:
    assert call.marks is not None
    return list(call.marks[1::2])


def so_far(pieces: list[bytes]) -> list[int]:
    return [len(b"".join(pieces[: index + 1])) for index in range(len(pieces))]


KINDS = {
    "chunked": [CHUNKED, *map(chunk, EVENTS), b"0\r\n\r\n"],
    "chunked, its end with the last": [
        CHUNKED,
        *map(chunk, EVENTS[:-1]),
        chunk(EVENTS[-1]) + b"0\r\n\r\n",
    ],
    "extensions": [
        CHUNKED,
        *(b"9;a=b\r\n%s\r\n" % event for event in EVENTS),
        b"0\r\nA: b\r\n\r\n",
    ],
    "length": [LENGTH % len(BODY), *EVENTS],
    "until the end": [UNTIL_END, *EVENTS],
    "after 103": [b"HTTP/1.1 103 Early Hints\r\n\r\n", CHUNKED, *map(chunk, EVENTS), b"0\r\n\r\n"],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_event_has_the_stamp_of_its_read(client: str, kind: str) -> None:
    pieces = KINDS[kind]
    first = next(index for index, piece in enumerate(pieces) if b"data" in piece)
    script, sent = paced(*pieces, end="close")
    with ByteServer(script) as server:
        (call,) = ask(client, settings(server), GET)
    assert (call.failure, call.status) == (None, 200)
    assert call.body == BODY and isinstance(call.body, bytes)
    # Where the machine was busy two events may have come in one read.
    assert set(sizes_of(call)) <= set(so_far(EVENTS)) and sizes_of(call)[-1] == len(BODY)
    for stamp, size in zip(stamps_of(call), sizes_of(call)):
        number = so_far(EVENTS).index(size)
        assert sent[first + number] < stamp
        if first + number + 1 < len(sent) and len(sizes_of(call)) == len(EVENTS):
            assert call.first_ns <= stamp <= call.last_ns


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_stream_ends_as_any_request_does(case: Case, client: str) -> None:
    with ByteServer(case.script) as server:
        (call,) = ask(client, settings(server, **case.settings), case.request)
    assert call.failure == case.failure
    assert case.detail in call.detail if case.detail else case.failure or not call.detail
    if case.failure is None:
        assert (call.status, bytes(call.body)) == (case.status, case.body)
    if call.marks is not None:
        assert (sizes_of(call) or [0])[-1] == len(call.body)


def cut(call: WireCall, word: str, begun: int = 3) -> None:
    """It failed in mid-stream, and what had come can be read."""
    assert (call.failure, call.status) == (word, 200)
    assert bytes(call.body) == b"".join(EVENTS[:begun])
    assert sizes_of(call)[-1] == len(call.body)
    assert call.head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("end", "word", "limits"),
    [
        ("close", Failure.CLOSED, {}),
        ("silence", Failure.STALLED, {"stall_timeout_s": 0.1, "timeout_s": 1e6}),
        ("silence", Failure.TIMEOUT, {"stall_timeout_s": 1e6, "timeout_s": 0.3}),
    ],
)
def test_a_cut_stream_keeps_what_had_come(client: str, end: str, word: str, limits: dict) -> None:
    script, _ = paced(CHUNKED, *map(chunk, EVENTS[:3]), end=end)
    with ByteServer(script) as server:
        (call,) = ask(client, settings(server, **limits), GET)
    cut(call, word)

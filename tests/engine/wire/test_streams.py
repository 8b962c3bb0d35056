"""Streams over real connections: marks, what a cut stream leaves, and time-outs within one."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure
from qs.engine.wire.http import HttpClient
from qs.engine.wire.settings import ClientSettings, Tls
from qs.engine.wire.streams import StreamReader
from tests.engine.wire.asking import CLIENTS, GET, LIMIT_S, LOOPS, ask
from tests.engine.wire.byte_server import CERTIFICATES, ByteServer, Peer, Script, answer
from tests.engine.wire.test_http_client import until, with_client
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


@pytest.mark.parametrize("client", ["uvloop", "blocking"])
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
    script, _ = paced(CHUNKED + b"".join(map(chunk, EVENTS[:3])), end=end)
    with ByteServer(script) as server:
        (call,) = ask(client, settings(server, **limits), GET)
    cut(call, word)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_is_reset_keeps_what_had_come(client: str) -> None:
    gone = threading.Event()
    calls: list[WireCall] = []

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED + b"".join(map(chunk, EVENTS[:3])))
        gone.wait(LIMIT_S)  # a reset would throw away what has not been read yet
        peer.reset()

    with ByteServer(script) as server:
        if client == "blocking":
            threading.Timer(0.2, gone.set).start()
            calls += ask(client, settings(server), GET)
        else:

            async def work(asked: HttpClient) -> None:
                future = asked.call(GET)
                await until(lambda: bool(next(iter(asked.lines)).reader.begun))
                await asyncio.sleep(0.1)
                gone.set()
                calls.append(await future)

            with_client(client, server, work, streamed=True)
    cut(calls[0], Failure.RESET)
    assert "after 27 bytes of body" in calls[0].detail


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_stream_that_is_given_up_keeps_what_had_come(loop: str, how: str) -> None:
    script, _ = paced(CHUNKED, *map(chunk, EVENTS[:3]))
    calls: list[WireCall] = []

    async def work(client: HttpClient) -> None:
        call = client.start(GET, calls.append)
        reader = next(iter(client.lines)).reader
        assert isinstance(reader, StreamReader)
        await until(lambda: bool(reader.marks) and reader.marks[-1] == 27)
        assert not calls
        if how == "cancel":
            call.cancel()
        else:
            await client.close()
        await until(lambda: bool(calls))

    with ByteServer(script) as server:
        with_client(loop, server, work, streamed=True)
    cut(calls[0], Failure.CANCELLED)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_over_tls(client: str) -> None:
    script, sent = paced(CHUNKED, *map(chunk, EVENTS), b"0\r\n\r\n")
    tls = Tls(ca=str(CERTIFICATES / "ca.pem"))
    with ByteServer(script, certificate="server.pem") as server:
        (call,) = ask(client, settings(server, tls=tls), GET)
    assert (call.failure, call.body) == (None, BODY)
    assert sizes_of(call)[-1] == len(BODY)
    for stamp, size in zip(stamps_of(call), sizes_of(call), strict=True):
        assert sent[1 + so_far(EVENTS).index(size)] < stamp


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "begun", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_stall_before_the_body(client: str, begun: bytes) -> None:
    """Also of answers that are no streams."""
    script, _ = paced(begun)
    for streamed in (False, True):
        with ByteServer(script) as server:
            limits = ClientSettings(
                "127.0.0.1", server.port, stall_timeout_s=0.1, streamed=streamed
            )
            (call,) = ask(client, limits, GET)
        assert (call.failure, call.detail) == (Failure.STALLED, "no byte for 0.1 s")
        assert bytes(call.body) == b""


@pytest.mark.parametrize("client", CLIENTS)
def test_slow_is_not_stalled(client: str) -> None:
    """Nor is an answer that has not begun, or one that was announced only."""
    pieces = [b"HTTP/1.1 103 Early Hints\r\n\r\n", CHUNKED, *map(chunk, EVENTS), b"0\r\n\r\n"]

    def script(peer: Peer) -> None:
        peer.request()
        for piece in pieces:
            time.sleep(0.4 if piece is pieces[1] else 0.04)
            peer.send(piece)
        peer.silence()

    with ByteServer(script) as server:
        (call,) = ask(client, settings(server, stall_timeout_s=0.3), GET)
    if call.failure == Failure.STALLED:
        pytest.skip("the machine was busy: the server did not come to send")
    assert (call.failure, call.body) == (None, BODY)


@pytest.mark.parametrize("client", CLIENTS)
def test_marks_of_one_answer_are_not_the_next_ones(client: str) -> None:
    def script(peer: Peer) -> None:
        for number in range(4):
            peer.request()
            peer.send(CHUNKED + chunk(b"a" * 3) + chunk(b"%d" % number) + b"0\r\n\r\n")
            peer.request()
            peer.send(answer(b"whole %d" % number))
        peer.silence()

    with ByteServer(script) as server:
        calls = ask(client, settings(server), *[GET] * 8)
        assert server.accepted == 1
    assert [bytes(call.body) for call in calls[::2]] == [b"aaa%d" % each for each in range(4)]
    assert [bytes(call.body) for call in calls[1::2]] == [b"whole %d" % each for each in range(4)]
    assert {tuple(sizes_of(call)) for call in calls} <= {(4,), (3, 4), (7,)}


def test_without_streams_there_are_no_marks() -> None:
    with ByteServer(paced(*KINDS["chunked"])[0]) as server:
        (call,) = ask("uvloop", ClientSettings("127.0.0.1", server.port), GET)
    assert (call.failure, bytes(call.body), call.marks) == (None, BODY, None)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_closes_after_each_stream_is_soon_asked_once_only(loop: str) -> None:
    """It announces to keep its connections, as llama.cpp's does."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED + chunk(b"a") + b"0\r\n\r\n")

    again = []

    async def work(client: HttpClient) -> None:
        for _ in range(30):
            call = await client.call(GET)
            assert (call.failure, call.body) == (None, b"a")
            again.append(call.resent)

    with ByteServer(script) as server:
        client = with_client(loop, server, work, streamed=True)
    assert not any(again[10:])
    assert client.counts()["closed by server"] + sum(again) >= 4


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_keeps_some_connections_is_believed(loop: str) -> None:
    def script(peer: Peer) -> None:
        for _ in range(2):
            peer.request()
            peer.send(CHUNKED + chunk(b"a") + b"0\r\n\r\n")

    async def work(client: HttpClient) -> None:
        for _ in range(30):
            assert (await client.call(GET)).failure is None

    with ByteServer(script) as server:
        with_client(loop, server, work, streamed=True)
        assert server.accepted <= 17


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stream_that_is_too_large_leaves_nothing(client: str) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        for _ in range(100):
            peer.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        peer.send(b"0\r\n\r\n")
        peer.silence()

    with ByteServer(script) as server:
        (call,) = ask(client, settings(server, most_kept_bytes=1 << 16), GET)
    assert (call.failure, call.status, call.body) == (Failure.TOO_LARGE, 200, b"")
    assert not call.marks

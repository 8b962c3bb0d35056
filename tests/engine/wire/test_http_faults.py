"""Whatever a server does, a request ends with the right outcome: one table for every client."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from qs.engine.wire.failures import Failure
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import CLIENTS, GET, ask
from tests.engine.wire.byte_server import ByteServer, Peer, Script, answer, answers

HEAD = http_request("HEAD", "/", "test")
UPLOAD = http_request("POST", "/", "test", body=b"x" * (8 << 20))
OK = "200 OK"


def sends(*pieces: bytes, end: str = "close") -> Script:
    """Answers each request with these, in separate sends, then ends."""

    def script(peer: Peer) -> None:
        peer.request()
        for piece in pieces:
            peer.send(piece)
            time.sleep(0.002)
        getattr(peer, end)() if end != "close" else None

    return script


def dribbles(data: bytes, every: bytes = b"") -> Script:
    """Byte by byte, for ever if the data is to be repeated."""

    def script(peer: Peer) -> None:
        peer.request()
        for index in range(len(data)):
            peer.send(data[index : index + 1])
        while every:
            peer.send(every)
            time.sleep(0.005)
        peer.silence()

    return script


def early(peer: Peer) -> None:
    """Refuses the upload before it has been read."""
    peer.head()
    peer.send(answer(b"too much", "413 Content Too Large", "Connection: close"))
    peer.silence()


def floods(peer: Peer) -> None:
    """More than is kept, without a length."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(64):
        peer.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
    peer.send(b"0\r\n\r\n")
    peer.silence()


def endless(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)


@dataclass(frozen=True)
class Case:
    name: str
    script: Script
    failure: str | None = None
    detail: str = ""
    status: int = 0
    body: bytes = b""
    request: bytes = GET
    settings: dict[str, float] = field(default_factory=dict)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = bytes(range(256)) * 4096  # received in place
FAULTS = [
    Case("whole", answers(answer(b"hello")), status=200, body=b"hello"),
    Case("no body", answers(answer()), status=200),
    Case("large", answers(answer(LARGE)), status=200, body=LARGE),
    Case("byte by byte", dribbles(answer(b"hello", OK, "A: b")), status=200, body=b"hello"),
    Case("head and body apart", sends(answer(b"hello")[:-5], b"hello"), status=200, body=b"hello"),
    Case("lf in the head", sends(b"HTTP/1.1 200 OK\r", b"\n\r\n", b"x"), status=200, body=b"x"),
    Case(
        "chunked",
        sends(CHUNKED + b"3\r\nabc\r\n", b"2;x=y\r\nd", b"e\r\n0\r\nTrailer: t\r\n\r\n"),
        status=200,
        body=b"abcde",
    ),
    Case("chunked and empty", sends(CHUNKED + b"0\r\n\r\n"), status=200),
    Case("until the end", sends(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd"), status=200, body=b"abcd"),
    Case("http 1.0", sends(b"HTTP/1.0 200 OK\r\n\r\nabcd"), status=200, body=b"abcd"),
    Case("no content", answers(b"HTTP/1.1 204 No Content\r\n\r\n"), status=204),
    Case("head request", answers(answer(b"hello")[:-5]), status=200, request=HEAD),
    Case("head request, chunked", answers(CHUNKED), status=200, request=HEAD),
    Case(
        "answers before the answer",
        sends(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early", b" Hints\r\nLink: x\r\n\r\n",
              answer(b"hello")),
        status=200,
        body=b"hello",
    ),
    Case(
        "an upload refused early",
        early,
        failure="HTTP 413",
        detail="too much",
        status=413,
        body=b"too much",
        request=UPLOAD,
    ),
    *(
        Case(
            f"{status}, {len(body)} bytes",
            answers(answer(body, f"{status} Any")),
            failure=f"HTTP {status}",
            detail=body.decode(),
            status=status,
            body=body,
        )
        for status in (304, 400, 404, 429, 500, 503)
        for body in ((b"", b"no such model") if status != 304 else (b"",))
    ),
    Case(
        "redirected",
        answers(answer(b"", "307 Temporary Redirect", "Location: http://elsewhere/x")),
        failure=Failure.REDIRECTED,
        detail="to http://elsewhere/x",
        status=307,
    ),
    Case("no target", answers(answer(b"", "302 Found")), Failure.REDIRECTED, "to nowhere", 302),
    Case("closed unanswered", sends(), Failure.CLOSED, "before it answered"),
    Case("reset unanswered", sends(end="reset"), Failure.RESET, "before it answered"),
    Case("half a head", sends(b"HTTP/1.1 200 O"), Failure.CLOSED, "within its head"),
    Case("reset", sends(answer(b"hello")[:-3], end="reset"), Failure.RESET),
    Case("too short", sends(answer(b"hello")[:-3]), Failure.CLOSED, "after 2 of 5 bytes of body"),
    Case("large and short", sends(answer(LARGE)[:-9]), Failure.CLOSED, "of 1,048,576 bytes"),
    Case("chunked and short", sends(CHUNKED + b"5\r\nabc"), Failure.CLOSED, "bytes of body"),
    Case("too long", sends(answer(b"hello") + b"!"), Failure.BAD_ANSWER, "longer than its length"),
    Case(
        "too long later",
        sends(answer(b"hello")[:-3], b"llo!"),
        Failure.BAD_ANSWER,
        "longer than its length, 5 bytes",
    ),
    Case("bad chunk", sends(CHUNKED + b"zz\r\nabc\r\n"), Failure.BAD_ANSWER, "a chunk of its body"),
    Case("chunk too long", sends(CHUNKED + b"3\r\nabcd\r\n"), Failure.BAD_ANSWER, "a chunk"),
    Case("chunks and more", sends(CHUNKED + b"0\r\n\r\nHTTP"), Failure.BAD_ANSWER, "more bytes"),
    Case("chunks and junk", sends(CHUNKED + b"0\r\n\r\n!!"), Failure.BAD_ANSWER, "more bytes"),
    Case("garbage", sends(b"\x00\x01garbage", end="silence"), Failure.BAD_ANSWER, "not HTTP/1.1"),
    Case("ssh", sends(b"SSH-2.0-OpenSSH_9\r\n", end="silence"), Failure.BAD_ANSWER, "SSH-2.0"),
    Case("tls", sends(b"\x15\x03\x01\x00\x02\x02", end="silence"), Failure.BAD_ANSWER, "TLS"),
    Case("http 2", sends(b"\x00\x00\x12\x04\x00", end="silence"), Failure.BAD_ANSWER),
    Case("http 0.9", sends(b"<html>", end="silence"), Failure.BAD_ANSWER, "<html>"),
    Case("http 3.7", sends(b"HTTP/3.7 200 OK\r\n\r\n"), Failure.BAD_ANSWER),
    Case("bad status", sends(b"HTTP/1.1 2x0 OK\r\n\r\n"), Failure.BAD_ANSWER, "status"),
    Case("switching", sends(b"HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n"), Failure.BAD_ANSWER, "switch"),
    Case(
        "length and chunked",
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
        Failure.BAD_ANSWER,
        "Content-Length",
    ),
    Case(
        "two lengths",
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        Failure.BAD_ANSWER,
        "Content-Length",
    ),
    Case("negative", sends(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n"), Failure.BAD_ANSWER),
    Case(
        "packed chunks",
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        Failure.BAD_ANSWER,
        "transfer encoding",
    ),
    Case("endless head", dribbles(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 999), Failure.BAD_ANSWER),
    Case(
        "too many headers",
        sends(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 999 + b"\r\n"),
        Failure.BAD_ANSWER,
        "512 headers",
    ),
    Case(
        "half, then silence",
        sends(answer(b"hello")[:-3], end="silence"),
        Failure.TIMEOUT,
        "not within 0.2 s",
        settings={"timeout_s": 0.2},
    ),
    Case(
        "silence",
        sends(end="silence"),
        Failure.FIRST_BYTE_TIMEOUT,
        "not within 0.2 s",
        settings={"first_byte_timeout_s": 0.2, "timeout_s": 1e6},
    ),
    Case(
        "slowly",
        dribbles(b"HTTP/1.1 200 OK\r\n", b"A"),
        Failure.TIMEOUT,
        settings={"timeout_s": 0.2, "first_byte_timeout_s": 1e6},
    ),
    Case(
        "too large",
        answers(answer(LARGE)),
        Failure.TOO_LARGE,
        "more than 65,536 bytes",
        status=200,
        settings={"most_kept_bytes": 1 << 16},
    ),
    Case(
        "too large for nothing",
        answers(answer(b"hello")),
        Failure.TOO_LARGE,
        status=200,
        settings={"most_kept_bytes": 4},
    ),
    Case("too many chunks", floods, Failure.TOO_LARGE, status=200,
         settings={"most_kept_bytes": 1 << 16}),
    Case("too long until the end", endless, Failure.TOO_LARGE, status=200,
         settings={"most_kept_bytes": 1 << 16}),
    Case(
        "gigabytes announced",
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n", end="silence"),
        Failure.TOO_LARGE,
        "99,000,000,000",
    ),
]  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_request_ends_as_it_should(case: Case, client: str) -> None:
    with ByteServer(case.script) as server:
        (call,) = ask(
            client, ClientSettings("127.0.0.1", server.port, **case.settings), case.request
        )
    assert (call.failure, call.status) == (case.failure, case.status)
    assert case.detail in call.detail if case.detail else case.failure or not call.detail
    assert bytes(call.body) == case.body
    assert not call.resent
    assert call.fresh
    assert 0 < call.issued_ns <= call.sent_ns < call.last_ns
    if call.status:
        assert call.sent_ns < call.first_ns <= call.last_ns

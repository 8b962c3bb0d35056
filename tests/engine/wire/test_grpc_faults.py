"""What a gRPC server may do to a client, frame by frame, and what becomes of the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.grpc import GrpcClient
from qs.engine.wire.grpc_requests import grpc_request
from qs.engine.wire.settings import ClientSettings
from tests.engine.wire.asking import LOOPS, on_loop
from tests.servers.http2_peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MOST,
    OK,
    PADDED,
    PING,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    Peer,
    frame,
    message,
    scripted,
    settings,
)

METHOD = "/tests.Echo/Ask"
NUMBER = (7).to_bytes(4, "big")


def asked(size: int = 5) -> Any:
    return grpc_request(METHOD, "test", {"who": "me"}, b"q" * size)


@dataclass
class Case:
    """What comes after the first request has come; what becomes of it (None: b"ok" is the answer),
    and words of its detail.
    """

    then: Callable[[Peer, int], Any]
    failure: str | None = None
    words: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    size: int = 5
    counts: dict[str, int] = field(default_factory=dict)


def sends(*pieces: Callable[[Peer, int], bytes] | bytes) -> Callable[[Peer, int], Any]:
    """A script's end that sends these in one go."""

    async def then(peer: Peer, stream: int) -> None:
        peer.send(*(each if isinstance(each, bytes) else each(peer, stream) for each in pieces))

    return then


def head(peer: Peer, stream: int) -> bytes:
    return peer.head(stream)


def end(peer: Peer, stream: int) -> bytes:
    return peer.end(stream)


def data(content: bytes, flags: int = 0) -> Callable[[Peer, int], bytes]:
    return lambda peer, stream: frame(DATA, flags, stream, content)


def headers(fields: dict[str, str], *, last: bool = False) -> Callable[[Peer, int], bytes]:
    return lambda peer, stream: peer.head(stream, fields, end=last)


def on_stream(kind: int, payload: bytes, flags: int = 0) -> Callable[[Peer, int], bytes]:
    return lambda peer, stream: frame(kind, flags, stream, payload)


async def reset_in_the_middle(peer: Peer, stream: int) -> None:
    peer.send(peer.head(stream), frame(DATA, 0, stream, message(b"ok")[:5]))
    await peer.writer.drain()
    await asyncio.sleep(0.05)
    peer.reset()


async def close_in_the_middle(peer: Peer, stream: int) -> None:
    peer.send(peer.head(stream), frame(DATA, 0, stream, message(b"ok")[:5]))
    peer.close()


async def close(peer: Peer, stream: int) -> None:
    peer.close()


async def nothing(peer: Peer, stream: int) -> None:
    """Silence."""


async def byte_by_byte(peer: Peer, stream: int) -> None:
    answer = [peer.head(stream), frame(DATA, 0, stream, message(b"ok")), peer.end(stream)]
    for each in b"".join(answer):
        peer.send(bytes((each,)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def interim_first(peer: Peer, stream: int) -> None:
    peer.send(peer.head(stream, {":status": "103"}))
    await peer.writer.drain()
    peer.answer(stream)


async def cut_headers(peer: Peer, stream: int) -> None:
    block = peer.block({**OK, "padding": "x" * 30})
    pieces = [block[at : at + 7] for at in range(0, len(block), 7)]
    peer.send(frame(HEADERS, 0, stream, pieces[0]))
    for each in pieces[1:]:
        peer.send(frame(CONTINUATION, 0, stream, each))
    peer.send(frame(CONTINUATION, END_HEADERS, stream), frame(DATA, 0, stream, message(b"ok")))
    peer.send(peer.end(stream))


async def padded(peer: Peer, stream: int) -> None:
    block = peer.block(OK)
    # padding, and the five bytes of a priority
    peer.send(
        frame(HEADERS, END_HEADERS | PADDED | 0x20, stream, b"\3" + bytes(5) + block + bytes(3))
    )
    sent = message(b"ok")
    peer.send(frame(DATA, PADDED, stream, b"\xff" + sent[:4] + bytes(255)))
    peer.send(
        frame(DATA, PADDED, stream, b"\0"), frame(DATA, PADDED, stream, b"\1" + sent[4:] + b"\0")
    )
    peer.send(frame(DATA, 0, stream), peer.end(stream))


async def twice_refused(peer: Peer, stream: int) -> None:
    for _ in range(2):
        peer.send(frame(RST, 0, stream, NUMBER))
        stream = await peer.request()


async def once_refused(peer: Peer, stream: int) -> None:
    peer.send(frame(RST, 0, stream, NUMBER))
    peer.answer(await peer.request())


CASES = {
    "answered": Case(sends(head, data(message(b"ok")), end)),
    "byte by byte": Case(byte_by_byte),
    "an answer before the answer": Case(interim_first),
    "cut headers": Case(cut_headers),
    "padded": Case(padded),
    "kinds that nobody knows": Case(
        sends(frame(200, 3, 0, b"x" * 500), on_stream(PRIORITY, bytes(5)), head,
              data(message(b"ok")), frame(77, 0, 0), end)
    ),
    "in pieces": Case(sends(head, *map(data, (b"\0\0", b"\0\0\2o", b"", b"k")), end)),
    "reset in its middle": Case(reset_in_the_middle, "reset", "reset"),
    "closed in its middle": Case(close_in_the_middle, "closed", "closed the connection"),
    "closed unanswered": Case(close, "closed", "closed the connection"),
    "half, then silence": Case(
        sends(head, data(message(b"ok")[:6])), "timeout", "0.2 s", {"timeout_s": 0.2}
    ),
    "silence": Case(nothing, "first byte timeout", "0.2 s", {"first_byte_timeout_s": 0.2}),
    "garbage": Case(sends(b"\xff" * 100), "bad answer", "frame"),
    "a frame of 16 MB": Case(
        sends(b"\xff\xff\xff\0\0" + (1).to_bytes(4, "big")), "bad answer", "16,777,215 bytes"
    ),
    "headers of 16 MB": Case(
        sends(b"\xff\xff\xff\1\4" + (1).to_bytes(4, "big")), "bad answer", "16,777,215 bytes"
    ),
    "data before headers": Case(sends(data(b"123")), "bad answer", "data before its headers"),
    "a message of 4 GB": Case(
        sends(head, data(b"\0\xff\xff\xff\xff")), "answer too large", "4,294,967,295 bytes"
    ),
    "larger than allowed": Case(
        sends(head, data(message(b"0123456789"))), "answer too large", "10 bytes; 9 are kept",
        {"most_kept_bytes": 9},
    ),
    "two messages": Case(
        sends(head, data(message(b"a") + message(b"b")), end), "bad answer", "more than one"
    ),
    "two messages, each in a frame": Case(
        sends(head, data(message(b"a")), data(message(b"b")), end), "bad answer", "more than one"
    ),
    "cut off": Case(
        sends(head, data(message(b"ok")[:6]), end), "bad answer", "after 1 of 2 bytes"
    ),
    "a prefix that is none": Case(
        sends(head, data(b"\7\0\0\0\1x"), end), "bad answer", "begins with"
    ),
    "packed unasked": Case(
        sends(headers({**OK, "grpc-encoding": "snappy"}), data(message(b"ok", 1)), end),
        "bad answer", "snappy",
    ),
    "OK without a message": Case(sends(head, end), "bad answer", "no message"),
    "no trailers": Case(
        sends(head, data(message(b"ok"), END_STREAM)), "bad answer", "no grpc-status"
    ),
    "headers in its middle": Case(sends(head, head), "bad answer", "headers in its middle"),
    "a proxy's page": Case(
        sends(headers({":status": "502", "content-type": "text/html"}),
              data(b"<h1>Bad gateway</h1>", END_STREAM)),
        "HTTP 502", "Bad gateway",
    ),
    "a page of another server": Case(
        sends(headers({":status": "200", "content-type": "text/html"}), data(b"<h1>", END_STREAM)),
        "bad answer", "text/html",
    ),
    "a status without a message": Case(
        sends(headers({**OK, "grpc-status": "14", "grpc-message": "50 %25 %e2"}, last=True)),
        "gRPC UNAVAILABLE", "50 % \N{REPLACEMENT CHARACTER}",
    ),
    "a status after a message": Case(
        sends(head, data(message(b"ok")), headers({"grpc-status": "8"}, last=True)),
        "gRPC RESOURCE_EXHAUSTED",
    ),
    "a status that is none": Case(
        sends(headers({**OK, "grpc-status": "abc"}, last=True)), "gRPC UNKNOWN"
    ),
    "a status of tomorrow": Case(sends(headers({**OK, "grpc-status": "99"}, last=True)), "gRPC 99"),
    "stream reset": Case(sends(on_stream(RST, (2).to_bytes(4, "big"))), "reset", "INTERNAL_ERROR"),
    "stream reset after its headers": Case(
        sends(head, on_stream(RST, (8).to_bytes(4, "big"))), "reset", "CANCEL"
    ),
    "refused once": Case(once_refused, counts={"sent again": 1}),
    "refused twice": Case(twice_refused, "reset", "REFUSED_STREAM", counts={"sent again": 1}),
    "window for ever shut": Case(
        nothing, "timeout", "", {"timeout_s": 0.2}, size=200_000, counts={"waited for a window": 1}
    ),
    "headers that cannot be decoded": Case(
        sends(on_stream(HEADERS, b"\xff\xff\xff\xff\xff\xff\xff\xff", END_HEADERS)),
        "bad answer", "cannot be decoded",
    ),
    "headers of a table that is not there": Case(
        sends(on_stream(HEADERS, b"\xfe", END_HEADERS)), "bad answer", "cannot be decoded"
    ),
    "headers without an end": Case(
        sends(on_stream(HEADERS, b"\x88"), *[on_stream(CONTINUATION, bytes(4000))] * 40),
        "bad answer", "65,536 bytes",
    ),
    "headers without an end, and empty": Case(
        sends(on_stream(HEADERS, b"\x88"), *[on_stream(CONTINUATION, b"")] * 1000),
        "bad answer", "256 frames",
    ),
    "headers interrupted": Case(
        sends(on_stream(HEADERS, b"\x88"), frame(PING, 0, 0, bytes(8))), "bad answer", "interrupted"
    ),
    "headers continued that never began": Case(
        sends(on_stream(CONTINUATION, b"\x88")), "bad answer", "continues nothing"
    ),
    "all padding": Case(sends(on_stream(DATA, b"\5abc", PADDED)), "bad answer", "padding"),
    "a flood of SETTINGS": Case(sends(settings({}) * 11_000), "bad answer", "SETTINGS"),
    "a flood of PING": Case(sends(frame(PING, 0, 0, bytes(8)) * 11_000), "bad answer", "PING"),
    "a flood of nothing": Case(sends(head, *[data(b"")] * 11_000), "bad answer", "without data"),
    "a flood of strangers": Case(sends(frame(99, 0, 0) * 11_000), "bad answer", "unknown kinds"),
    "a push": Case(sends(on_stream(PUSH, bytes(8), END_HEADERS)), "bad answer", "push"),
    "a stream that nobody opened": Case(
        sends(lambda peer, stream: peer.head(stream + 2)), "bad answer", "nobody opened"
    ),
    "too large a window": Case(
        sends(frame(WINDOW, 0, 0, MOST.to_bytes(4, "big")) * 2), "bad answer", "window"
    ),
    "too large a first window": Case(
        sends(settings({4: 2**32 - 1})), "bad answer", "window of 4,294,967,295"
    ),
    "too large a frame size": Case(sends(settings({5: 2**31})), "bad answer", "largest frame"),
    "settings cut off": Case(sends(frame(SETTINGS, 0, 0, bytes(5))), "bad answer", "cut off"),
    "a ping too short": Case(sends(frame(PING, 0, 0, b"1")), "bad answer", "PING has 1 byte"),
    "a goaway too short": Case(sends(frame(GOAWAY, 0, 0, b"1")), "bad answer", "GOAWAY"),
}  # fmt: skip


async def outcome(case: Case) -> tuple[WireCall, dict[str, int]]:
    async def script(peer: Peer, number: int) -> None:
        await peer.begin()
        if case.size > 65_535:
            while True:
                await peer.next()
        await case.then(peer, await peer.request())

    async with scripted(script) as port:
        client = GrpcClient(ClientSettings("127.0.0.1", port, **case.given))
        await client.open(1)
        call = await client.call(asked(case.size))
        counts = client.counts()
        await client.close()
        return call, counts


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", CASES)
def test_one_request(loop: str, name: str) -> None:
    case = CASES[name]
    call, counts = on_loop(loop, lambda: outcome(case))
    assert (call.failure, case.words in call.detail) == (case.failure, True), call.detail
    assert call.issued_ns <= call.sent_ns <= call.last_ns
    if case.failure is None:
        assert (bytes(call.body), call.status, call.detail) == (b"ok", 0, "")
        assert call.sent_ns <= call.first_ns <= call.last_ns
    assert {name: counts[name] for name in case.counts} == case.counts

"""A server that does nothing, in a process of its own: what it answers, and that it ends."""

from __future__ import annotations

import socket

import pytest

from qs.engine.wire.blocking import BlockingHttp
from qs.engine.wire.calls import WireCall
from qs.engine.wire.settings import ClientSettings
from qs.remote import null_server
from qs.remote.null_http import Null
from qs.remote.null_server import NoNullServer, http_answer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def answers(*pieces: bytes) -> int:
    """How many times it has answered what came in these pieces."""
    protocol, transport = Null(ANSWER), Transport()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        protocol.get_buffer(-1)[: len(piece)] = piece
        protocol.buffer_updated(len(piece))
    assert set(transport.sent) <= {ANSWER}
    return len(transport.sent)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 10\r\n\r\n0123456789"


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([GET], 1),
        ([POST], 1),
        ([GET, POST, GET], 3),
        ([GET + POST + GET], 3),
        ([GET[:5], GET[5:]], 1),
        ([POST[:-4]], 0),
        ([POST[:-4], POST[-4:]], 1),
        ([POST[:-4], POST[-4:-1], POST[-1:] + GET[:7], GET[7:]], 2),
        ([bytes([each]) for each in POST + GET], 2),
        ([b"no request"], 0),
    ],
)
def test_each_request_is_answered_once_it_is_whole(pieces, count):
    assert answers(*pieces) == count


def test_an_answer_is_sent_whole_on_a_connection_that_is_kept():
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
        b"connection: close\r\nInference-Header-Content-Length: 2\r\n\r\n"
    )
    assert http_answer(head, b"abcd") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nInference-Header-Content-Length: 2\r\n"
        b"Content-Length: 4\r\n\r\nabcd"
    )


def test_it_answers_from_its_own_process_and_ends_with_the_context():
    with null_server.null_server("http", ANSWER) as port:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(GET + POST)
        got = b""
        while len(got) < 2 * len(ANSWER):
            got += client.recv(65_536)
        assert got == 2 * ANSWER
        client.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_one_that_does_not_start_is_one_sentence(monkeypatch):
    monkeypatch.setattr(null_server, "PROGRAMS", {"http": ("-c", "raise SystemExit(3)")})
    server = null_server.null_server("http", ANSWER)
    with pytest.raises(NoNullServer, match="null server"):
        server.__enter__()


EVENTS = [b"data: 1\n\n", b"data: 2\r\n\r\n", b": alive\n\n", b"data: [DONE]"]


@pytest.mark.parametrize("count", range(5))
def test_a_body_is_split_into_its_events(count):
    assert null_server.events_of(b"".join(EVENTS[:count])) == EVENTS[:count]


def stream(*requests: bytes, pace_s: float) -> list[WireCall]:
    """What our client gets, one request after the other."""
    with null_server.null_stream(answer_head(), EVENTS, pace_s) as port:
        settings = ClientSettings("127.0.0.1", port, streamed=True, timeout_s=20.0)
        client = BlockingHttp(settings)
        calls = [client.ask(request) for request in requests]
        assert client.counts()["connections"] == 1 and not client.counts()["replaced"]
        client.close()
        return calls


def answer_head() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def test_a_stream_comes_at_its_pace():
    pace_s = 0.03
    for call in stream(GET, POST, pace_s=pace_s):
        assert (call.failure, call.body) == (None, b"".join(EVENTS))
        assert call.headers()["content-type"] == "text/event-stream"
        assert call.marks is not None
        # Not before its time; how much later depends on the machine.
        assert call.marks[-2] - call.first_ns > (len(EVENTS) - 1) * pace_s * 1e9
        assert len(call.marks) // 2 <= len(EVENTS)


def test_a_stream_without_a_pace_comes_at_once():
    for call in stream(GET, GET, POST, pace_s=0.0):
        assert (call.failure, call.body) == (None, b"".join(EVENTS))


def test_requests_that_come_during_a_stream_are_answered_after_it():
    with null_server.null_stream(answer_head(), EVENTS, 0.002) as port:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(GET + POST + GET)
        got = b""
        while got.count(b"\r\n0\r\n\r\n") < 3:
            got += client.recv(65_536)
        client.close()
    assert got.count(b"HTTP/1.1 200 OK") == 3

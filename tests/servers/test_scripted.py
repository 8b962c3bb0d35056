"""The scripted server does what its script says: bytes, times, ends."""

from __future__ import annotations

import http.client
import socket
import time

import pytest

from tests.servers.scripted import Piece, Script, chat_events, event, scripted, stream, whole


def ask(port: int, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    """All that comes until nothing does for a while."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(0.3)
        sock.sendall(f"{method} {path} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        got = b""
        try:
            while data := sock.recv(65536):
                got += data
        except TimeoutError:
            got += b" and open"
        except ConnectionResetError:
            got += b" and reset"
    return got


HEAD = b"HTTP/1.1 200 Scripted\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PIECES = (Piece(0.0, b"a"), Piece(0.001, b"bc"))


@pytest.mark.parametrize(
    ("script", "came"),
    [
        (Script(PIECES), CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n and open"),
        (Script(PIECES, end="leave"), CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        (Script(PIECES, end="close"), CHUNKED + b"1\r\na\r\n2\r\nbc\r\n"),
        (Script(PIECES, end="reset"), CHUNKED + b"1\r\na\r\n2\r\nbc\r\n and reset"),
        (Script(PIECES, end="hang"), CHUNKED + b"1\r\na\r\n2\r\nbc\r\n and open"),
        (Script(PIECES, chunked=False), HEAD + b"Content-Length: 3\r\n\r\nabc and open"),
        (Script(PIECES, chunked=None, end="close"), HEAD + b"\r\nabc"),
        (Script((), 204, chunked=False), b"HTTP/1.1 204 Scripted\r\nContent-Type: text/event-stream"
         b"\r\nContent-Length: 0\r\n\r\n and open"),
        (Script((Piece(0.0, b"ab", 3),)), CHUNKED + b"2\r\nab\r\n" * 3 + b"0\r\n\r\n and open"),
    ],
    ids=lambda each: getattr(each, "end", ""),
)  # fmt: skip
def test_bytes_and_ends(script: Script, came: bytes) -> None:
    with scripted(script) as server:
        assert ask(server.port) == came


def test_times_are_those_of_the_script_and_of_this_process() -> None:
    script = stream(chat_events("a", "b"), first_s=0.03, gap_s=0.02)
    with scripted(script) as server:
        before = time.perf_counter_ns()
        ask(server.port)
        after = time.perf_counter_ns()
        (sends,) = server.sends()
    assert len(sends) == len(script.pieces) == 5
    assert before < sends[0] - 30_000_000 and sends[-1] < after
    assert min(b - a for a, b in zip(sends, sends[1:], strict=False)) >= 20_000_000


def test_scripts_in_turn_and_paths_beside_them() -> None:
    with scripted(whole("one"), whole("two"), paths={"/props": whole({"n": 1})}) as server:
        line = http.client.HTTPConnection("127.0.0.1", server.port)
        told = []
        for method, path in (("POST", "/x"), ("GET", "/v1/models"), ("POST", "/x"), ("GET", "/y"),
                             ("GET", "/props"), ("POST", "/x")):  # fmt: skip
            line.request(method, path, b"{}" if method == "POST" else None)
            answer = line.getresponse()
            told.append((answer.status, answer.read()))
        models = b'{"object": "list", "data": [{"id": "m"}]}'
        assert told == [(200, b'"one"'), (200, models), (200, b'"two"'), (404, b""),
                        (200, b'{"n": 1}'), (200, b'"one"')]  # fmt: skip
        assert [each.split()[1] for each in server.requests()] == [b"/x"] * 3
        assert len(server.others()) == 3 and len(server.sends()) == 3
        server.play(whole("three"))
        line.request("POST", "/x", b"{}")
        assert line.getresponse().read() == b'"three"'
        assert len(server.requests()) == 1
        line.close()


def test_events() -> None:
    assert event({"a": 1}, "ping") == b'event: ping\ndata: {"a": 1}\n\n'
    assert len(chat_events("a", usage={"prompt_tokens": 1, "completion_tokens": 1})) == 5
    assert chat_events("a", role_first=False, finish=None, done=False)[0].startswith(b"data: {")

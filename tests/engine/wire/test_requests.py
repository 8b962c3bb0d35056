"""Requests as bytes, and what is read of an answer without a connection."""

from __future__ import annotations

import pickle

import pytest

from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import shown
from qs.engine.wire.heads import Heads
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings, Tls


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            http_request("GET", "/a?b=c", "h:80"),
            b"GET /a?b=c HTTP/1.1\r\nHost: h:80\r\nAccept-Encoding: identity\r\n\r\n",
        ),
        (
            http_request("POST", "/", "[::1]:1", {"Content-Type": "x"}, b"body"),
            b"POST / HTTP/1.1\r\nHost: [::1]:1\r\nAccept-Encoding: identity\r\nContent-Type: x\r\n"
            b"Content-Length: 4\r\n\r\nbody",
        ),
        (
            http_request("POST", "/", "h", [("Host", "g"), ("accept-encoding", "gzip")]),
            b"POST / HTTP/1.1\r\nHost: g\r\naccept-encoding: gzip\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            http_request("PUT", "/", "h", {}, memoryview(b"abcdefgh").cast("I")),
            b"PUT / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: identity\r\n"
            b"Content-Length: 8\r\n\r\nabcdefgh",
        ),
    ],
)
def test_a_request(request_: bytes, expected: bytes) -> None:
    assert request_ == expected


@pytest.mark.parametrize(
    ("method", "target", "host", "headers", "message"),
    [
        ("GET /", "/", "h", {}, "'GET /' is not an HTTP method"),
        ("", "/", "h", {}, "'' is not an HTTP method"),
        ("GET", "/a b", "h", {}, "'/a b' is not a request target"),
        ("GET", "/a\r\nX: y", "h", {}, "is not a request target"),
        ("GET", "", "h", {}, "'' is not a request target"),
        ("GET", "/ü", "h", {}, "'/ü' is not a request target"),
        ("GET", "/", "h\r\nX: y", {}, "is not a host"),
        ("GET", "/", "h", {"A b": "c"}, "'A b' is not a header's name"),
        (
            "GET",
            "/",
            "h",
            {"Key": "secret\r\nX: y"},
            "the value of the header Key has a line break",
        ),
        ("GET", "/", "h", {"Key": "secret ☃"}, "beyond Latin-1"),
        (
            "GET",
            "/",
            "h",
            {"Content-Length": "5"},
            "the header Content-Length is set by the client",
        ),
        ("GET", "/", "h", {"expect": "100-continue"}, "the header expect is set by the client"),
    ],
)
def test_what_cannot_stand_in_a_request(
    method: str, target: str, host: str, headers: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as told:
        http_request(method, target, host, headers)
    assert "secret" not in str(told.value)


def test_headers_are_read_when_asked_for() -> None:
    call = WireCall(b"", print, None)
    assert call.headers() == {}
    call.head = b"HTTP/1.1 200 OK\r\nA: b\r\nSet-X:1\r\nset-x: 2\r\nnothing\r\nE: \xe9"
    assert call.headers() == {"a": "b", "set-x": "1, 2", "e": "é"}


def test_heads_that_differ_each_time_do_not_fill_the_memory() -> None:
    heads = Heads()
    for number in range(1_000):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Number: %d" % number
        assert heads.read(head).length == 3
        assert heads.read(head) is heads.known[head]
    assert len(heads.known) <= 256
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: " + b"y" * 10_000
    assert heads.read(long).length == 3
    assert long not in heads.known


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ""),
        ("two\n lines\tand  more", "two lines and more"),
        (b"\xff\x00ok\x1b[31m", "��ok�[31m"),
        (b"x" * 1000, "x" * 199 + "…"),
        (memoryview(b"view"), "view"),
    ],
)
def test_what_a_server_sent_is_shown_on_one_line(data: bytes, expected: str) -> None:
    assert shown(data) == expected


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (ClientSettings("localhost", 8000), []),
        (ClientSettings("::1", 8000, tls=Tls(ca="a", certificate="b", key="c"), timeout_s=1), []),
        (ClientSettings("h", 1, proxy="http://user:secret@proxy:3128"), []),
        (ClientSettings("", 8000), ["host: ''"]),
        (ClientSettings("a b", 8000), ["host: 'a b'"]),
        (ClientSettings("h", 0), ["port: 0"]),
        (ClientSettings("h", 70_000), ["port: 70000"]),
        (ClientSettings("h", 1, connections=0), ["connections: 0"]),
        (
            ClientSettings("h", 1, timeout_s=0.0, connect_timeout_s=-1),
            ["connect", "timeout_s: 0.0"],
        ),
        (ClientSettings("h", 1, order="random"), ["order: 'random'"]),  # type: ignore[arg-type]
        (ClientSettings("h", 1, proxy="https://user:secret@proxy:3128"), ["proxy: '(not shown)'"]),
        (ClientSettings("h", 1, proxy="http://proxy:port"), ["proxy: "]),
        (ClientSettings("h", 1, tls=Tls(key="k")), ["tls.key: "]),
        (ClientSettings("h", 1, tls=Tls(ca="", verify=1)), ["tls.ca: ''", "tls.verify: 1"]),  # type: ignore[arg-type]
        (ClientSettings("h", 1, tls=True), ["tls: True"]),  # type: ignore[arg-type]
    ],
)
def test_faults_of_settings(settings: ClientSettings, faults: list[str]) -> None:
    found = settings.faults()
    assert len(found) == len(faults)
    for told, expected in zip(found, faults):
        assert told.startswith(expected)
        assert "secret" not in told
    assert pickle.loads(pickle.dumps(settings)) == settings

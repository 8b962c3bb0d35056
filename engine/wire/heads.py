"""What an answer's head says: its status, and where the answer ends.

Servers send the same few heads again and again, so each distinct one is read once, by llhttp, and
looked up from then on.
"""

from __future__ import annotations

from typing import Any

import httptools

from qs.engine.wire.failures import BadAnswer, Failure, shown

MOST_HEAD_BYTES = 64 << 10
MOST_HEADERS = 512
# Distinct heads that are kept; a server that numbers its answers fills this again and again.
MOST_KNOWN = 256
MOST_KNOWN_BYTES = 4 << 10
# In place of a body's length:
CHUNKED, UNTIL_END, INTERIM = -1, -2, -3
# Between a head, which is kept without it, and what follows.
END = b"\r\n\r\n"

_STARTS = (b"HTTP/1.1 ", b"HTTP/1.0 ")


class Frame:
    """A head that has been read. `length` is the body's in bytes, or CHUNKED, UNTIL_END (of the
    connection), INTERIM (an answer before the answer, without a body).
    """

    __slots__ = ("status", "length", "keep_alive", "failure", "location", "plain")

    def __init__(self, status: int, length: int, keep_alive: bool, location: str):
        self.status = status
        self.length = length
        self.keep_alive = keep_alive
        self.location = location  # of a redirection, "" if it names none
        self.failure: str | None = None
        if status in (301, 302, 303, 307, 308):
            self.failure = Failure.REDIRECTED
        elif not 200 <= status < 300:
            self.failure = Failure.http(status)
        self.plain = keep_alive and self.failure is None


class Heads:
    """The heads of one server. `known` is looked into first; `read` adds what is not there."""

    def __init__(self) -> None:
        self.known: dict[bytes, Frame] = {}

    def read(self, head: bytes) -> Frame:
        """`head` reaches from the status line to its END. Raises BadAnswer."""
        found = self.known.get(head)
        if found is None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            found = _read(head)
            if len(head) <= MOST_KNOWN_BYTES:
                self.known[head] = found
        return found


def check_start(data: bytes) -> None:
    """Raise BadAnswer if an answer cannot begin like this, before the rest of it is waited for."""
    if not any(data.startswith(start) or start.startswith(data) for start in _STARTS):
        what = "is a TLS record" if data[:2] in (b"\x15\x03", b"\x16\x03") else "begins with"
        raise BadAnswer(f"it is not HTTP/1.1: it {what} {shown(data[:60])!r}")


class _Reader:
    """The callbacks of llhttp for one head."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MOST_HEADERS:
            raise BadAnswer(f"its head has more than {MOST_HEADERS} headers")
        self.headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        self.whole = True


def _read(head: bytes) -> Frame:
    check_start(head)
    if head[8:12] == b" 101":
        raise BadAnswer("it switches to another protocol")
    reader = _Reader()
    parser: Any = httptools.HttpResponseParser(reader)
    try:
        parser.feed_data(head + END)
    except httptools.HttpParserError as fault:
        context = fault.__context__
        reason = context if isinstance(context, BadAnswer) else f"{fault}"
        raise BadAnswer(f"its head is not HTTP/1.1: {reason}") from fault
    if not reader.whole:
        raise BadAnswer("its head is not HTTP/1.1")
    status = parser.get_status_code()
    if status < 100 or status > 999:
        raise BadAnswer(f"its status is {status}")
    location = next((value for name, value in reader.headers if name == b"location"), b"")
    length = _length(status, reader.headers)
    keep_alive = length != UNTIL_END and _keeps_alive(head, reader.headers)
    return Frame(status, length, keep_alive, shown(location))


def _length(status: int, headers: list[tuple[bytes, bytes]]) -> int:
    """By RFC 9112, section 6.3, where llhttp has refused what contradicts itself."""
    if status < 200:
        return INTERIM
    if status in (204, 304):
        return 0
    codings = b",".join(value for name, value in headers if name == b"transfer-encoding")
    if codings:
        words = [each.strip().lower() for each in codings.split(b",")]
        if words == [b"chunked"]:
            return CHUNKED
        if words == [b"identity"]:
            return UNTIL_END
        raise BadAnswer(f"its transfer encoding is {shown(codings)!r}")
    lengths = {value for name, value in headers if name == b"content-length"}
    return int(lengths.pop()) if lengths else UNTIL_END


def _keeps_alive(head: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    said = {
        word.strip().lower()
        for name, value in headers
        if name == b"connection"
        for word in value.split(b",")
    }
    return b"close" not in said and (head.startswith(_STARTS[0]) or b"keep-alive" in said)

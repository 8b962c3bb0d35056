"""Starts a server that does nothing in a process of its own, for as long as a context lasts."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S, END_S = 20.0, 2.0
HERE = Path(__file__).parent
# How Python is told to run it, by the transport of qs.remote.protocol. That of HTTP needs nothing
# of qs, and starts in no time.
PROGRAMS: Mapping[str, Sequence[str]] = {
    "http": ("-I", str(HERE / "null_http.py")),
    "grpc": ("-m", "qs.remote.null_grpc"),
}


class NoNullServer(Exception):
    """It could not be started, in a sentence."""


# Of an answer's head: how its body was delimited, and what becomes of the connection.
_NOT_SENT = (b"transfer-encoding", b"content-length", b"connection", b"keep-alive")


def http_answer(head: bytes, body: bytes) -> bytes:
    """An answer as a server sends it whole, on a connection that it keeps."""
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    kept = [each for each in lines if each.partition(b":")[0].strip().lower() not in _NOT_SENT]
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([first, *kept, length, b"", body])


@contextmanager
def null_server(transport: str, answer: bytes) -> Iterator[int]:
    """The port on 127.0.0.1 where each request is answered with these bytes: of HTTP the whole
    answer with its head, of gRPC the message. Raises NoNullServer.
    """
    with _running(PROGRAMS[transport], _with_length(answer)) as port:
        yield port


@contextmanager
def null_stream(head: bytes, events: Sequence[bytes], pace_s: float = 0.0) -> Iterator[int]:
    """The port on 127.0.0.1 where each request is answered with a stream: a head like this one
    (`call.head` of a real answer) at once, then the events (`events_of(call.body)`), each a chunk
    of its own, the first `pace_s` later and so on, counted from the head, so that they do not
    drift. With a pace of 0 all of it comes in one piece. The connection is kept.

    What the client's process spends on answers of n events, less what it spends on the same n at
    once, divided by n, is what an event costs that arrives alone, more than one that arrives with
    others. Below 2 ms a timer's grain shows, and a pace of one server's in Python ends at about
    50,000 events/s over all streams. Raises NoNullServer.
    """
    pieces = [stream_head(head), *(b"%x\r\n%b\r\n" % (len(each), each) for each in events if each)]
    pieces.append(b"0\r\n\r\n")
    if pace_s <= 0:
        pieces = [b"".join(pieces)]
    sent = b"".join(map(_with_length, pieces)) + _with_length(b"")
    with _running((*PROGRAMS["http"], f"{pace_s * 1e3:.6f}"), sent) as port:
        yield port


def stream_head(head: bytes) -> bytes:
    """A head as a server sends it before chunks, on a connection that it keeps."""
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    kept = [each for each in lines if each.partition(b":")[0].strip().lower() not in _NOT_SENT]
    return b"\r\n".join([first, *kept, b"Transfer-Encoding: chunked", b"", b""])


def events_of(body: bytes) -> list[bytes]:
    """A body of server-sent events, each with the blank line that ends it; what follows the last
    one is one more.
    """
    return [each for each in re.findall(rb"(?s).+?(?:\r?\n\r?\n|\Z)", body) if each]


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


@contextmanager
def _running(program: Sequence[str], sent: bytes) -> Iterator[int]:
    """The port of a server in a process that was sent this."""
    process = subprocess.Popen(
        [sys.executable, *program],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        cwd="/",  # which `-m` looks into first
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        try:
            process.stdin.write(sent)
            process.stdin.flush()
        except OSError as error:
            raise NoNullServer(f"the null server ended at its start: {error}") from None
        yield _port(process)
    finally:
        process.kill()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass
        for stream in (process.stdin, process.stdout):
            try:
                stream.close()
            except OSError:
                pass


def _port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    line = os.read(process.stdout.fileno(), 64) if ready else b""
    if not line.strip().isdigit():
        raise NoNullServer(f"the null server did not start within {START_S:g} s")
    return int(line)

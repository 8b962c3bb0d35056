"""An HTTP server of known bytes at known times, in a process of its own: each request is answered
by the next script, and the instant just before each piece's send is stamped (`perf_counter_ns`,
whose zero is the machine's start on Linux, the same in all processes).

    with scripted(Script(tuple(Piece(0.01, each) for each in chat_events("a", "b")))) as server:
        ... server.url ...                  # http://127.0.0.1:PORT
        server.sends()                      # by request, by piece: ns
        server.requests()                   # by request: head and body as they came

A piece is due `after_s` after the send before it, or after the request. `GET /v1/models` and other
`paths` are answered beside the scripts, other GETs and `/tokenize` by 404. One thread serves all
streams.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import pickle
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import Any

EVENTS = (("Content-Type", "text/event-stream"),)
JSON = (("Content-Type", "application/json"),)
RECEIVE_BYTES = 1 << 18
READY_S = 30.0


@dataclass(frozen=True)
class Piece:
    """Sleep, stamp, send; so many times. Without data: a pause. Chunked, it is one chunk."""

    after_s: float
    data: bytes
    times: int = 1


@dataclass(frozen=True)
class Script:
    """One answer. `chunked`: False is a Content-Length, None neither (the body ends with the
    connection). The head is sent with the first piece if that is due at once, else before it, and
    `head_after_s` after the request.

    `end`: "keep" the body ends, and the connection stays; "leave" the body ends, and the connection
    is closed; "close" the connection is closed, and no end of the body was sent; "reset" it is
    reset; "hang" nothing more comes.
    """

    pieces: tuple[Piece, ...]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = EVENTS
    chunked: bool | None = True
    end: str = "keep"
    head_after_s: float = 0.0

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{a}: {b}" for a, b in self.headers)]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.chunked is False:
            size = sum(len(piece.data) * piece.times for piece in self.pieces)
            lines.append(f"Content-Length: {size}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Scripted:
    """The server, from outside."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def sends(self) -> list[list[int]]:
        """By request in the order of their coming: when each of its pieces was sent."""
        return self._ask("sends")

    def requests(self) -> list[bytes]:
        """Those that scripts answered."""
        return self._ask("requests")

    def others(self) -> list[bytes]:
        """Those that `paths` or a 404 answered."""
        return self._ask("others")

    def play(self, *scripts: Script) -> None:
        """From now on these in turn; what was seen is forgotten."""
        self._ask("play", [_plain(each) for each in scripts])

    def _ask(self, *words: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        _write(self._process.stdin, words)
        return _read(self._process.stdout)


@contextmanager
def scripted(
    *scripts: Script,
    streams_at_once: int = 1024,
    paths: Mapping[str, Script] | None = None,
) -> Iterator[Scripted]:
    """Scripts are taken in turn by request, from the first again after the last one."""
    process = subprocess.Popen(
        [sys.executable, "-S", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin and process.stdout
    try:
        models = whole({"object": "list", "data": [{"id": "m"}]})
        missing = Script((), 404, JSON, chunked=False)
        beside = {"/v1/models": models, "/tokenize": missing, **(paths or {})}
        plain = {path: _plain(script) for path, script in beside.items()}
        _write(process.stdin, ([_plain(each) for each in scripts], plain, streams_at_once))
        yield Scripted(process, _read(process.stdout))
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def whole(content: Any, status: int = 200, after_s: float = 0.0) -> Script:
    """An answer in one piece of JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Script((Piece(after_s, data),), status, JSON, chunked=False)


def stream(events: Sequence[bytes], *, first_s: float, gap_s: float, **rest: Any) -> Script:
    """Events one by one, the first after `first_s`."""
    gaps = (first_s, *(gap_s for _ in events[1:]))
    return replace(Script(tuple(map(Piece, gaps, events))), **rest)


def event(content: Any, name: str = "") -> bytes:
    """One event of SSE."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chat_events(
    *texts: str,
    usage: Mapping[str, Any] | None = None,
    finish: str | None = "stop",
    role_first: bool = True,
    done: bool = True,
) -> list[bytes]:
    """A stream of chat completions: an event with the role alone, one for each text, one with the
    finish, one with the usage where it is given (prompt_tokens, completion_tokens), [DONE].
    """

    def chunk(choices: list[Any], **more: Any) -> bytes:
        return event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                      "choices": choices, **more})  # fmt: skip

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    events = [chunk(choice({"role": "assistant", "content": ""}))] if role_first else []
    events += [chunk(choice({"content": text})) for text in texts]
    if finish is not None:
        events.append(chunk(choice({}, finish)))
    if usage is not None:
        total = sum(each for each in usage.values() if isinstance(each, int))
        events.append(chunk([], usage={"total_tokens": total, **usage}))
    return [*events, event("[DONE]")] if done else events


def _plain(script: Script) -> tuple[Any, ...]:
    """What is sent to the process: head, end of the body, end, wait, whether chunked, pieces."""
    pieces = [(round(each.after_s * 1e9), each.data, each.times) for each in script.pieces]
    tail = b"0\r\n\r\n" if script.chunked and script.end in ("keep", "leave") else b""
    wait_ns = round(script.head_after_s * 1e9)
    return script.head(), tail, script.end, wait_ns, bool(script.chunked), pieces


def _write(pipe: Any, content: Any) -> None:
    data = pickle.dumps(content)
    left = memoryview(struct.pack("<Q", len(data)) + data)
    while left:
        left = left[pipe.write(left) :]


def _read(pipe: Any) -> Any:
    def exactly(size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            more = pipe.read(size - len(got))
            if not more:
                raise EOFError("the other end is gone")
            got += more
        return bytes(got)

    (size,) = struct.unpack("<Q", exactly(8))
    return pickle.loads(exactly(size))


# What follows runs in the process of its own.


class _Line:
    """A connection, and the answer that is on its way over it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.steps: Iterator[tuple[int, bytes | None]] | None = None
        self.data: bytes | None = b""  # of the step that is due next
        self.left = memoryview(b"")  # of what could not be sent at once
        self.stamps: list[int] = []
        self.stamping = False
        self.end = "keep"


class _Server:
    def __init__(self, scripts: list[Any], paths: dict[str, Any], streams_at_once: int) -> None:
        self.scripts, self.paths = scripts, paths
        self.poll = select.epoll()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=streams_at_once + 128)
        self.listener.setblocking(False)
        self.lines: dict[int, _Line] = {}
        self.due: list[tuple[int, int, _Line]] = []
        self.order = 0
        self.forget()
        for each in (self.listener.fileno(), 0):
            self.poll.register(each, select.EPOLLIN)

    def forget(self) -> None:
        self.sends: list[list[int]] = []
        self.requests: list[bytes] = []
        self.others: list[bytes] = []

    def run(self) -> None:
        while True:
            self.send_due()
            wait_s = max((self.due[0][0] - perf_counter_ns()) / 1e9, 0) if self.due else None
            # epoll itself waits whole milliseconds; select on it, microseconds.
            if not select.select([self.poll.fileno()], [], [], wait_s)[0]:
                continue
            for number, mask in self.poll.poll(0):
                if number == 0:
                    if not self.told():
                        return
                elif number == self.listener.fileno():
                    self.accept()
                elif number in self.lines:
                    self.ready(self.lines[number], mask)

    def told(self) -> bool:
        """The other process asks; False: it has closed the pipe."""
        try:
            word, *rest = _read(_stdin)
        except EOFError:
            return False
        if word == "play":
            self.scripts = rest[0]
            self.forget()
        _write(_stdout, getattr(self, word, None))
        return True

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.lines[sock.fileno()] = _Line(sock)
                self.poll.register(sock.fileno(), select.EPOLLIN)

    def ready(self, line: _Line, mask: int) -> None:
        try:
            if mask & select.EPOLLOUT:
                self.push(line)
            if mask & ~select.EPOLLOUT:
                data = line.sock.recv(RECEIVE_BYTES)
                if not data:
                    self.drop(line)
                    return
                line.received += data
                if line.steps is None:
                    self.begin(line)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(line)

    def begin(self, line: _Line) -> None:
        """Answer the request, if it is whole."""
        head, blank, _ = bytes(line.received).partition(b"\r\n\r\n")
        if not blank:
            return
        length = 0
        for each in head.split(b"\r\n")[1:]:
            name, _, value = each.partition(b":")
            length = int(value) if name.strip().lower() == b"content-length" else length
        size = len(head) + 4 + length
        if len(line.received) < size:
            return
        request = bytes(line.received[:size])
        del line.received[:size]
        method, path, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        script = self.paths.get(path.partition("?")[0])
        line.stamps = []
        if script is None and (method == "GET" or not self.scripts):
            script = (b"HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n", b"", "keep", 0, False, [])
            self.others.append(request)
        elif script is not None:
            self.others.append(request)
        else:
            script = self.scripts[len(self.requests) % len(self.scripts)]
            self.requests.append(request)
            self.sends.append(line.stamps)
        line.end = script[2]
        line.steps = _steps(*script)
        self.next(line, perf_counter_ns())

    def next(self, line: _Line, from_ns: int) -> None:
        """The step after the one that was done at `from_ns`."""
        assert line.steps is not None
        step = next(line.steps, None)
        if step is None:
            self.finish(line)
            return
        after_ns, line.data, line.stamping = step
        self.order += 1
        heapq.heappush(self.due, (from_ns + after_ns, self.order, line))

    def send_due(self) -> None:
        due = self.due
        while due and due[0][0] <= perf_counter_ns():
            line = heapq.heappop(due)[2]
            if line.sock.fileno() < 0:
                continue
            stamp = perf_counter_ns()
            if line.stamping:
                line.stamps.append(stamp)
            line.left = memoryview(line.data)
            try:
                size = line.sock.send(line.left) if line.left else 0
            except BlockingIOError:
                size = 0
            except OSError:
                self.drop(line)
                continue
            line.left = line.left[size:]
            if line.left:
                self.poll.modify(line.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
            else:
                self.next(line, stamp)

    def push(self, line: _Line) -> None:
        line.left = line.left[line.sock.send(line.left) :]
        if not line.left:
            self.poll.modify(line.sock.fileno(), select.EPOLLIN)
            self.next(line, perf_counter_ns())

    def finish(self, line: _Line) -> None:
        if line.end == "keep":
            line.steps = None
            if line.received:
                self.begin(line)
        elif line.end == "reset":
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.drop(line)
        elif line.end in ("close", "leave"):
            self.drop(line)
        # "hang": its steps stay, and so no other request is answered

    def drop(self, line: _Line) -> None:
        number = line.sock.fileno()
        if number >= 0:
            self.poll.unregister(number)
            del self.lines[number]
            line.sock.close()


def _steps(
    head: bytes, tail: bytes, end: str, wait_ns: int, chunked: bool, pieces: list[Any]
) -> Iterator[tuple[int, bytes, bool]]:
    """(how long after the step before, what is sent, whether its instant is told)."""
    if wait_ns or not pieces or pieces[0][0] or not pieces[0][1]:
        yield wait_ns, head, False
        head = b""
    last = len(pieces) - 1
    for number, (after_ns, data, times) in enumerate(pieces):
        framed = b"%x\r\n%b\r\n" % (len(data), data) if chunked and data else data
        for turn in range(times):
            # The end of the body goes with the last piece: no read of the client's is its alone.
            final = tail if number == last and turn == times - 1 else b""
            yield after_ns, head + framed + final if head or final else framed, True
            head = b""
    if not pieces and tail:
        yield 0, tail, False


def _main() -> None:
    import resource

    gc.disable()
    scripts, paths, streams_at_once = _read(_stdin)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams_at_once + 64
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    server = _Server(scripts, paths, streams_at_once)
    _write(_stdout, server.listener.getsockname()[1])
    server.run()


if __name__ == "__main__":
    _stdin, _stdout = os.fdopen(0, "rb", 0), os.fdopen(1, "wb", 0)
    _main()

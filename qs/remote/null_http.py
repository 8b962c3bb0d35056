"""A server that does nothing, in a process of its own: it answers each HTTP/1.1 request on a kept
connection at once with the same bytes. Against it a client shows what it costs by itself.

Started by its path, with nothing but the standard library and uvloop, so that it is there at once:

    python -I null_http.py        stdin: the length of the answer (8 bytes, big-endian), the answer;
                                  stdout: the port, in a line. It ends when stdin does.
    python -I null_http.py PACE   the same, with several answers' lengths and bytes, then a length
                                  of 0: they are the pieces of one answer, the first sent at once,
                                  the others PACE ms apart from then on.

It looks at a request's length alone: `Content-Length`, or no body. Nothing is checked.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import cast

MOST_HEAD = 1 << 20
BUFFER = 1 << 18
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class Null(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, answer: bytes):
        self._answer = answer
        self._buffer = memoryview(bytearray(BUFFER))
        self._head = b""  # of a request, as far as it has come
        self._left = 0  # bytes of a body that are still to come
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        # The whole answer goes out in one call, or is kept there.
        self._transport.set_write_buffer_limits(high=2 * len(self._answer) + BUFFER)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        if self._left > count:
            self._left -= count
            return
        at = self._left
        if self._left:
            self._left = 0
            self._send()
        if at < count:
            self._requests(self._head + bytes(self._buffer[at:count]))

    def _requests(self, data: bytes) -> None:
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MOST_HEAD and self._transport is not None:
                    self._transport.close()
                break
            length = LENGTH.search(data, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if whole > len(data):
                self._left, data = whole - len(data), b""
                break
            data = data[whole:]
            self._send()
        self._head = data

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(self._answer)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: BaseException | None) -> None:
        self._transport = None


class NullStream(Null):
    """One connection, whose answers come piece by piece, `pace_s` apart."""

    def __init__(self, pieces: list[bytes], pace_s: float):
        super().__init__(b"".join(pieces))
        self._pieces = pieces
        self._pace_s = pace_s
        self._owed = 0  # answers: the one that is being sent, and those after it
        self._next = 0  # of the pieces
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, error: BaseException | None) -> None:
        super().connection_lost(error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        self._owed += 1
        if self._owed == 1:
            self._begin()

    def _begin(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self._next = 0
        self._piece()

    def _piece(self) -> None:
        if self._transport is None:
            return
        self._transport.write(self._pieces[self._next])
        self._next += 1
        if self._next < len(self._pieces):
            # From the first piece on, so that no piece's lateness is the next one's too.
            at = self._began + self._next * self._pace_s
            self._timer = asyncio.get_running_loop().call_at(at, self._piece)
            return
        self._timer = None
        self._owed -= 1
        if self._owed:
            self._begin()


async def serve(connection: Callable[[], Null]) -> None:
    """On a free port of 127.0.0.1, until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def read_piece() -> bytes:
    """From stdin: a length, and so many bytes."""
    return sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))


def main() -> None:
    """Raise the file limit as far as it goes, and serve."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    answer = read_piece()
    connection: Callable[[], Null] = partial(Null, answer)
    if len(sys.argv) > 1:
        pieces = [answer, *iter(read_piece, b"")]
        connection = partial(NullStream, pieces, float(sys.argv[1]) / 1e3)
    try:
        import uvloop
    except ImportError:
        loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.run_until_complete(serve(connection))


if __name__ == "__main__":
    main()

"""A server that does nothing, in a process of its own: it answers each HTTP/1.1 request on a kept
connection at once with the same bytes. Against it a client shows what it costs by itself.

Started by its path, with nothing but the standard library and uvloop, so that it is there at once:

    python -I null_http.py        stdin: the length of the answer (8 bytes, big-endian), the answer;
                                  stdout: the port, in a line. It ends when stdin does.

It looks at a request's length alone: `Content-Length`, or no body. Nothing is checked.
"""

from __future__ import annotations

import asyncio
import re
import sys
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


async def serve(answer: bytes) -> None:
    """On a free port of 127.0.0.1, until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Null(answer), "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def main() -> None:
    """Raise the file limit as far as it goes, and serve."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    answer = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))
    try:
        import uvloop
    except ImportError:
        loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.run_until_complete(serve(answer))


if __name__ == "__main__":
    main()

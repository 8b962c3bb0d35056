"""A gRPC server that does nothing, in a process of its own: it answers every unary call at once
with the same message. Against it a client shows what it costs by itself.

    python -m qs.remote.null_grpc     stdin: the length of the message (8 bytes, big-endian), the
                                      message; stdout: the port, in a line. It ends when stdin does.

Nothing of a request is looked at but where it ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from qs.engine.wire import frames
from qs.engine.wire.http2 import RECEIVE_BYTES, SERVER_HELLO, Http2
from qs.engine.wire.sending import BrokenProtocol

HEAD_BLOCK = frames.header_block([(":status", "200"), ("content-type", "application/grpc")])
TRAILER_BLOCK = frames.header_block([("grpc-status", "0")])
_NUMBER_AT = frames.FRAME_BYTES - frames.NUMBER.size


class NullAnswers(Http2):
    """One connection: each request that has ended is answered. Headers are not looked at."""

    def __init__(self, shared: memoryview, answer: bytes):
        super().__init__(shared)
        self.data = memoryview(b"".join((b"\0", len(answer).to_bytes(4, "big"), answer)))
        self.preface = frames.PREFACE
        data = frames.frame(frames.DATA, 0, 0, bytes(self.data[: frames.FIRST_FRAME_SIZE]))
        # the three frames of a small answer, cut where the stream's number stands
        whole = b"".join((_head(0), data, _trailer(0)))
        first, second = len(_head(0)) + _NUMBER_AT, len(_head(0)) + len(data) + _NUMBER_AT
        number = frames.NUMBER.size
        self.begin = whole[:_NUMBER_AT]
        self.middle = whole[_NUMBER_AT + number : first]
        self.body = whole[first + number : second]
        self.end = whole[second + number :]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.out.write(SERVER_HELLO)

    def connection_lost(self, fault: Exception | None) -> None:
        self.out.stop()

    def _expect_settings(self, begin: bytes) -> None:
        """A client's preface stands before its SETTINGS."""

    def _frames(self, size: int) -> None:
        if self.preface:
            size = self._after_preface(size)
        super()._frames(size)

    def _after_preface(self, size: int) -> int:
        """Take the preface, or the part of it that has come, off the shared buffer's front."""
        taken = min(len(self.preface), size)
        if self.shared[:taken] != self.preface[:taken]:
            raise BrokenProtocol("this server speaks HTTP/2 from the beginning")
        self.preface = self.preface[taken:]
        left = size - taken
        self.shared[:left] = bytes(self.shared[taken:size])
        return left

    def on_headers(self, stream: int, block: bytes, end: bool) -> None:
        if end:
            self.answer(stream)

    def on_data(self, stream: int, piece: memoryview, end: bool) -> None:
        if end:
            self.answer(stream)

    def answer(self, stream: int) -> None:
        out, size = self.out, len(self.data)
        if size > frames.FIRST_FRAME_SIZE or size > out.window or out.unsent:
            out.send(stream, _head(stream), self.data, _trailer(stream))
            return
        out.window -= size
        number = frames.NUMBER.pack(stream)
        out.write(b"".join((self.begin, number, self.middle, number, self.body, number, self.end)))

    def on_reset(self, stream: int, code: int) -> None:
        """What is unsent of its answer has been dropped."""

    def on_goaway(self, last: int, code: int, words: str) -> None:
        """The client will close."""


def _head(stream: int) -> bytes:
    return frames.header_frames(stream, HEAD_BLOCK)


def _trailer(stream: int) -> bytes:
    return frames.header_frames(stream, TRAILER_BLOCK, frames.END_STREAM)


async def serve(host: str, port: int, answer: bytes) -> asyncio.Server:
    """Answer on host:port (0: any free port) until the server is closed."""
    shared = memoryview(bytearray(RECEIVE_BYTES))
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: NullAnswers(shared, answer), host, port, backlog=4_096)


async def _run(answer: bytes) -> None:
    server = await serve("127.0.0.1", 0, answer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
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
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.run_until_complete(_run(answer))


if __name__ == "__main__":
    main()

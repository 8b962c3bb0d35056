"""The other end of an HTTP/2 connection, scripted frame by frame: a server that keeps the rules as
far as the script does. Frames are made by code of its own and by `hpack`'s own encoder, table and
all.

    async def script(peer, number):        # for each connection, counted from 0
        await peer.begin()
        stream = await peer.request()
        peer.answer(stream, b"message")

    async with scripted(script) as port: ...
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from hpack import Decoder, Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
MOST = 2**31 - 1
OK = {":status": "200", "content-type": "application/grpc"}


class Ended(Exception):
    """The client has ended the connection."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(content: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(content)) + content


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *each) for each in values.items()))


class Peer:
    """`frames` are all that have come but DATA; `received` is what came of each stream's data."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.received: dict[int, bytes] = {}
        self.headers: dict[int, dict[str, str]] = {}
        self.largest = 0
        self.asked: deque[int] = deque()  # streams of requests that nobody has taken yet
        self.encoder = Encoder()
        self.decoder = Decoder()

    async def begin(self, values: Mapping[int, int] | None = None) -> None:
        """Take the preface, and say our settings."""
        try:
            assert await self.reader.readexactly(len(PREFACE)) == PREFACE
        except asyncio.IncompleteReadError:
            raise Ended from None
        self.send(settings(values or {}))

    async def next(self) -> tuple[int, int, int, bytes]:
        try:
            head = await self.reader.readexactly(9)
            payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Ended from None
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        if kind == DATA:
            self.received[stream] = self.received.get(stream, b"") + payload
            self.largest = max(self.largest, len(payload))
            if flags & END_STREAM:
                self.asked.append(stream)
        else:
            self.frames.append((kind, flags, stream, payload))
        if kind == HEADERS:
            pairs = self.decoder.decode(payload)
            self.headers[stream] = {str(name): str(value) for name, value in pairs}
        return kind, flags, stream, payload

    async def until(self, kind: int) -> tuple[int, int, int, bytes]:
        """The next frame of this kind."""
        while (found := await self.next())[0] != kind:
            pass
        return found

    async def request(self) -> int:
        """The stream of the next request, once it has come in full."""
        while not self.asked:
            await self.next()
        return self.asked.popleft()

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    def block(self, fields: Mapping[str, str]) -> bytes:
        return self.encoder.encode(list(fields.items()))

    def head(self, stream: int, fields: Mapping[str, str] = OK, *, end: bool = False) -> bytes:
        return frame(HEADERS, END_HEADERS | end, stream, self.block(fields))

    def end(self, stream: int, status: str = "0", words: str = "") -> bytes:
        more = {"grpc-message": words} if words else {}
        return self.head(stream, {"grpc-status": status, **more}, end=True)

    def answer(self, stream: int, content: bytes = b"ok") -> None:
        data = frame(DATA, 0, stream, message(content))
        self.send(self.head(stream), data, self.end(stream))

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End the connection by RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Peer, int], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[int]:
    """The port on 127.0.0.1 where each connection is met by the script, on this loop. A connection
    stays open after its script has ended, unless it raises: that is raised at the end.
    """
    tasks: set[asyncio.Task[None]] = set()
    faults: list[BaseException] = []
    peers: list[Peer] = []

    async def meet(peer: Peer, number: int) -> None:
        try:
            await script(peer, number)
            while True:
                await peer.next()
        except (Ended, ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as fault:
            faults.append(fault)
            peer.writer.transport.abort()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer))
        tasks.add(asyncio.get_running_loop().create_task(meet(peers[-1], len(peers) - 1)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in peers:
            peer.writer.transport.abort()
    if faults:
        raise faults[0]

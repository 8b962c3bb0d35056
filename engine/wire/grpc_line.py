"""One connection of the gRPC client, and the calls on it: a stream each."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any, Protocol

from qs.engine.wire import frames
from qs.engine.wire.answers import Memory
from qs.engine.wire.failures import Failure, shown
from qs.engine.wire.frames import NUMBER, error_name
from qs.engine.wire.grpc_answers import Blocks, Fields
from qs.engine.wire.grpc_calls import PREFIX_BYTES, SMALL_BYTES, GrpcCall, Unusable
from qs.engine.wire.http2 import CLIENT_HELLO, Http2
from qs.engine.wire.sending import MOST_CORKED, BrokenProtocol
from qs.engine.wire.settings import ClientSettings


class Client(Protocol):
    """Whose connection it is: what it has for all of them, and what it is told."""

    settings: ClientSettings
    memory: Memory
    # blocks of headers that mean the same on all connections
    known: dict[bytes, Fields]
    lines: set[Any]

    def count(self, what: str, more: int = 1) -> None: ...

    def healthy(self) -> None: ...

    def free(self, line: Any) -> None: ...

    def end(
        self, call: GrpcCall, line: Any, failure: str | None, detail: str, now_ns: int
    ) -> None: ...

    def again(self, call: GrpcCall, failure: str, detail: str, *, anew: bool = False) -> None: ...

    def drain(self, line: Any) -> None: ...

    def lost(self, line: Any, fault: Exception | None) -> None: ...


class GrpcLine(Http2):
    """`ready` is done once the server's settings allow a stream; its result is why there is none,
    in words, or "".
    """

    def __init__(self, client: Client):
        super().__init__(client.memory.view)
        self.client = client
        self.most_kept_bytes = client.settings.most_kept_bytes
        self.calls: dict[int, GrpcCall] = {}
        self.next_stream = 1
        self.secure = 0
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # how many streams at a time it may have, ours and the server's limit; 0 until it is ready
        self.limit = 0
        # whether it is among those that can take one more
        self.listed = False
        # no further streams: the server goes away, or the numbers have run out
        self.draining = False
        # whether an answer has come over it
        self.served = False
        # whether it has ended, and whether we ended it
        self.lost = False
        self.given_up = False
        # the connections of a client are numbered as they are made
        self.number = 0
        # the first block of headers says that it uses no table
        self.said_no_table = False
        self._blocks = Blocks(client.known)
        self._stalls_counted = 0

    # The connection

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        secure = transport.get_extra_info("ssl_object")
        self.secure = int(secure is not None)
        if secure is not None and secure.selected_alpn_protocol() != "h2":
            self.ready.set_result("it does not offer HTTP/2 over TLS (h2 by ALPN), as gRPC needs")
            transport.abort()
            return
        self.out.write(CLIENT_HELLO)

    def eof_received(self) -> None:
        """The server has ended its side. The transport closes itself."""
        self.connection_lost(None)

    def connection_lost(self, fault: Exception | None) -> None:
        if self.lost:
            return
        self.lost = True
        self.out.stop()
        self.transport = None
        if not self.ready.done():
            words = (
                str(self.fault) if self.fault else "it closed the connection before HTTP/2 began"
            )
            self.ready.set_result(words)
            return
        self.client.lost(self, fault)

    def give_up(self, fault: BrokenProtocol) -> None:
        super().give_up(fault)
        self.connection_lost(None)

    def on_settings(self) -> None:
        before = self.limit
        self.limit = min(self.client.settings.streams, self.most_streams)
        if not self.ready.done():
            if self.limit:
                self.ready.set_result("")
        elif self.limit != before:
            self.client.free(self)

    def on_goaway(self, last: int, code: int, words: str) -> None:
        self.client.drain(self)
        reason = f"the server went away ({error_name(code)}{f', {shown(words)}' if words else ''})"
        for stream, call in list(self.calls.items()):
            if stream > last:
                self.take_out(call)
                self.client.again(call, Failure.CLOSED, reason, anew=True)
        self.close_if_drained()

    def close_if_drained(self) -> None:
        if self.draining and not self.calls:
            self.leave()

    def leave(self, last_words: bytes = b"") -> None:
        """End the connection, whatever is on its way. The calls on it are the caller's."""
        self.given_up = self.lost = True
        self.calls.clear()
        self.client.lines.discard(self)
        if last_words:
            self.out.write(last_words)
        self.out.stop()
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()

    # Requests

    def begin(self, call: GrpcCall) -> None:
        """Send the call's request on a stream of its own."""
        stream = self.next_stream
        self.next_stream = stream + 2
        call.line = self
        call.stream = stream
        call.fresh = not self.served
        self.calls[stream] = call
        if stream == frames.MOST:
            self.client.drain(self)  # its numbers have run out
        request, out = call.request, self.out
        data = request.data
        middle = request.middles[self.secure]
        size = len(data)
        if (
            middle
            and size <= out.window
            and size <= out.first_window
            and self.said_no_table
            and not out.unsent
        ):
            out.window -= size
            number = NUMBER.pack(stream)
            sent = b"".join((request.begins[self.secure], number, middle, number, data))
            if out.corked:
                out.kept.append(sent)
                out.begun.append(call)
                if len(out.begun) >= MOST_CORKED:
                    out.flush()
                return
            self._stamp(call)
            out.write(sent)
            return
        block = request.blocks[self.secure]
        if not self.said_no_table:
            block = frames.NO_TABLE + block
            self.said_no_table = True
        if out.kept:
            out.flush()
        self._stamp(call)
        out.send(stream, frames.header_frames(stream, block), memoryview(data))
        if out.stalls != self._stalls_counted:
            self.client.count("waited for a window", out.stalls - self._stalls_counted)
            self._stalls_counted = out.stalls

    def _stamp(self, call: GrpcCall) -> None:
        if not call.sent_ns:
            call.sent_ns = now_ns = perf_counter_ns()
            if not call.issued_ns:
                call.issued_ns = now_ns

    def take_out(self, call: GrpcCall) -> None:
        """The call is on this connection no more."""
        del self.calls[call.stream]
        call.line = None
        self.out.drop(call.stream)

    def abandon(self, call: GrpcCall, code: int = frames.CANCEL) -> None:
        """Tell the server that the call's answer is not wanted."""
        stream = call.stream
        self.take_out(call)
        self.out.write(frames.reset(stream, code))

    # Answers

    def on_headers(self, stream: int, block: bytes, end: bool) -> None:
        blocks = self._blocks
        fields = blocks.known.get(block)
        if fields is None:
            fields = blocks.read(block)
        call = self.calls.get(stream)
        if call is None:
            self._unknown(stream)
            return
        if not call.first_ns:
            call.first_ns = self.read_ns
        if end:
            self._end(call, fields)
        elif call.first is not None:
            self._fail(call, Failure.BAD_ANSWER, "it has headers in its middle")
        elif 100 <= fields.http < 200:
            call.first_ns = 0  # an answer before the answer
        else:
            call.first = fields

    def on_data(self, stream: int, piece: memoryview, end: bool) -> None:
        call = self.calls.get(stream)
        if call is None:
            self._unknown(stream)
            return
        size = len(piece)
        # a small message in one piece, as nearly all are
        if (
            call.size < 0
            and PREFIX_BYTES <= size <= SMALL_BYTES
            and not end
            and not call.begun
            and not piece[0]
            and NUMBER.unpack_from(piece, 1)[0] == size - PREFIX_BYTES
            and call.first is not None
            and call.first.http == 200
            and size - PREFIX_BYTES <= self.most_kept_bytes
        ):
            call.size = call.filled = size - PREFIX_BYTES
            call.body = bytes(piece[PREFIX_BYTES:])
            return
        self._take(call, piece, end)

    def _take(self, call: GrpcCall, piece: memoryview, end: bool) -> None:
        try:
            call.take(piece, self.most_kept_bytes, self.client.memory)
        except Unusable as fault:
            self._fail(call, fault.failure, str(fault))
            return
        if end:
            self._end(call, None)

    def place(self, stream: int, size: int) -> memoryview | None:
        call = self.calls.get(stream)
        if call is None or call.store is None:
            return None
        stop = min(call.size, call.filled + size)
        return call.store[call.filled : stop] if stop > call.filled else None

    def on_placed(self, stream: int, size: int, end: bool) -> None:
        call = self.calls[stream]
        call.filled += size
        if end:
            self._end(call, None)

    def on_reset(self, stream: int, code: int) -> None:
        call = self.calls.get(stream)
        if call is None:
            self._unknown(stream)
            return
        words = f"the server reset the stream ({error_name(code)})"
        if code == frames.REFUSED_STREAM:
            # It says that it has done nothing.
            self.take_out(call)
            self.client.again(call, Failure.RESET, words)
            self.client.free(self)
        else:
            self.take_out(call)
            self.client.end(call, self, Failure.RESET, words, self.read_ns)

    def _unknown(self, stream: int) -> None:
        """Frames of a stream that was given up are still to come; of one that never was, none."""
        if stream >= self.next_stream or not stream & 1:
            raise BrokenProtocol(f"a frame of stream {stream}, which nobody opened, has come")

    def _fail(self, call: GrpcCall, failure: str, detail: str) -> None:
        """The answer is of no use, and the rest of it is not wanted."""
        self.abandon(call)
        self.client.end(call, self, failure, detail, self.read_ns)

    def _end(self, call: GrpcCall, trailer: Fields | None) -> None:
        """Nothing more comes on the call's stream."""
        if call.stream in self.out.unsent:
            self.abandon(call, frames.NO_ERROR)  # answered before it was asked in full
        else:
            del self.calls[call.stream]
            call.line = None
        if not self.served:
            self.served = True
            self.client.healthy()
        call.last = trailer
        failure, detail = call.verdict()
        store = call.store
        if store is not None and failure is None:
            call.body = store[: call.size] if call.size > SMALL_BYTES else bytes(store[: call.size])
        self.client.end(call, self, failure, detail, self.read_ns)
        if store is not None:
            call.store = None
            self.client.memory.give(store)

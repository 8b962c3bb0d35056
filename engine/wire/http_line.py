"""One connection of HTTP/1.1, with at most one request in hand."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from qs.engine.clock import MONOTONIC
from qs.engine.wire.answers import AnswerReader, Memory, failure_of
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import BadAnswer, Failure

_now_ns = MONOTONIC.now_ns
# A request that is larger may not be sent in full when its answer comes.
LARGE_BYTES = 16 << 10


class Client(Protocol):
    """What a connection tells the client that it belongs to."""

    memory: Memory
    idle: deque[HttpLine]
    crowded: bool  # whether requests wait for a connection

    def reader(self) -> AnswerReader: ...

    def made(self, line: HttpLine) -> None: ...

    def healthy(self) -> None:
        """The connection has brought its first answer."""

    def free(self, line: HttpLine) -> None: ...

    def stray(self, line: HttpLine) -> None: ...

    def ended(self, line: HttpLine) -> None: ...

    def lost(self, line: HttpLine) -> None: ...

    def send_again(self, call: WireCall) -> None: ...

    def judge(self, call: WireCall, reader: AnswerReader) -> None: ...

    def fail(self, call: WireCall, word: str, detail: str, now_ns: int) -> None: ...


class HttpLine(asyncio.BufferedProtocol):
    """A protocol of the loop's transports. `call` is the request in hand; `alive` ends when the
    connection does, or when it is given up.
    """

    __slots__ = ("alive", "call", "client", "heard", "reader", "served", "transport", "write")

    def __init__(self, client: Client):
        self.client = client
        self.reader = client.reader()
        self.call: WireCall | None = None
        self.alive = False
        self.served = False  # whether an answer has come over it
        self.heard = False  # whether a byte has come for the request in hand
        self.transport: Any = None
        self.write: Callable[[bytes], None] = _unconnected

    def connection_made(self, transport: Any) -> None:
        # A write goes to the socket at once; the loop keeps what the socket does not take. (uvloop
        # before 0.20 puts off a write that is below the limit.)
        transport.set_write_buffer_limits(high=0)
        self.transport = transport
        self.write = transport.write
        self.alive = True
        self.client.made(self)

    def send(self, call: WireCall) -> None:
        """The connection must have none in hand. The first stamp of a request stays."""
        self.call = call
        call.line = self
        call.fresh = not self.served
        self.heard = False
        if not call.sent_ns:
            call.sent_ns = _now_ns()
        self.write(call.request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.reader.room

    def buffer_updated(self, nbytes: int) -> None:
        now_ns = _now_ns()
        call = self.call
        if call is None:
            self.client.stray(self)
            return
        if not call.first_ns:
            call.first_ns = now_ns
        reader = self.reader
        try:
            whole = reader.received(nbytes, call.request)
        except BadAnswer as fault:
            self._fail(failure_of(fault), str(fault), now_ns)
            return
        if reader.interim:  # what came until now was not the answer
            reader.interim = False
            call.first_ns = now_ns if whole or reader.begun else 0
        if not whole:
            self.heard = True
            return
        self._finish(call, now_ns)

    def eof_received(self) -> None:
        """The server has ended its side. The transport closes itself."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def pause_writing(self) -> None:
        """The loop keeps the rest of the request, and there is no other until it is answered."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def give_up(self) -> None:
        """End the connection, whatever is on its way. The request in hand is the caller's."""
        self.call = None
        self.transport.abort()
        self._gone()

    def _finish(self, call: WireCall, now_ns: int) -> None:
        """The answer is whole. Others get the connection before the caller gets the answer, so that
        the request which he may start now comes behind those that wait.
        """
        reader, client = self.reader, self.client
        frame = reader.frame
        call.last_ns = now_ns
        call.status = frame.status
        call.head = reader.head
        call.body = reader.body
        call.line = None
        if frame.failure is not None or reader.too_large:
            client.judge(call, reader)
        self.call = None
        if not self.served:
            self.served = True
            client.healthy()
        if not frame.keep_alive or not self.alive or self._unsent(call):
            self._gone()
            self.transport.abort()
        elif client.crowded:
            client.free(self)
        else:
            client.idle.append(self)
        taken = reader.taken
        if taken is None:
            call.done(call)
            return
        reader.taken = None
        call.done(call)
        client.memory.give(taken)

    def _unsent(self, call: WireCall) -> bool:
        """Whether the server has answered without having read all of the request."""
        if len(call.request) <= LARGE_BYTES:
            return False
        return self.transport.get_write_buffer_size() > 0

    def _end(self, exc: Exception | None) -> None:
        """The connection has ended, by its server or by a fault."""
        if not self.alive:
            return
        now_ns = _now_ns()
        self.transport.abort()  # it may still have a request to send
        call = self.call
        if call is None:
            self.client.ended(self)
            self._gone()
            return
        if exc is None and self.reader.ended():
            self._gone()
            self._finish(call, now_ns)
            return
        unanswered = not call.first_ns and not self.heard
        self.call = None
        if unanswered and self.served and not call.resent:
            call.line = None
            self.client.send_again(call)
            self._gone()
            return
        word = Failure.CLOSED if exc is None else Failure.RESET
        word = Failure.TLS if isinstance(exc, ssl.SSLError) else word
        when = "before it answered" if unanswered else self.reader.progress()
        self._gone()
        reason = "the server closed the connection" if exc is None else f"{exc}"
        self.client.fail(call, word, f"{reason} {when}", now_ns)

    def _fail(self, word: str, detail: str, now_ns: int) -> None:
        call, self.call = self.call, None
        self.transport.abort()
        self._gone()
        if call is not None:
            self.client.fail(call, word, detail, now_ns)

    def _gone(self) -> None:
        if self.alive:
            self.alive = False
            self.client.lost(self)


def _unconnected(data: bytes) -> None:
    raise RuntimeError("not connected yet")

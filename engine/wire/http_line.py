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
from qs.engine.wire.heads import Frame

_now_ns = MONOTONIC.now_ns
# A connection that ends after so long without a request was too many.
IDLE_NS = 500_000_000


class Client(Protocol):
    """What a connection tells the client that it belongs to."""

    memory: Memory
    idle: deque[HttpLine]
    crowded: bool  # whether requests wait for a connection

    def made(self, line: HttpLine) -> None: ...

    def healthy(self) -> None:
        """The connection has brought its first answer."""

    def free(self, line: HttpLine) -> None: ...

    def stray(self, line: HttpLine) -> None: ...

    def ended(self, line: HttpLine) -> None: ...

    def lost(self, line: HttpLine, *, idle: bool) -> None:
        """`idle`: it had not been used for long."""

    def send_again(self, call: WireCall) -> None: ...

    def judge(self, call: WireCall, reader: AnswerReader) -> None: ...

    def fail(self, call: WireCall, word: str, detail: str, now_ns: int) -> None: ...


class HttpLine(asyncio.BufferedProtocol):
    """A protocol of the loop's transports. `call` is the request in hand; `alive` ends when the
    connection does, or when it is given up.
    """

    __slots__ = (
        "alive",
        "call",
        "client",
        "heard",
        "plain",
        "read_ns",
        "reader",
        "served",
        "transport",
        "unsent",
        "used_ns",
        "write",
    )

    def __init__(self, client: Client, reader: AnswerReader):
        self.client = client
        self.reader = reader
        self.call: WireCall | None = None
        self.alive = False
        self.served = False  # whether an answer has come over it
        self.unsent = False  # whether a part of the request is still to be sent
        self.plain = False  # served, and not unsent
        self.heard = False  # whether an answer before the answer has come for the request in hand
        self.used_ns = 0  # when its last answer was whole
        self.read_ns = 0  # when a read last brought a part of an answer that is not whole
        self.transport: Any = None
        self.write: Callable[[bytes], None] = _unconnected

    def connection_made(self, transport: Any) -> None:
        # With a limit of 0 a write goes to the socket at once in every uvloop (before 0.20 it puts
        # off what is below the limit), and pausing says that the socket has not taken all of it.
        # What is written with TLS is over such a limit at any time.
        if transport.get_extra_info("ssl_object") is None:
            transport.set_write_buffer_limits(high=0)
        self.transport = transport
        self.write = transport.write
        self.alive = True
        self.used_ns = _now_ns()
        self.client.made(self)

    def send(self, call: WireCall) -> None:
        """The connection must have none in hand. The first stamp of a request stays."""
        self.call = call
        call.line = self
        call.fresh = not self.served
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
        frame = reader.frame
        if whole and frame.plain and self.plain and not reader.odd:
            # As `_finish`, for what nearly all answers are.
            self.call = call.line = None
            call.last_ns = self.used_ns = now_ns
            call.status = frame.status
            call.head = reader.head
            call.body = reader.body
            client = self.client
            if client.crowded:
                client.free(self)
            else:
                client.idle.append(self)
            call.done(call)
            return
        self._more(call, whole, now_ns)

    def _more(self, call: WireCall, whole: bool, now_ns: int) -> None:
        """More of an answer has come, or all of one that is not like the others."""
        reader = self.reader
        self.read_ns = now_ns
        if reader.interim:  # what came until now was not the answer
            reader.interim = False
            self.heard = True
            call.first_ns = now_ns if whole or reader.begun else 0
        if whole:
            self._finish(call, now_ns)

    def eof_received(self) -> None:
        """The server has ended its side. The transport closes itself."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def pause_writing(self) -> None:
        """The socket has not taken all of the request; the loop keeps the rest. There is no other
        request until it is answered.
        """
        self.unsent = True
        self.plain = False

    def resume_writing(self) -> None:
        """The request is sent in full."""
        self.unsent = False
        self.plain = self.served

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
        self.call = call.line = None
        self.heard = reader.odd = False
        call.last_ns = self.used_ns = now_ns
        call.status = frame.status
        call.head = reader.head
        call.body = reader.body
        if frame.failure is not None or reader.too_large:
            client.judge(call, reader)
        if not self.served:
            self.served = True
            self.plain = not self.unsent
            client.healthy()
        if self._kept(frame):
            client.free(self)
        else:
            self._gone()
            self.transport.abort()
        taken, reader.taken = reader.taken, None
        call.done(call)
        if taken is not None:
            client.memory.give(taken)

    def _kept(self, frame: Frame) -> bool:
        """Whether there can be another request. Not if the server has answered without having read
        all of this one.
        """
        return frame.keep_alive and self.alive and not self.unsent

    def _end(self, exc: Exception | None) -> None:
        """The connection has ended, by its server or by a fault."""
        if not self.alive:
            return
        now_ns = _now_ns()
        self.transport.abort()  # it may still have a request to send
        call = self.call
        if call is None:
            self.client.ended(self)
            self._gone(idle=now_ns - self.used_ns > IDLE_NS)
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

    def _gone(self, *, idle: bool = False) -> None:
        if self.alive:
            self.alive = False
            self.client.lost(self, idle=idle)


def _unconnected(data: bytes) -> None:
    raise RuntimeError("not connected yet")

"""HTTP/1.1 over blocking sockets, one a thread: for what is asked beside a measurement, and as a
second opinion on the client of the event loop, with the same outcomes and stamps.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.wire.answers import AnswerReader, Memory, failure_of, judge
from qs.engine.wire.blocking_connecting import BlockingConnector
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import BadAnswer, Failure, WireError
from qs.engine.wire.heads import Heads
from qs.engine.wire.settings import ClientSettings
from qs.engine.wire.streams import StreamReader
from qs.engine.wire.sweep import to_ns

_now_ns = MONOTONIC.now_ns
_COUNTED = ("connections", "replaced", "sent again", "closed by server")
# A connection that was idle for longer is looked at before it is used again.
IDLE_NS = 1_000_000
# From here on it is no limit: FOREVER_NS less some time.
LONGEST_NS = FOREVER_NS >> 1


class BlockingHttp:
    """Requests to one server; each thread that asks has a connection of its own."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._connector = BlockingConnector(settings, ("http/1.1",))
        self._heads = Heads()
        self._whole_ns = to_ns(settings.timeout_s)
        self._byte_ns = to_ns(settings.first_byte_timeout_s)
        self._stall_ns = to_ns(settings.stall_timeout_s)
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._lines: set[_Line] = set()

    @property
    def facts(self) -> dict[str, str]:
        """As the HttpClient's, once there was a connection."""
        return self._connector.facts

    def open(self) -> None:
        """Connect this thread, to be told what is wrong before anything is asked. Raises
        WireError.
        """
        self._line()

    def ask(self, request: bytes) -> WireCall:
        """Send it and wait for the answer. A request that fails is a call with a failure. The body
        is the caller's.
        """
        call = WireCall(request, _nobody, None)
        call.issued_ns = _now_ns()
        try:
            line = self._line()
            call.request = self._connector.as_sent(request)
            if not self._exchange(line, call):
                self._count("sent again")
                call.resent = True
                self._exchange(self._line(), call)
        except WireError as fault:
            _fail(call, fault.failure or Failure.REFUSED, str(fault))
        call.request = request
        return call

    def close(self) -> None:
        """End the connections of all threads."""
        with self._lock:
            lines, self._lines = self._lines, set()
        for line in lines:
            line.close()

    def counts(self) -> dict[str, int]:
        """What has become of connections."""
        with self._lock:
            return dict(self._counts)

    def _line(self) -> _Line:
        """This thread's connection, a new one where there is none. Raises WireError."""
        line: _Line | None = getattr(self._local, "line", None)
        if line is not None and line.alive:
            if _now_ns() - line.used_ns < IDLE_NS or line.quiet():
                return line
            self._drop(line)
            self._count("closed by server")
        with self._lock:
            connected = self._connector.connect()
            memory = line.memory if line is not None else Memory()
            kind = StreamReader if self.settings.streamed else AnswerReader
            reader = kind(memory, self._heads, self.settings.most_kept_bytes)
            found = self._local.line = _Line(connected, reader, memory)
            self._lines.add(found)
            self._counts["connections" if line is None else "replaced"] += 1
        return found

    def _exchange(self, line: _Line, call: WireCall) -> bool:
        """Send and receive; False: the connection had ended before, so send it again."""
        call.fresh = not line.served
        call.sent_ns = call.sent_ns or _now_ns()
        due_ns = call.issued_ns + self._whole_ns
        byte_due_ns = call.sent_ns + self._byte_ns
        heard = False
        fault: OSError | None = None
        try:
            # Mostly the same as for the last request, so that nothing has to be set.
            at_once = call.sent_ns - call.issued_ns < IDLE_NS
            limit_ns = min(self._whole_ns, self._byte_ns)
            line.limit(limit_ns if at_once else min(due_ns, byte_due_ns) - _now_ns())
            try:
                line.socket.sendall(call.request)
            except (BrokenPipeError, ConnectionResetError) as broken:
                fault = broken  # an answer may have come all the same
            while True:
                size = line.socket.recv_into(line.reader.room)
                now_ns = _now_ns()
                if not size:
                    break
                heard = True
                call.first_ns = call.first_ns or now_ns
                if line.stream is not None:
                    line.stream.now_ns = now_ns
                whole = line.reader.received(size, call.request)
                if line.reader.interim:
                    line.reader.interim = False
                    call.first_ns = now_ns if whole or line.reader.begun else 0
                if whole:
                    self._finish(line, call, now_ns)
                    return True
                if min(limit_ns, self._stall_ns) < LONGEST_NS:
                    next_ns = now_ns + self._stall_ns if call.first_ns else byte_due_ns
                    line.limit(min(due_ns, next_ns) - now_ns)
        except BadAnswer as bad:
            self._drop(line)
            _fail(call, failure_of(bad), str(bad), line)
            return True
        except (BlockingIOError, TimeoutError):
            self._drop(line)
            _fail(call, *self._late(call, due_ns), line)
            return True
        except OSError as broken:  # of TLS too
            fault = broken
        return self._ended(line, call, fault, heard)

    def _late(self, call: WireCall, due_ns: int) -> tuple[str, str]:
        """Which time-out it was, and its detail."""
        if _now_ns() < due_ns:
            if call.first_ns and self._stall_ns < LONGEST_NS:
                return Failure.STALLED, f"no byte for {self._stall_ns / 1e9:g} s"
            if not call.first_ns and self._byte_ns < LONGEST_NS:
                return Failure.FIRST_BYTE_TIMEOUT, f"not within {self._byte_ns / 1e9:g} s"
        return Failure.TIMEOUT, f"not within {self._whole_ns / 1e9:g} s"

    def _ended(self, line: _Line, call: WireCall, fault: OSError | None, heard: bool) -> bool:
        """The server has ended the connection before the answer was whole, as far as one knew."""
        now_ns = _now_ns()
        self._drop(line)
        if fault is None and line.reader.ended():
            self._finish(line, call, now_ns)
            return True
        if not heard and line.served and not call.resent:
            return False
        when = line.reader.progress() if heard else "before it answered"
        reason = "the server closed the connection" if fault is None else f"{fault}"
        word = Failure.CLOSED if fault is None else Failure.RESET
        word = Failure.TLS if isinstance(fault, ssl.SSLError) else word
        _fail(call, word, f"{reason} {when}", line)
        return True

    def _finish(self, line: _Line, call: WireCall, now_ns: int) -> None:
        reader = line.reader
        frame = reader.frame
        call.last_ns = line.used_ns = now_ns
        call.status = frame.status
        call.head = reader.head
        call.body = reader.body
        if line.stream is not None:
            call.marks = line.stream.marks
        if reader.taken is None:
            call.body = bytes(call.body)  # the next answer is received into the same memory
        reader.taken = None
        line.served = True
        if frame.failure is not None or reader.too_large:
            judge(call, reader, self.settings.most_kept_bytes)
        if not frame.keep_alive:
            self._drop(line)

    def _drop(self, line: _Line) -> None:
        line.close()
        with self._lock:
            self._lines.discard(line)

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


class _Line:
    """A thread's connection."""

    def __init__(self, connected: socket.socket, reader: AnswerReader, memory: Memory):
        self.socket = connected
        self.reader = reader
        self.stream = reader if isinstance(reader, StreamReader) else None
        self.memory = memory
        self.alive = True
        self.served = False
        self.used_ns = 0
        self._limit_ns = FOREVER_NS  # none yet
        self._secure = isinstance(connected, ssl.SSLSocket)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def quiet(self) -> bool:
        """Whether it is open, and no bytes have come that nobody asked for. (TLS sends of its own,
        so that there one cannot know.)
        """
        return self._secure or not self._poll.poll(0)

    def limit(self, left_ns: int) -> None:
        """Have each send and receive end after so long. `settimeout` would poll before each of
        them; TLS knows nothing else.
        """
        if left_ns == self._limit_ns:
            return
        if left_ns <= 0:
            raise TimeoutError
        self._limit_ns = left_ns
        endless = left_ns >= LONGEST_NS
        if self._secure:
            self.socket.settimeout(None if endless else left_ns / 1e9)
            return
        seconds, rest_ns = divmod(0 if endless else left_ns, 1_000_000_000)
        value = struct.pack("ll", seconds, 0 if endless else max(rest_ns // 1000, 1))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def close(self) -> None:
        self.alive = False
        self.socket.close()


def _fail(call: WireCall, word: str, detail: str, line: _Line | None = None) -> None:
    if line is not None and line.stream is not None:
        line.stream.leave(call)
    call.last_ns = _now_ns()
    call.failure = word
    call.detail = detail


def _nobody(call: Any) -> None:
    """Who asks gets the call itself."""

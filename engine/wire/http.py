"""A client of HTTP/1.1 on an event loop: callbacks instead of tasks, stamps at the socket,
connections that are opened before anything is measured.

A request is bytes (`http_request`), an answer what came; a connection has one request in hand at a
time, since a server answers in order and a slow answer would sit in another's time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.wire.answers import AnswerReader, Memory, judge
from qs.engine.wire.calls import CallFuture, WireCall, settle
from qs.engine.wire.connecting import Connector
from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.heads import Heads
from qs.engine.wire.http_line import HttpLine
from qs.engine.wire.keeping import Keeper, open_many
from qs.engine.wire.settings import ClientSettings
from qs.engine.wire.stream_line import Habit, StreamLine
from qs.engine.wire.streams import StreamReader
from qs.engine.wire.sweep import Sweep, sweep_line, to_ns

_now_ns = MONOTONIC.now_ns
_COUNTED = ("opened while measuring", "replaced", "sent again", "closed by server", "stray bytes")


class HttpClient:
    """Requests to one server. Everything is called on the thread of the loop that `open` ran on."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.memory = Memory()
        self._heads = Heads()
        self._habit = Habit()
        self._connector = Connector(settings, ("http/1.1",))
        self._keeper = Keeper(self._open_one, self._down)
        self._sweep = Sweep(self._look)
        self.lines: set[HttpLine] = set()
        self.idle: deque[HttpLine] = deque()
        self._take = self.idle.pop if settings.order == "last" else self.idle.popleft
        # Requests that wait for a connection: those to be sent a second time, which take a new one
        # only, and all others.
        self._again: deque[WireCall] = deque()
        self._waiting: deque[WireCall] = deque()
        self.crowded = False
        self._forwarded = settings.proxy is not None and settings.tls is None
        self._whole_ns = to_ns(settings.timeout_s)
        self._byte_ns = to_ns(settings.first_byte_timeout_s)
        self._stall_ns = to_ns(settings.stall_timeout_s)
        self._closed = True
        self._opened = False  # whether `open` is through
        self._growing = 0  # connections that are being opened since all others were in use
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._final: dict[str, int] | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What was found when connecting: "address", "tls", and more where there is more to say."""
        return self._connector.facts

    async def open(self, count: int) -> None:
        """Look up the name, see to the limit on open files, and open so many connections, at most
        `settings.connections`; 0 is as many as that. Raises WireError, and nothing is left open
        then.
        """
        settings = self.settings
        count = min(count or settings.connections, settings.connections)
        await self._connector.prepare(settings.connections if self._grows else count)
        self._keeper = Keeper(self._open_one, self._down)
        self._sweep = Sweep(self._look)
        self._closed = self._opened = False
        try:
            await self._connector.first(self._line)
            await open_many(self._open_one, count - 1)
        except BaseException:
            await self.close()
            raise
        self._opened = True
        self._keeper.wanted = count
        self._keeper.restore()
        self._sweep.start()
        self.begin_measuring()

    def start(self, request: bytes, done: Callable[[Any], object]) -> WireCall:
        """Send it over an idle connection, or have it wait for one. `done(call)` is called once, on
        the loop's thread, and not before this has returned.
        """
        call = WireCall(request, done, self)
        if self._forwarded:
            call.request = self._connector.as_sent(request)
        while self.idle:
            line = self._take()
            if line.alive:
                line.call = call
                call.line = line
                call.fresh = not line.served
                call.issued_ns = call.sent_ns = _now_ns()
                line.write(call.request)
                return call
        call.issued_ns = _now_ns()
        self._wait(call)
        return call

    def call(self, request: bytes) -> asyncio.Future[WireCall]:
        """To be awaited. A request that fails is a call with a failure, not an exception; whoever
        is cancelled while he waits for it cancels the request. The body is kept.
        """
        future = CallFuture(loop=asyncio.get_running_loop())
        future.call = call = self.start(request, settle)
        call.future = future
        return future

    async def close(self) -> None:
        """End all connections; what is under way is cancelled."""
        self.end_measuring()
        self._closed = True
        self._sweep.stop()
        self._keeper.wanted = 0
        await self._keeper.close()
        for line in list(self.lines):
            call = line.call
            line.give_up()
            if call is not None:
                self.fail(call, Failure.CANCELLED, "the client was closed", _now_ns())
        self._fail_waiting(Failure.CANCELLED, "the client was closed")
        self.idle.clear()
        # The transports close their sockets in the loop's next passes.
        for _ in range(3):
            await asyncio.sleep(0)

    def begin_measuring(self) -> None:
        """`counts` counts from here on."""
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._final = None

    def end_measuring(self) -> None:
        """`counts` stays as it is now."""
        if self._final is None:
            self._final = self.counts()

    def counts(self) -> dict[str, int]:
        """What has become of connections while measuring."""
        if self._final is not None:
            return dict(self._final)
        return {"connections": len(self.lines), **self._counts}

    def cancel(self, call: WireCall) -> None:
        """The call's `cancel`."""
        self._give_up(call, Failure.CANCELLED, "", _now_ns())
        asyncio.get_running_loop().call_soon(call.done, call)

    # What a connection asks and tells.

    def made(self, line: HttpLine) -> None:
        if self._closed:
            line.give_up()
            return
        self.lines.add(line)
        self._keeper.made()
        if self._growing:
            self._growing -= 1
            self._counts["opened while measuring"] += 1
        elif self._opened:
            self._counts["replaced"] += 1
        self.free(line)

    def free(self, line: HttpLine) -> None:
        """It has no request in hand: the one that has waited longest is sent, if there is one."""
        call = self._next(line.served) if self.crowded else None
        if call is not None:
            line.send(call)
            return
        self.idle.append(line)

    def healthy(self) -> None:
        self._keeper.healthy()

    def send_again(self, call: WireCall) -> None:
        """The server had closed the connection before it could read the request."""
        call.resent = True
        self._counts["sent again"] += 1
        self._again.append(call)
        self.crowded = True

    def ended(self, line: HttpLine) -> None:
        """It had no request in hand."""
        self._counts["closed by server"] += 1

    def stray(self, line: HttpLine) -> None:
        """Bytes that nobody asked for: the next answer could not be told from them."""
        self._counts["stray bytes"] += 1
        line.give_up()

    def lost(self, line: HttpLine, *, idle: bool) -> None:
        if line in self.lines:
            self.lines.discard(line)
            self._keeper.lost(served=line.served, idle=idle)
            if len(self.idle) > 2 * len(self.lines) + 64:
                alive = [each for each in self.idle if each.alive]
                self.idle.clear()
                self.idle.extend(alive)

    def judge(self, call: WireCall, reader: AnswerReader) -> None:
        """An answer came, but not the one that was wanted."""
        judge(call, reader, self.settings.most_kept_bytes)

    def fail(self, call: WireCall, word: str, detail: str, now_ns: int) -> None:
        """No answer came, or not the whole of it."""
        call.last_ns = now_ns
        call.line = None
        self._fault(call, word, detail)
        self._tell(call)

    def _tell(self, call: WireCall) -> None:
        """Several calls may be ended in one go, and each is told, whatever the others do then."""
        try:
            call.done(call)
        except Exception as fault:
            context = {"message": "done raised", "exception": fault}
            asyncio.get_running_loop().call_exception_handler(context)

    def _fault(self, call: WireCall, word: str, detail: str) -> None:
        call.failure = word
        call.detail = detail

    # Waiting for a connection.

    @property
    def _grows(self) -> bool:
        return self.settings.open_while_measuring

    def _wait(self, call: WireCall) -> None:
        if self._closed:
            call.last_ns = _now_ns()
            self._fault(call, Failure.CLOSED, "the client is closed")
            asyncio.get_running_loop().call_soon(call.done, call)
            return
        self._waiting.append(call)
        self.crowded = True
        keeper = self._keeper
        keeper.needed()
        if self._grows and keeper.wanted < self.settings.connections:
            if len(self._waiting) > keeper.opening:
                keeper.wanted += 1
                self._growing += 1
                keeper.restore()

    def _next(self, served: bool) -> WireCall | None:
        """The call whose turn it is; those that were given up meanwhile are passed over."""
        for line in (self._waiting,) if served else (self._again, self._waiting):
            while line:
                call = line.popleft()
                if not call.last_ns:
                    return call
        self.crowded = bool(self._again)
        return None

    def _down(self, fault: WireError) -> None:
        """There is no new connection; if no other is left either, nobody waits for one."""
        everybody = not self._keeper.live
        self._fail_waiting(fault.failure, str(fault), everybody=everybody)

    def _fail_waiting(self, word: str, detail: str, *, everybody: bool = True) -> None:
        now_ns = _now_ns()
        waiting = [*self._again, *(self._waiting if everybody else ())]
        self._again.clear()
        if everybody:
            self._waiting.clear()
        for call in waiting:
            if not call.last_ns:
                self.fail(call, word, detail, now_ns)

    # Connections.

    def _line(self) -> HttpLine:
        most = self.settings.most_kept_bytes
        if self.settings.streamed:
            reader = StreamReader(self.memory, self._heads, most)
            return StreamLine(self, reader, self._habit)
        return HttpLine(self, AnswerReader(self.memory, self._heads, most))

    async def _open_one(self) -> HttpLine:
        return await self._connector.connect(self._line)

    # Time-outs.

    def _look(self, now_ns: int) -> int | None:
        """End what has taken too long; when to look again."""
        if self._whole_ns == self._byte_ns == self._stall_ns == FOREVER_NS:
            return None
        soonest = now_ns + min(self._whole_ns, self._byte_ns, self._stall_ns)
        for line in list(self.lines):
            call = line.call
            if call is None:
                continue
            due = call.issued_ns + self._whole_ns
            if due <= now_ns:
                self._late(call, Failure.TIMEOUT, self.settings.timeout_s, now_ns)
                continue
            soonest = min(soonest, due)
            if not call.first_ns:
                due = call.sent_ns + self._byte_ns
                word, limit_s = Failure.FIRST_BYTE_TIMEOUT, self.settings.first_byte_timeout_s
            else:
                due = line.read_ns + self._stall_ns
                word, limit_s = Failure.STALLED, self.settings.stall_timeout_s
            if due <= now_ns:
                self._late(call, word, limit_s, now_ns)
                continue
            soonest = min(soonest, due)

        def late(call: WireCall) -> None:
            self._late(call, Failure.TIMEOUT, self.settings.timeout_s, now_ns)

        lines = (self._again, self._waiting)
        return min(soonest, *(sweep_line(each, self._whole_ns, now_ns, late) for each in lines))

    def _late(self, call: WireCall, word: str, limit_s: float | None, now_ns: int) -> None:
        said = "no byte for" if word == Failure.STALLED else "not within"
        self._give_up(call, word, f"{said} {limit_s:g} s", now_ns)
        self._tell(call)

    def _give_up(self, call: WireCall, word: str, detail: str, now_ns: int) -> None:
        """With its connection, if it has one: its answer may still come there."""
        line, call.line = call.line, None
        call.last_ns = now_ns
        self._fault(call, word, detail)
        if line is not None:
            line.give_up()

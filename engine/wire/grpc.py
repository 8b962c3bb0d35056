"""A client of unary gRPC on an event loop: callbacks instead of tasks, stamps at the socket,
connections that are opened before anything is measured.

A request is a `GrpcRequest`, encoded once; several may be under way on a connection at a time,
`settings.streams` of them or as many as the server allows, each on a stream of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.wire.answers import Memory
from qs.engine.wire.calls import CallFuture, WireCall, settle
from qs.engine.wire.connecting import Connector
from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.frames import NO_ERROR, goaway
from qs.engine.wire.grpc_answers import Fields
from qs.engine.wire.grpc_calls import GrpcCall
from qs.engine.wire.grpc_line import GrpcLine
from qs.engine.wire.grpc_requests import GrpcRequest
from qs.engine.wire.keeping import Keeper, open_many
from qs.engine.wire.settings import ClientSettings
from qs.engine.wire.sweep import Sweep, sweep_line, to_ns

_now_ns = MONOTONIC.now_ns
# Of so many kinds of failures the first one's detail is told.
MOST_DETAILS = 64
_COUNTED = (
    "opened while measuring",
    "replaced",
    "sent again",
    "closed by server",
    "waited for a window",
)


class GrpcClient:
    """Requests to one server. Everything is called on the thread of the loop that `open` ran on."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.memory = Memory()
        # blocks of headers that mean the same on all connections
        self.known: dict[bytes, Fields] = {}
        self.lines: set[GrpcLine] = set()
        self._connector = Connector(settings, ("h2",))
        self._keeper = Keeper(self._open_one, self._down)
        self._sweep = Sweep(self._look)
        # connections that can take one request more
        self._ready: deque[GrpcLine] = deque()
        self._take = self._ready.pop if settings.order == "last" else self._ready.popleft
        # Requests that wait for a connection: those to be sent a second time, which take a newer
        # one only, and all others.
        self._again: deque[GrpcCall] = deque()
        self._waiting: deque[GrpcCall] = deque()
        self._made = 0
        self._whole_ns = to_ns(settings.timeout_s)
        self._byte_ns = to_ns(settings.first_byte_timeout_s)
        self._opened = False
        self._growing = 0
        self._told: set[str] = set()
        self._closed = True
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._final: dict[str, int] | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What was found when connecting: "address", "tls", "streams", and more where there is more
        to say.
        """
        return self._connector.facts

    async def open(self, count: int) -> None:
        """Look up the name, see to the limit on open files, and open as many connections as `count`
        requests at a time need, at most `settings.connections`; 0 is as many as that. Raises
        WireError, and nothing is left open then.
        """
        settings = self.settings
        if settings.proxy is not None and settings.tls is None:
            raise WireError("no gRPC through a proxy without TLS: proxies pass on HTTP/1.1")
        most = settings.connections
        needed = min(-(-count // settings.streams) or most, most)
        await self._connector.prepare(most if settings.open_while_measuring else needed)
        self._closed = False
        try:
            first = await self._connector.first(self._line)
            await self._greet(first)
            if first.limit < settings.streams:
                self.facts["streams"] = f"{first.limit}, as the server allows"
                needed = min(-(-count // first.limit) or most, most)
            await open_many(self._open_one, needed - 1)
        except BaseException:
            await self.close()
            raise
        self._opened = True
        self._keeper.wanted = needed
        self._keeper.restore()
        self._sweep.start()
        self.begin_measuring()

    def start(self, request: GrpcRequest, done: Callable[[Any], object]) -> GrpcCall:
        """Send it over a connection that has a stream to spare, or have it wait for one.
        `done(call)` is called once, on the loop's thread, and not before this has returned.
        """
        call = GrpcCall(request, done, self)
        if self._ready:
            line = self._take()
            line.listed = False
            line.begin(call)
            if len(line.calls) < line.limit and not line.draining:
                line.listed = True
                self._ready.append(line)
        else:
            call.issued_ns = _now_ns()
            self._wait(call)
        return call

    def call(self, request: GrpcRequest) -> asyncio.Future[WireCall]:
        """To be awaited. A request that fails is a call with a failure, not an exception;
        cancelling who waits for it cancels the request. The body is kept.
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
        self._ready.clear()
        now_ns = _now_ns()
        for line in list(self.lines):
            calls = list(line.calls.values())
            line.leave(goaway(0, NO_ERROR))
            for call in calls:
                self.end(call, None, Failure.CANCELLED, "the client was closed", now_ns)
        self._fail_waiting(Failure.CANCELLED, "the client was closed")
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
        """What has become of connections and requests while measuring."""
        if self._final is not None:
            return dict(self._final)
        return {"connections": len(self.lines), **self._counts}

    def cancel(self, call: GrpcCall) -> None:
        """The call's `cancel`: its stream is reset, so that the server may stop working on it."""
        line = call.line
        if line is not None:
            line.abandon(call)
        self._soon(call, Failure.CANCELLED, "")
        if line is not None:
            self.free(line)

    # What a connection tells.

    def count(self, what: str, more: int = 1) -> None:
        self._counts[what] += more

    def healthy(self) -> None:
        self._keeper.healthy()

    def free(self, line: GrpcLine) -> None:
        """The connection may have room: those that have waited longest are sent."""
        if line.draining or line.lost:
            line.close_if_drained()
            return
        while len(line.calls) < line.limit and not line.draining:
            call = self._next(line)
            if call is None:
                break
            line.begin(call)
        room = len(line.calls) < line.limit and not line.draining
        if room and not line.listed:
            self._ready.append(line)
        elif line.listed and not room:
            self._ready.remove(line)
        line.listed = room

    def end(
        self, call: GrpcCall, line: GrpcLine | None, failure: str | None, detail: str, now_ns: int
    ) -> None:
        """The call, which is on no connection any more, has ended. Those that wait get its stream
        before the caller gets the answer, so that what he may start now comes behind them.
        """
        call.last_ns = now_ns
        if failure is not None:
            self._fault(call, failure, detail)
        if line is not None:
            if self._waiting or self._again or not line.listed:
                self.free(line)
        call.done(call)

    def again(self, call: GrpcCall, failure: str, detail: str, *, anew: bool = False) -> None:
        """The server has not worked on the call: it is sent once more, before all others. `anew`:
        over a connection that is still to be made, as those there are may be about to end too.
        """
        if call.resent or self._closed:
            self.end(call, None, failure, detail, _now_ns())
            return
        call.forget()
        call.resent = True
        self._counts["sent again"] += 1
        if anew:
            call.after = self._made
            self._again.append(call)
        else:
            self._waiting.appendleft(call)

    def drain(self, line: GrpcLine) -> None:
        """The connection takes no further requests, and another one takes its place."""
        if line.draining:
            return
        line.draining = True
        if line not in self.lines:
            return
        self._unlist(line)
        self._keeper.lost(served=line.served)

    def lost(self, line: GrpcLine, fault: Exception | None) -> None:
        """The connection has ended, and not by us."""
        calls = list(line.calls.values())
        line.calls.clear()
        if not line.draining:
            self._counts["closed by server"] += 1
            self.drain(line)
        self.lines.discard(line)
        if line.fault is not None:
            failure, detail = Failure.BAD_ANSWER, f"{line.fault}"
        else:
            failure = Failure.CLOSED if fault is None else Failure.RESET
            detail = "the server closed the connection" if fault is None else f"{fault}"
        now_ns = _now_ns()
        for call in calls:
            call.line = None
            if line.served and not call.first_ns and line.fault is None:
                self.again(call, failure, f"{detail} before it answered", anew=True)
            else:
                self.end(call, None, failure, detail, now_ns)

    def _unlist(self, line: GrpcLine) -> None:
        if line.listed:
            line.listed = False
            self._ready.remove(line)

    def _fault(self, call: GrpcCall, failure: str, detail: str) -> None:
        call.failure = failure
        if failure not in self._told or len(self._told) < MOST_DETAILS:
            call.detail = detail
            self._told.add(failure)

    # Waiting for a connection.

    def _wait(self, call: GrpcCall) -> None:
        if self._closed:
            self._soon(call, Failure.CLOSED, "the client is closed")
            return
        self._waiting.append(call)
        keeper, settings = self._keeper, self.settings
        if settings.open_while_measuring and keeper.wanted < settings.connections:
            if len(self._waiting) > keeper.opening * settings.streams:
                keeper.wanted += 1
                self._growing += 1
                keeper.restore()

    def _next(self, line: GrpcLine) -> GrpcCall | None:
        """The call whose turn it is; those that were given up meanwhile are passed over."""
        again, waiting = self._again, self._waiting
        while again and again[0].after < line.number:
            call = again.popleft()
            if not call.last_ns:
                return call
        while waiting:
            call = waiting.popleft()
            if not call.last_ns:
                return call
        return None

    def _down(self, fault: WireError) -> None:
        """There is no new connection; if no other is left either, nobody waits for one."""
        everybody = not self._keeper.live
        self._fail_waiting(fault.failure, str(fault), everybody=everybody)

    def _fail_waiting(self, failure: str, detail: str, *, everybody: bool = True) -> None:
        now_ns = _now_ns()
        waiting = [*self._again, *(self._waiting if everybody else ())]
        self._again.clear()
        if everybody:
            self._waiting.clear()
        for call in waiting:
            if not call.last_ns:
                self.end(call, None, failure, detail, now_ns)

    # Connections.

    def _line(self) -> GrpcLine:
        return GrpcLine(self)

    async def _open_one(self) -> None:
        await self._greet(await self._connector.connect(self._line))

    async def _greet(self, line: GrpcLine) -> None:
        """Wait until the server has said what it allows. Raises WireError."""
        limit_s = self.settings.connect_timeout_s
        where = self.facts["address"]
        try:
            fault = await asyncio.wait_for(asyncio.shield(line.ready), limit_s)
        except asyncio.TimeoutError:
            line.leave()
            raise WireError(
                f"no gRPC at {where}: it allows no stream of HTTP/2 within {limit_s:g} s",
                Failure.CONNECT_TIMEOUT,
            ) from None
        except BaseException:
            line.leave()
            raise
        if line.lost or line.draining:
            fault = fault or "it closed the connection at once"
        if fault:
            kind = Failure.BAD_ANSWER if line.fault else Failure.CLOSED
            raise WireError(f"no gRPC at {where}: {fault}", kind)
        if self._closed:
            line.leave()
            return
        self._made += 1
        line.number = self._made
        self.lines.add(line)
        self._keeper.made()
        if self._growing:
            self._growing -= 1
            self._counts["opened while measuring"] += 1
        elif self._opened:
            self._counts["replaced"] += 1
        self.free(line)

    # Time-outs.

    def _soon(self, call: GrpcCall, failure: str, detail: str) -> None:
        """End it in the loop's next pass, as who gives it up may not expect `done` yet."""
        call.last_ns = _now_ns()
        self._fault(call, failure, detail)
        asyncio.get_running_loop().call_soon(call.done, call)

    def _look(self, now_ns: int) -> int | None:
        """End what has taken too long; when to look again."""
        if self._whole_ns == self._byte_ns == FOREVER_NS:
            return None
        soonest = now_ns + min(self._whole_ns, self._byte_ns)
        for line in list(self.lines):
            for call in list(line.calls.values()):
                due = call.issued_ns + self._whole_ns
                if due <= now_ns:
                    self._late(call, Failure.TIMEOUT, self.settings.timeout_s, now_ns)
                    continue
                if not call.first_ns:
                    byte_due = call.sent_ns + self._byte_ns
                    if byte_due <= now_ns:
                        limit_s = self.settings.first_byte_timeout_s
                        self._late(call, Failure.FIRST_BYTE_TIMEOUT, limit_s, now_ns)
                        continue
                    due = min(due, byte_due)
                soonest = min(soonest, due)

        def late(call: GrpcCall) -> None:
            self._late(call, Failure.TIMEOUT, self.settings.timeout_s, now_ns)

        lines = (self._again, self._waiting)
        return min(soonest, *(sweep_line(each, self._whole_ns, now_ns, late) for each in lines))

    def _late(self, call: GrpcCall, failure: str, limit_s: float | None, now_ns: int) -> None:
        line = call.line
        if line is not None:
            line.abandon(call)
        self.end(call, line, failure, f"not within {limit_s:g} s", now_ns)

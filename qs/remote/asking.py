"""Single requests that are waited for: readiness, descriptions, accuracy, the idle answers that
others are held to. Nothing here is measured, unless the user asks for the blocking client.

They go over our own client on a loop in a thread of its own, or over the one that was asked for: a
blocking socket, or grpcio, for each thread.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from dataclasses import replace
from typing import Any

from qs.base.words import number
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import Failure, WireError, shown
from qs.engine.wire.settings import ClientSettings
from qs.remote.address import Transport
from qs.remote.protocol import NotReady, Request

STOP_S = 10.0


class Asking:
    """Sends requests from any thread and waits for their answers."""

    def __init__(self, settings: ClientSettings, transport: Transport, client: str) -> None:
        self.settings = settings
        self.transport = transport
        self.client = client
        self._here = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()

    def ask(self, request: Request, limit_s: float | None = None) -> WireCall:
        """The call, ended; its body is kept. `limit_s` bounds the wait with our own client; others
        have the settings' time-out alone.
        """
        if self.client == "lean":
            return _told(self._on_loop().ask(request, limit_s))
        if not hasattr(self._here, "client"):
            self._here.client = self._blocking()
            with self._lock:
                self._all.append(self._here.client)
        call: WireCall = self._here.client.ask(request)
        if isinstance(call.body, memoryview):
            call.body = bytes(call.body)
        return _told(call)

    @property
    def facts(self) -> dict[str, str]:
        """Of the first connection: "address", "tls"; as the client tells them."""
        with self._lock:
            return dict(getattr(self._all[0], "facts", {})) if self._all else {}

    def close(self) -> None:
        """End all connections. Nothing is asked afterwards."""
        with self._lock:
            clients, self._all = self._all, []
        for client in clients:
            client.close()
        self._here = threading.local()

    def _blocking(self) -> Any:
        if self.transport == "grpc":
            from qs.engine.wire.grpcio import BlockingGrpc

            return BlockingGrpc(self.settings)
        from qs.engine.wire.blocking import BlockingHttp

        return BlockingHttp(self.settings)

    def _on_loop(self) -> _OnLoop:
        with self._lock:
            if not self._all:
                self._all.append(_OnLoop(self.settings, self.transport))
            found: _OnLoop = self._all[0]
            return found


class _OnLoop:
    """Our own client on an event loop in a thread."""

    def __init__(self, settings: ClientSettings, transport: Transport) -> None:
        self.settings = replace(settings, open_while_measuring=True)
        self.transport = transport
        self._loop = asyncio.new_event_loop()
        self._opening = asyncio.Lock()
        self._clients: list[Any] = []  # none, or one
        work = (self._loop, self._clients)
        thread = threading.Thread(target=_run, args=work, name="ask", daemon=True)
        thread.start()
        # A backend may be dropped without being told: its thread and sockets go with it.
        self.close = weakref.finalize(self, _end, self._loop, thread)
        self.close.atexit = False

    def ask(self, request: Request, limit_s: float | None) -> WireCall:
        asked = self._asked(request, limit_s)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()

    async def _asked(self, request: Request, limit_s: float | None) -> WireCall:
        try:
            client = await self._opened()
        except WireError as error:
            if not error.failure:  # our own limits and settings: no server will change them
                raise NotReady(str(error), final=True) from None
            return _failed(request, error.failure, str(error))
        try:
            call: WireCall = await asyncio.wait_for(client.call(request), limit_s)
        except asyncio.TimeoutError:
            words = f"no answer within {number(limit_s)} s"
            return _failed(request, Failure.TIMEOUT, words)
        if isinstance(call.body, memoryview):
            call.body = bytes(call.body)
        return call

    async def _opened(self) -> Any:
        """The client, opened by whoever comes first; WireError."""
        async with self._opening:
            if not self._clients:
                client = client_of(self.settings, self.transport)
                try:
                    await client.open(1)
                except BaseException:
                    await client.close()
                    raise
                self._clients.append(client)
            return self._clients[0]

    @property
    def facts(self) -> dict[str, str]:
        return dict(self._clients[0].facts) if self._clients else {}


def _told(call: WireCall) -> WireCall:
    """The call, with what the server said of a failure: a client keeps that of the first one of a
    kind alone.
    """
    if call.status and call.failure == Failure.http(call.status) and not call.detail:
        call.detail = shown(call.body)
    return call


def _run(loop: asyncio.AbstractEventLoop, clients: list[Any]) -> None:
    """The thread: until the loop is stopped; then nothing of it is left."""
    loop.run_forever()
    for client in clients:
        loop.run_until_complete(client.close())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """The collector of garbage may call it anywhere, in the thread itself too."""
    loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(STOP_S)


def _failed(request: Request, failure: str, detail: str) -> WireCall:
    call = WireCall(request, lambda call: None, None)
    call.failure, call.detail = failure, detail
    return call


def client_of(settings: ClientSettings, transport: Transport) -> Any:
    """Our own client of this transport, not yet opened."""
    if transport == "grpc":
        from qs.engine.wire.grpc import GrpcClient

        return GrpcClient(settings)
    from qs.engine.wire.http import HttpClient

    return HttpClient(settings)

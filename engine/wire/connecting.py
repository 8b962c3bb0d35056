"""How a client comes to its connections: name, file limit and TLS once before the run, then one
connection at a time, straight or through a proxy.

What runs over a connection (HTTP/1.1, HTTP/2) is the protocol's, which the caller makes.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from qs.engine.wire.failures import Failure, WireError, shown
from qs.engine.wire.limits import allow_connections
from qs.engine.wire.resolving import Address, resolve
from qs.engine.wire.settings import ClientSettings
from qs.engine.wire.tls import tls_context, tls_facts, tls_fault

Made = TypeVar("Made", bound=asyncio.BufferedProtocol)
MOST_PROXY_BYTES = 16 << 10


class Connector:
    """Opens connections to the server of `settings`. `facts` says what was found: "address",
    "passed over", "tls", "certificate", "proxy".
    """

    def __init__(self, settings: ClientSettings, protocols: Sequence[str]):
        self.settings = settings
        self.facts: dict[str, str] = {}
        self.tunnel = settings.proxy is not None and settings.tls is not None
        self._protocols = tuple(protocols)
        self._context: ssl.SSLContext | None = None
        self._addresses: tuple[Address, ...] = ()
        self._proxy = Proxy.of(settings.proxy)

    async def prepare(self, connections: int) -> None:
        """All that is done once: the file limit for so many connections, certificates, the name.
        Raises WireError.
        """
        settings = self.settings
        allow_connections(connections)
        if settings.tls is not None:
            self._context = tls_context(settings.tls, self._protocols)
        proxy = self._proxy
        where = (settings.host, settings.port) if proxy is None else (proxy.host, proxy.port)
        self._addresses = await resolve(*where)
        self.facts = {"address": str(self._addresses[0])}
        if proxy is not None:
            self.facts = {"address": origin(settings), "proxy": str(self._addresses[0])}

    async def first(self, make: Callable[[], Made]) -> Made:
        """The first connection. Where the name has several addresses they are tried in turn, and
        the one that works is kept for all others. Raises WireError.
        """
        passed = []
        for address in self._addresses:
            try:
                made = await self.connect(make, address)
            except WireError as fault:
                if address == self._addresses[-1] or fault.failure == Failure.TLS:
                    raise
                passed.append(f"{address} ({fault.failure})")
                continue
            self._addresses = (address,)
            self.facts["address" if self._proxy is None else "proxy"] = str(address)
            if passed:
                self.facts["passed over"] = ", ".join(passed)
            return made
        raise WireError("no address to connect to", Failure.UNRESOLVED)

    async def connect(self, make: Callable[[], Made], address: Address | None = None) -> Made:
        """One connection more; its protocol has had `connection_made`. Raises WireError."""
        address = address or self._addresses[0]
        limit_s = self.settings.connect_timeout_s
        where = str(address) if self._proxy is None else f"the proxy {address}"
        try:
            return await asyncio.wait_for(self._open(make, address), limit_s)
        except asyncio.TimeoutError as fault:
            message = f"no connection to {where} within {limit_s:g} s"
            raise WireError(message, Failure.CONNECT_TIMEOUT) from fault
        except ssl.SSLError as fault:
            raise tls_fault(fault, where) from fault
        except OSError as fault:
            raise connect_fault(fault, where) from fault

    async def _open(self, make: Callable[[], Made], address: Address) -> Made:
        loop = asyncio.get_running_loop()
        settings, context = self.settings, self._context
        secure: dict[str, Any] = {}
        if context is not None:
            secure["server_hostname"] = server_name(settings)
            secure["ssl_handshake_timeout"] = settings.connect_timeout_s
        if context is None or not self.tunnel:
            transport, made = await loop.create_connection(
                make, address.ip, address.port, ssl=context, **secure
            )
        else:
            proxy = self._proxy
            assert proxy is not None
            outer, tunnel = await loop.create_connection(_Tunnel, address.ip, address.port)
            try:
                outer.write(proxy.connect_request(origin(settings)))
                await tunnel.agreed
                made = make()
                inner = await loop.start_tls(outer, made, context, **secure)
                assert inner is not None
                transport = inner
                made.connection_made(transport)
            except BaseException:
                outer.abort()
                raise
        if settings.tls is not None and "tls" not in self.facts:
            self.facts.update(tls_facts(transport.get_extra_info("ssl_object"), settings.tls))
        return made

    def as_sent(self, request: bytes) -> bytes:
        """An HTTP request as it goes out: changed only for a proxy that reads it."""
        if self._proxy is None or self.tunnel:
            return request
        return self._proxy.forwarded(request, origin(self.settings))


class Proxy:
    """Where the proxy is, and what it is told."""

    def __init__(self, url: str):
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 0
        self.authorization = ""
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.authorization = "Basic " + b64encode(secret.encode()).decode()

    @classmethod
    def of(cls, url: str | None) -> Proxy | None:
        return None if url is None else cls(url)

    def connect_request(self, origin: str) -> bytes:
        """Asks for a way through to the origin, for TLS."""
        return f"CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n{self._line()}\r\n".encode()

    def forwarded(self, request: bytes, origin: str) -> bytes:
        """The request with its target in absolute form, for a proxy that sends it on itself."""
        method, rest = request.split(b" ", 1)
        line, rest = rest.split(b"\r\n", 1)
        target = b" http://" + origin.encode() + line
        return b"".join((method, target, b"\r\n", self._line().encode(), rest))

    def _line(self) -> str:
        return f"Proxy-Authorization: {self.authorization}\r\n" if self.authorization else ""


class _Tunnel(asyncio.Protocol):
    """The beginning of a connection through a proxy: until it says that it is through."""

    def __init__(self) -> None:
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > MOST_PROXY_BYTES:
                self._refuse("its answer has no end")
            return
        fault = connect_answer_fault(self._head)
        if fault:
            self._refuse(fault)
        elif not self.agreed.done():
            self.agreed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refuse("it closed the connection")

    def _refuse(self, reason: str) -> None:
        if not self.agreed.done():
            message = f"the proxy does not connect to the server: {reason}"
            self.agreed.set_exception(WireError(message, Failure.PROXY))


def connect_answer_fault(head: bytes) -> str:
    """What is wrong with a proxy's answer to CONNECT; "" if the way is free."""
    line = head.split(b"\r\n", 1)[0]
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return f"it does not answer in HTTP/1.1 but with {shown(line)!r}"
    return "" if words[1][:1] == b"2" and len(words[1]) == 3 else f"it answers {shown(line)!r}"


def connect_fault(fault: OSError, where: str) -> WireError:
    """One sentence on why there is no connection."""
    if isinstance(fault, TimeoutError):
        return WireError(f"no connection to {where}: it timed out", Failure.CONNECT_TIMEOUT)
    if isinstance(fault, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return WireError(f"no connection to {where}: it was reset", Failure.RESET)
    if isinstance(fault, ConnectionRefusedError):
        return WireError(f"no connection to {where}: it is refused", Failure.REFUSED)
    reason = fault.strerror or str(fault)
    return WireError(f"no connection to {where}: {reason}", Failure.REFUSED)


def origin(settings: ClientSettings) -> str:
    """The server as a Host header names it: "127.0.0.1:8000", "[::1]:8000"."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def server_name(settings: ClientSettings) -> str:
    """The name that the server's certificate must bear."""
    return (settings.tls.server_name if settings.tls else None) or settings.host

"""A blocking socket to the server, found and secured as `connecting` does it on an event loop."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Sequence

from qs.engine.wire.connecting import (
    MOST_PROXY_BYTES,
    Proxy,
    connect_answer_fault,
    connect_fault,
    origin,
    server_name,
)
from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.resolving import Address, resolve_blocking
from qs.engine.wire.settings import ClientSettings
from qs.engine.wire.tls import tls_context, tls_facts, tls_fault


class BlockingConnector:
    """Opens sockets to the server of `settings`; `facts` as the Connector's. Used by one thread at
    a time.
    """

    def __init__(self, settings: ClientSettings, protocols: Sequence[str]):
        self.settings = settings
        self.facts: dict[str, str] = {}
        self._protocols = tuple(protocols)
        self._context: ssl.SSLContext | None = None
        self._addresses: tuple[Address, ...] = ()
        self._proxy = Proxy.of(settings.proxy)

    def connect(self) -> socket.socket:
        """A connection, which is blocking and sends without delay. Raises WireError."""
        if not self._addresses:
            self._prepare()
        passed = []
        for address in self._addresses:
            try:
                connected = self._connect(address)
            except WireError as fault:
                if address == self._addresses[-1] or fault.failure == Failure.TLS:
                    raise
                passed.append(f"{address} ({fault.failure})")
                continue
            if passed:
                self.facts["passed over"] = ", ".join(passed)
                self.facts["address" if self._proxy is None else "proxy"] = str(address)
            self._addresses = (address,)
            return connected
        raise WireError("no address to connect to", Failure.UNRESOLVED)

    def as_sent(self, request: bytes) -> bytes:
        """See the Connector's."""
        if self._proxy is None or self._context is not None:
            return request
        return self._proxy.forwarded(request, origin(self.settings))

    def _prepare(self) -> None:
        settings, proxy = self.settings, self._proxy
        if settings.tls is not None:
            self._context = tls_context(settings.tls, self._protocols)
        where = (settings.host, settings.port) if proxy is None else (proxy.host, proxy.port)
        self._addresses = resolve_blocking(*where)
        self.facts["address"] = str(self._addresses[0])
        if proxy is not None:
            self.facts = {"address": origin(settings), "proxy": str(self._addresses[0])}

    def _connect(self, address: Address) -> socket.socket:
        limit_s = self.settings.connect_timeout_s
        deadline_s = time.monotonic() + limit_s
        where = str(address) if self._proxy is None else f"the proxy {address}"
        made: socket.socket | None = None
        try:
            made = socket.create_connection((address.ip, address.port), limit_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy is not None and self._context is not None:
                self._through(made, self._proxy, deadline_s)
            if self._context is not None:
                made = self._secured(made, self._context, deadline_s)
            made.settimeout(None)
        except BaseException as fault:
            if made is not None:
                made.close()
            if isinstance(fault, TimeoutError):
                message = f"no connection to {where} within {limit_s:g} s"
                raise WireError(message, Failure.CONNECT_TIMEOUT) from fault
            if isinstance(fault, ssl.SSLError):
                raise tls_fault(fault, where) from fault
            if isinstance(fault, OSError):
                raise connect_fault(fault, where) from fault
            raise
        return made

    def _through(self, made: socket.socket, proxy: Proxy, deadline_s: float) -> None:
        """Have the proxy connect us."""
        made.sendall(proxy.connect_request(origin(self.settings)))
        head = b""
        while b"\r\n\r\n" not in head:
            made.settimeout(_left_s(deadline_s))
            # One by one: what follows is the server's.
            data = made.recv(1)
            head += data
            if not data or len(head) > MOST_PROXY_BYTES:
                reason = "its answer has no end" if data else "it closed the connection"
                raise _not_through(reason)
        fault = connect_answer_fault(head)
        if fault:
            raise _not_through(fault)

    def _secured(
        self, made: socket.socket, context: ssl.SSLContext, deadline_s: float
    ) -> ssl.SSLSocket:
        """The connection with TLS, within the deadline however slowly the server sends."""
        made.setblocking(False)
        name = server_name(self.settings)
        secure = context.wrap_socket(made, server_hostname=name, do_handshake_on_connect=False)
        try:
            while True:
                try:
                    secure.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    select.select([secure], [], [], _left_s(deadline_s))
                except ssl.SSLWantWriteError:
                    select.select([], [secure], [], _left_s(deadline_s))
        except BaseException:
            secure.close()
            raise
        assert self.settings.tls is not None
        self.facts.update(tls_facts(secure, self.settings.tls))
        return secure


def _left_s(deadline_s: float) -> float:
    left = deadline_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _not_through(reason: str) -> WireError:
    return WireError(f"the proxy does not connect to the server: {reason}", Failure.PROXY)

"""Which server, and how a client keeps its connections to it: plain values, sent to whichever
process will run the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from qs.engine.checks import Check, choice, count, faults_of, flag, instance, times

MOST_CONNECTIONS = 65_536
# A connection to a server has more of them in flight than this nowhere.
MOST_STREAMS = 1 << 20
MOST_KEPT = 1 << 40


@dataclass(frozen=True)
class Tls:
    """How the server proves who it is, and the client where it is asked to. Paths are PEM files."""

    ca: str | None = None  # whom to trust in place of the system's authorities
    verify: bool = True
    server_name: str | None = None  # the name to send and to check, in place of the host's
    certificate: str | None = None  # the client's own, and its key where that is a file of its own
    key: str | None = None

    def faults(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        found = faults_of(
            *(_text(f"tls.{name}", getattr(self, name)) for name in self.__dataclass_fields__
              if name != "verify" and getattr(self, name) is not None),
            flag("tls.verify", self.verify),
        )  # fmt: skip
        if self.key is not None and self.certificate is None:
            found.append("tls.key: a key without tls.certificate is not allowed")
        return found


@dataclass(frozen=True)
class ClientSettings:
    """A client of one address. Times in seconds; None: no such limit."""

    host: str
    port: int
    tls: Tls | None = None
    # How many connections at most. `open` is told how many to open: one per client in closed loop,
    # all of them in open loop.
    connections: int = 256
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float | None = None  # from sent
    timeout_s: float | None = None  # from issued to the last byte
    stall_timeout_s: float | None = None  # HTTP: without a byte, within an answer
    # Of an answer with more bytes than that nothing is kept, and it has failed.
    most_kept_bytes: int = 64 << 20
    # Which idle connection is taken: the one used last (few are kept busy, so that none that the
    # server has closed meanwhile is met), or the one used longest ago (a load balancer sees all).
    order: Literal["last", "first"] = "last"
    # Whether a request that finds all connections in use may open another one, up to `connections`.
    open_while_measuring: bool = False
    proxy: str | None = (
        None  # http://[user:password@]host:port; the environment's are not looked at
    )
    streams: int = 1  # gRPC: requests at a time on each connection
    # HTTP: answers come bit by bit, and a call's `marks` say when. A call that fails keeps what had
    # come of its answer.
    streamed: bool = False

    def faults(self) -> list[str]:
        """What is wrong with the values, one sentence each."""
        found = faults_of(
            _text("host", self.host),
            count("port", self.port, 1, 65_535),
            instance("tls", self.tls, (Tls, type(None)), "a Tls, or None"),
            count("connections", self.connections, 1, MOST_CONNECTIONS),
            *times(self, "connect_timeout_s", "first_byte_timeout_s", "timeout_s",
                   "stall_timeout_s", above_0=True),
            count("most_kept_bytes", self.most_kept_bytes, 0, MOST_KEPT),
            choice("order", self.order, ("last", "first")),
            flag("open_while_measuring", self.open_while_measuring),
            count("streams", self.streams, 1, MOST_STREAMS),
            flag("streamed", self.streamed),
            *([] if self.proxy is None else [_proxy(self.proxy)]),
        )  # fmt: skip
        return found + (self.tls.faults() if isinstance(self.tls, Tls) else [])


def _text(name: str, value: object) -> Check:
    right = isinstance(value, str) and value != "" and value.isprintable() and " " not in value
    return right, name, value, "a text without spaces"


def _proxy(value: object) -> Check:
    must_be = "like http://127.0.0.1:3128"
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        right = parts is not None and parts.scheme == "http" and bool(parts.hostname and parts.port)
    except ValueError:
        right = False
    # Its value may hold a password.
    return right, "proxy", "(not shown)", must_be

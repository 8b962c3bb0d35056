"""The server's name is looked up once, before anything is measured."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from qs.engine.wire.failures import Failure, WireError


@dataclass(frozen=True)
class Address:
    """Where one can connect to: an IP address (an IPv6 one with its zone, where it has one)."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


async def resolve(host: str, port: int) -> tuple[Address, ...]:
    """Its addresses, in the order in which the system wants them tried. Raises WireError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise _unresolved(host, fault) from fault
    return _addresses(host, found)


def resolve_blocking(host: str, port: int) -> tuple[Address, ...]:
    """The same without a loop."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as fault:
        raise _unresolved(host, fault) from fault
    return _addresses(host, found)


def _addresses(host: str, found: list) -> tuple[Address, ...]:
    addresses: dict[Address, None] = {}
    for family, _, _, _, where in found:
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        zone = f"%{where[3]}" if len(where) == 4 and where[3] and "%" not in where[0] else ""
        addresses[Address(where[0] + zone, where[1])] = None
    if not addresses:
        raise WireError(f"the name {host} has no address", Failure.UNRESOLVED)
    return tuple(addresses)


def _unresolved(host: str, fault: BaseException) -> WireError:
    reason = getattr(fault, "strerror", None) or str(fault)
    return WireError(f"the name {host} cannot be resolved: {reason}", Failure.UNRESOLVED)

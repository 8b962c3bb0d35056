"""What a gRPC answer's headers and trailers say, and how it is counted.

Servers send the same few blocks of headers again and again, so each distinct one is decoded once
and looked up from then on. That holds only while the peer keeps no table of headers: `Blocks` sees
to it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from hpack import Decoder, HPACKError

from qs.engine.wire import frames
from qs.engine.wire.failures import Failure, shown
from qs.engine.wire.sending import BrokenProtocol

STATUSES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
UNKNOWN = STATUSES.index("UNKNOWN")
MOST_HEADER_BYTES = 64 << 10
# Distinct blocks that are kept; a server that numbers its answers fills this again and again.
MOST_KNOWN = 256


def grpc_failure(code: int) -> str:
    """The word for a status that is not OK."""
    return f"gRPC {STATUSES[code] if 0 <= code < len(STATUSES) else code}"


class Fields:
    """A block of headers that has been read. `http`: the HTTP status, 0 if it names none; `code`:
    gRPC's status, -1 if it names none; `failure` and `detail` are what follows of them.
    """

    __slots__ = ("code", "content_type", "detail", "encoding", "failure", "http", "pairs")

    def __init__(self, pairs: tuple[tuple[str, str], ...]):
        self.pairs = pairs
        named = dict(reversed(pairs))  # of equal names the first
        self.http = _whole(named.get(":status", "0"))
        self.content_type = named.get("content-type", "")
        self.encoding = named.get("grpc-encoding", "identity")
        self.code = _whole(named["grpc-status"], UNKNOWN) if "grpc-status" in named else -1
        self.failure = grpc_failure(self.code) if self.code > 0 else None
        self.detail = shown(unquote(named.get("grpc-message", ""), errors="replace"))


class Blocks:
    """The header blocks of one connection. `known` is looked into first, `read` decodes what is not
    there. `stateless` are the blocks known to all connections whose table has no room.
    """

    def __init__(self, stateless: dict[bytes, Fields]):
        self._decoder = Decoder(MOST_HEADER_BYTES)
        self._stateless = stateless
        # While the table has room but nothing in it, what leaves it so means the same again.
        self.known: dict[bytes, Fields] = {}

    def read(self, block: bytes) -> Fields:
        """Raises BrokenProtocol for what is no block of headers."""
        try:
            decoded: Any = self._decoder.decode(block, raw=True)
        except (HPACKError, IndexError, ValueError) as fault:
            reason = shown(str(fault))
            raise BrokenProtocol(
                f"headers cannot be decoded: {reason}", frames.COMPRESSION_ERROR
            ) from fault
        fields = Fields(tuple((_text(name), _text(value)) for name, value in decoded))
        table = self._decoder.header_table
        if table.maxsize == 0:
            self.known = self._stateless
        elif table.dynamic_entries:
            # What is looked up would have to change the table too.
            self.known = {}
            return fields
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        self.known[block] = fields
        return fields


def http_fault(fields: Fields, page: bytes) -> tuple[str, str]:
    """Failure and detail of an answer that is not gRPC's; `page` is the beginning of its body."""
    if fields.http != 200:
        return Failure.http(fields.http), shown(page)
    kind = fields.content_type
    if kind and not kind.startswith("application/grpc"):
        return Failure.BAD_ANSWER, f"its content type is {shown(kind)!r}, not application/grpc"
    return Failure.BAD_ANSWER, "it has no grpc-status"


def _whole(text: str, otherwise: int = 0) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _text(raw: bytes) -> str:
    return bytes(raw).decode("latin-1")

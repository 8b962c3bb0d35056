"""A unary gRPC request, encoded once: it may be sent any number of times, on any connection."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from qs.engine.wire.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FIRST_FRAME_SIZE,
    HEADERS,
    frame_head,
    header_block,
)

USER_AGENT = "qs"
# RFC 9113 allows no field of HTTP/1's connections; those of gRPC itself are ours to say.
RESERVED = (
    "te",
    "content-type",
    "user-agent",
    "host",
    "connection",
    "transfer-encoding",
    "keep-alive",
    "upgrade",
    "proxy-connection",
    "content-length",
)
_NAME = re.compile(r"[0-9a-z_.-]+")
_PATH = re.compile(r"/[!-~]+/[!-~]+")
_STREAM_BYTES = 4


@dataclass(frozen=True)
class GrpcRequest:
    """What `grpc_request` makes. `data` is the message behind its five bytes of prefix."""

    path: str
    authority: str
    # as sent: names in lower case, values in ASCII; values may be secrets
    metadata: tuple[tuple[str, str], ...]
    data: bytes
    timeout_s: float | None = None
    # header blocks without and with TLS
    blocks: tuple[bytes, bytes] = field(init=False, repr=False, compare=False)
    # What stands before the stream's number in HEADERS, between it and that of DATA for each kind
    # of block: the whole request is `begin, number, middle, number, data`. Empty where block or
    # message do not fit into one frame.
    begins: tuple[bytes, bytes] = field(init=False, repr=False, compare=False)
    middles: tuple[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        blocks = tuple(header_block(self._fields(each)) for each in ("http", "https"))
        begins = tuple(_begin(len(block), HEADERS, END_HEADERS) for block in blocks)
        size = len(self.data)
        fits = size <= FIRST_FRAME_SIZE and all(len(each) <= FIRST_FRAME_SIZE for each in blocks)
        end = _begin(size, DATA, END_STREAM) if fits else b""
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "begins", begins)
        object.__setattr__(self, "middles", tuple(each + end if fits else b"" for each in blocks))

    @property
    def message(self) -> memoryview:
        """The message as it is sent: compressed where that was asked."""
        return memoryview(self.data)[5:]

    def _fields(self, scheme: str) -> list[tuple[str, str]]:
        fields = [
            (":method", "POST"),
            (":scheme", scheme),
            (":path", self.path),
            (":authority", self.authority),
            ("te", "trailers"),
        ]
        if self.timeout_s is not None:
            fields.append(("grpc-timeout", timeout_words(self.timeout_s)))
        fields += [("content-type", "application/grpc"), ("user-agent", USER_AGENT)]
        if self.data[0]:
            fields += [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity,gzip")]
        else:
            fields.append(("grpc-accept-encoding", "identity"))
        return fields + list(self.metadata)


def grpc_request(
    path: str,
    authority: str,
    metadata: Mapping[str, str | bytes],
    message: bytes | bytearray | memoryview,
    *,
    timeout_s: float | None = None,
    compressed: bool = False,
) -> GrpcRequest:
    """A request of the method `path`, "/package.Service/Method".

    Names in `metadata` that end in "-bin" have bytes. `timeout_s` is told to the server as the
    request's deadline. `compressed`: the message is packed with gzip, and the answer may be.
    Raises ValueError for what cannot be sent; no value of `metadata` is in its message.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no method of gRPC: /package.Service/Method is wanted")
    if compressed:
        message = gzip.compress(message, compresslevel=6, mtime=0)
    length = memoryview(message).nbytes
    data = b"".join((bytes((compressed,)), length.to_bytes(4, "big"), message))
    fields = tuple(_field(name, value) for name, value in metadata.items())
    return GrpcRequest(path, authority, fields, data, timeout_s)


def _field(name: str, value: str | bytes) -> tuple[str, str]:
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise ValueError(f"{name!r} is no name of metadata: letters, digits, '_', '.' and '-' are")
    if lower in RESERVED or lower.startswith("grpc-"):
        raise ValueError(f"metadata {name!r} is the protocol's own and cannot be set")
    if lower.endswith("-bin"):
        raw = value.encode() if isinstance(value, str) else value
        return lower, base64.b64encode(raw).decode().rstrip("=")
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not all(" " <= each <= "~" for each in text):
        raise ValueError(
            f"the value of metadata {name!r} has characters that are not printable ASCII"
        )
    return lower, text.strip()


def timeout_words(timeout_s: float) -> str:
    """`grpc-timeout`: at most eight digits and a unit, rounded up."""
    for unit, per_s in (("u", 1_000_000), ("m", 1_000), ("S", 1)):
        count = -int(-timeout_s * per_s // 1)
        if count < 100_000_000:
            return f"{max(count, 1)}{unit}"
    return "99999999S"


def _begin(length: int, kind: int, flags: int) -> bytes:
    return frame_head(length, kind, flags, 0)[:-_STREAM_BYTES]

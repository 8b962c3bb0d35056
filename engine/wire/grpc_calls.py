"""One gRPC request on its way, and its answer as it comes in: headers, a message, trailers."""

from __future__ import annotations

import zlib
from typing import Any

from qs.engine.wire.answers import Memory
from qs.engine.wire.calls import WireCall
from qs.engine.wire.failures import MOST_SHOWN, BadAnswer, Failure, shown
from qs.engine.wire.frames import NUMBER
from qs.engine.wire.grpc_answers import Fields, http_fault

PREFIX_BYTES = 5
# A longer message is gathered in memory that is used again for the next ones.
SMALL_BYTES = 64 << 10
# of a page that a proxy answers with
MOST_PAGE_BYTES = 4 * MOST_SHOWN
MOST_UNPACKED_BYTES = 256 << 20


class Unusable(Exception):
    """What comes is no answer that can be taken, in a sentence; `failure` is its word."""

    def __init__(self, failure: str, words: str):
        super().__init__(words)
        self.failure = failure


class GrpcCall(WireCall):
    """A WireCall whose `status` is gRPC's code (or what is not 200 in HTTP's), and whose `body` is
    the answer's message, packed where `compressed` says so: `message_of` has it in full.
    """

    __slots__ = (
        "after",
        "begun",
        "compressed",
        "filled",
        "first",
        "last",
        "size",
        "store",
        "stream",
    )

    def __init__(self, request: Any, done: Any, owner: Any):
        WireCall.__init__(self, request, done, owner)
        self.stream = 0
        # the number of the connection that it may take a newer one than only
        self.after = 0
        self.first: Fields | None = None
        self.last: Fields | None = None
        # of the message: its size (-1: not known yet), how much of it has come, and where it is
        self.size = -1
        self.filled = 0
        self.store: memoryview | None = None
        # a prefix of which a part has come, or the page of a proxy
        self.begun = b""
        self.compressed = False

    def headers(self) -> dict[str, str]:
        """Headers and trailers by name; equal names are joined by ", ". Names that begin with ":"
        are left out.
        """
        found: dict[str, str] = {}
        for fields in (self.first, self.last):
            for name, value in fields.pairs if fields is not None else ():
                if not name.startswith(":"):
                    found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    def take(self, piece: memoryview, most_bytes: int, memory: Memory) -> None:
        """Take a piece of what comes in DATA. Raises Unusable."""
        if self.first is None:
            raise Unusable(Failure.BAD_ANSWER, "it has data before its headers")
        if self.first.http != 200:
            if len(self.begun) < MOST_PAGE_BYTES:
                self.begun += bytes(piece[:MOST_PAGE_BYTES])
            return
        if self.size < 0:
            missing = PREFIX_BYTES - len(self.begun)
            self.begun += bytes(piece[:missing])
            piece = piece[missing:]
            if len(self.begun) < PREFIX_BYTES:
                return
            self._begin(self.first, most_bytes, memory)
        if not len(piece):
            return
        stop = self.filled + len(piece)
        if stop > self.size or self.store is None:
            raise Unusable(Failure.BAD_ANSWER, "it has more than one message")
        self.store[self.filled : stop] = piece
        self.filled = stop

    def _begin(self, first: Fields, most_bytes: int, memory: Memory) -> None:
        flag, size = self.begun[0], NUMBER.unpack_from(self.begun, 1)[0]
        if flag > 1:
            raise Unusable(Failure.BAD_ANSWER, f"its message begins with {shown(self.begun)!r}")
        if size > most_bytes:
            words = f"its message has {size:,} bytes; {most_bytes:,} are kept at most"
            raise Unusable(Failure.TOO_LARGE, words)
        if flag:
            if first.encoding not in ("gzip", "deflate"):
                words = f"its message is packed with {shown(first.encoding)!r}, which nobody asked"
                raise Unusable(Failure.BAD_ANSWER, f"{words} for")
            self.compressed = True
        self.size = size
        self.store = memory.take(size)

    def verdict(self) -> tuple[str | None, str]:
        """Failure and detail of an answer that has ended. Sets `status`."""
        trailer = self.last
        if trailer is None or trailer.code < 0:
            first = self.first or trailer
            assert first is not None
            self.status = first.http if first.http != 200 else 0
            return http_fault(first, self.begun)
        self.status = trailer.code
        if trailer.code:
            return trailer.failure, trailer.detail
        if self.size < 0:
            return Failure.BAD_ANSWER, "its status is OK, and it has no message"
        if self.filled < self.size:
            words = f"its message ends after {self.filled:,} of {self.size:,} bytes"
            return Failure.BAD_ANSWER, words
        return None, ""

    def forget(self) -> None:
        """Nothing has come yet: it is to be sent again."""
        self.first = self.last = self.store = None
        self.size, self.filled, self.begun, self.compressed = -1, 0, b"", False


def message_of(call: WireCall, most_bytes: int = MOST_UNPACKED_BYTES) -> bytes | memoryview:
    """The answer's message, unpacked where it is compressed. Raises BadAnswer for what cannot be
    unpacked, or would be longer than `most_bytes`.
    """
    if not getattr(call, "compressed", False):
        return call.body
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        message = inflate.decompress(bytes(call.body), most_bytes)
    except zlib.error as fault:
        raise BadAnswer(f"its message cannot be unpacked: {fault}") from fault
    if not inflate.eof:
        longer = "is longer than allowed" if len(message) >= most_bytes else "is cut off"
        raise BadAnswer(f"its packed message {longer}")
    return message

"""A body that comes in chunks, as llhttp finds it."""

from __future__ import annotations

from typing import Any

import httptools

from qs.engine.wire.failures import BadAnswer
from qs.engine.wire.heads import END


class Chunks:
    """The bodies of one connection, one after the other. `found` has what has come of one."""

    __slots__ = ("found", "_parser")

    def __init__(self, most: int) -> None:
        self.found = Found(most)
        self._parser: Any = httptools.HttpResponseParser(self.found)

    def begin(self, head: bytes, kept: bytes | bytearray = b"") -> None:
        """An answer with this head, of whose body so much has been read already, up to the end of a
        chunk.
        """
        self.found.begin(kept)
        self._parser.feed_data(head + END)

    def feed(self, data: bytes | memoryview) -> bool:
        """More of the body; whether it is whole now. Raises BadAnswer."""
        found = self.found
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as fault:
            if not found.whole:
                raise BadAnswer(f"a chunk of its body is not right: {fault}") from fault
            found.begun += 1
        if found.begun > 1:
            raise BadAnswer("more bytes follow its last chunk")
        return found.whole


class Found:
    """What llhttp calls. The chunks are put together at once: a list of them would let a server
    fill the memory with chunks of one byte.
    """

    __slots__ = ("begun", "kept", "size", "too_large", "whole", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self.begin(b"")

    def begin(self, kept: bytes | bytearray) -> None:
        self.kept = kept
        self.size = len(kept)
        self.begun = 0
        self.whole = False
        self.too_large = False

    def take(self) -> bytes:
        """The whole body, which is not kept here any longer."""
        kept, self.kept = self.kept, b""
        return bytes(kept)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self.too_large or self.size > self._most:
            self.too_large = True
            self.kept = b""
        elif not self.kept:
            self.kept = data
        elif isinstance(self.kept, bytes):
            self.kept = bytearray(self.kept) + data
        else:
            self.kept += data

    def on_message_complete(self) -> None:
        self.whole = True

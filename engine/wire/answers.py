"""Reads the answers of one connection of HTTP/1.1, without a socket: whoever owns one receives into
`room` and says how much came.

Bounded whatever a server sends: heads, what is kept of a body, and what is read and dropped.
"""

from __future__ import annotations

import os

import numpy as np

from qs.engine.wire.calls import WireCall
from qs.engine.wire.chunks import Chunks
from qs.engine.wire.failures import BadAnswer, Failure, shown
from qs.engine.wire.heads import (
    CHUNKED,
    END,
    INTERIM,
    MOST_HEAD_BYTES,
    UNTIL_END,
    Frame,
    Heads,
    check_start,
)
from qs.engine.wire.requests import is_head

# What one read may bring; all connections of a loop read into the same memory.
RECEIVE_BYTES = 256 << 10
# A body longer than this is received where it will stay.
IN_PLACE_BYTES = 64 << 10
# Where the last body was received in place, the next head is read with so little of its body that
# not much has to be moved.
HEAD_BYTES = 4 << 10
# What is not kept is read to its end, so that the answer's time is known, but no further than this.
MOST_DROPPED_BYTES = 4 << 30
# Memory for bodies that is kept for the next ones.
MOST_SPARE_BYTES = 256 << 20
# All streams of a loop together may take so much, beside the first MiB of each.
MOST_STREAMED_BYTES = 4 << 30
STREAMED_SHARE = 0.25  # and no more than this share of the machine's memory

NO_FRAME = Frame(200, 0, False, "")  # before the first answer
HEAD, PARTIAL, SHORT, IN_PLACE, CHUNKS, ENDLESS, DROPPED = range(7)


class TooLarge(BadAnswer):
    """There is more of it than anybody would wait for."""


class Memory:
    """What the connections of one thread receive into. A body that was received in place stands in
    memory that is taken, and given back once nobody looks at it.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVE_BYTES))
        # Sizes of chunks by how servers write them, of streams.
        self.sizes: dict[bytes, int] = {}
        self.for_head = self.view[:HEAD_BYTES]
        self._spare: list[memoryview] = []
        self._spare_bytes = 0
        self._lendable = most_streamed_bytes()

    def lend(self, size: int) -> bool:
        """Whether a stream may take so many bytes more; a negative number gives them back."""
        if size > self._lendable:
            return False
        self._lendable -= size
        return True

    def take(self, size: int) -> memoryview:
        """At least so many bytes, with anything in them."""
        if self._spare:
            found = self._spare.pop()
            self._spare_bytes -= len(found)
            if len(found) >= size:
                return found
        rounded = -(-size // IN_PLACE_BYTES) * IN_PLACE_BYTES
        # Unlike a bytearray it is not written to here: a length that a server only announces costs
        # no memory.
        return np.empty(rounded, np.uint8).data

    def give(self, taken: memoryview) -> None:
        if self._spare_bytes + len(taken) <= MOST_SPARE_BYTES:
            self._spare_bytes += len(taken)
            self._spare.append(taken)


class AnswerReader:
    """The answers of one connection, one after the other. When one is whole, `frame`, `head` and
    `body` have it, and `too_large` says whether its body was dropped (whoever has seen it resets
    it). A body may be a view, which holds until the next read; what was `taken` for it must be
    released then.
    """

    __slots__ = (
        "room",
        "frame",
        "head",
        "body",
        "too_large",
        "crowded",
        "interim",
        "odd",
        "taken",
        "_memory",
        "_heads",
        "_known",
        "_most",
        "_view",
        "_state",
        "_kept",
        "_got",
        "_chunks",
        "_copied",
    )

    def __init__(self, memory: Memory, heads: Heads, most_kept_bytes: int):
        self.room = memory.view
        self.frame = NO_FRAME
        self.head = b""
        self.body: bytes | memoryview = b""
        self.too_large = False
        # Whether that is since there was no memory left, beside other streams.
        self.crowded = False
        # Set by an answer before the answer (100, 103); whoever stamps resets it.
        self.interim = False
        self.taken: memoryview | None = None
        # Whether one of these is set; whoever takes the answer resets it.
        self.odd = False
        self._memory = memory
        self._heads = heads
        # A whole answer is taken from the buffer as it stands, unless it could be too large.
        self._known = heads.known if most_kept_bytes >= RECEIVE_BYTES else {}
        self._most = most_kept_bytes
        self._view = memory.view
        self._state = HEAD
        self._kept = bytearray()
        self._got = 0
        self._chunks: Chunks | None = None
        # A body of up to so many bytes is put together from what was read.
        self._copied = IN_PLACE_BYTES

    @property
    def begun(self) -> bool:
        """Whether a part of the answer has come."""
        return self._state != HEAD

    def received(self, size: int, request: bytes) -> bool:
        """So many bytes have come into `room`; whether the answer to `request` is whole now. Raises
        BadAnswer: the connection is of no use then.
        """
        if self._state:
            return self._more(size, request)
        # Older answers stand behind it in the buffer, and must not be looked at.
        if size <= IN_PLACE_BYTES:
            head, _, body = self._view[:size].tobytes().partition(END)
            frame = self._known.get(head)
            if frame is not None and frame.length == len(body):
                self.frame = frame
                self.head = head
                self.body = body
                return True
        return self._begin(self._view[:size], request)

    def ended(self) -> bool:
        """The server has ended the connection; whether that makes the answer whole."""
        if self._state != ENDLESS:
            return False
        return self._whole(b"" if self.too_large else bytes(self._kept))

    def progress(self) -> str:
        """How far the answer has come, for a message."""
        if self._state in (HEAD, PARTIAL):
            return "within its head"
        length = self.frame.length
        return f"after {self._got:,}" + (f" of {length:,}" if length > 0 else "") + " bytes of body"

    def release(self) -> None:
        """Nobody looks at the body any more, which stood in memory that was taken."""
        taken, self.taken = self.taken, None
        if taken is not None:
            self._memory.give(taken)

    def _begin(self, data: memoryview, request: bytes) -> bool:
        """The beginning of an answer: its head, or a part of it, and what may follow."""
        while True:
            raw = bytes(data[:MOST_HEAD_BYTES])
            head, end, _ = raw.partition(END)
            if not end:
                check_start(raw)
                if len(raw) >= MOST_HEAD_BYTES:
                    raise BadAnswer(f"its head has more than {MOST_HEAD_BYTES:,} bytes")
                self._kept = bytearray(raw)
                self._state = PARTIAL if raw else HEAD
                self.room = self._view
                return False
            frame = self._heads.read(head)
            data = data[len(head) + len(END) :]
            if frame.length != INTERIM:
                break
            self.interim = self.odd = True
            self._state = HEAD
            if not data:
                return False
        self.frame = frame
        self.head = head
        self.too_large = False
        return self._body_begins(frame, data, request)

    def _body_begins(self, frame: Frame, data: memoryview, request: bytes) -> bool:
        length, got = frame.length, len(data)
        self._got = got
        self.room = self._view
        if is_head(request):
            length = 0
        if length == CHUNKED:
            return self._chunks_begin(data)
        if length == UNTIL_END:
            self._state = ENDLESS
            self._kept = bytearray()
            return self._endless(data)
        if got > length:
            raise BadAnswer(f"it is longer than its length, {length:,} bytes")
        if got == length:
            self.too_large = length > self._most
            return self._whole(bytes(data))
        if length > self._most:
            if length > MOST_DROPPED_BYTES:
                raise TooLarge(f"its length is {length:,} bytes")
            self._state = DROPPED
            self.too_large = True
        elif length <= self._copied:
            self._state = SHORT
            self._kept = bytearray(data)
        else:
            self._state = IN_PLACE
            self.taken = self._memory.take(length)
            self.odd = True
            self.taken[:got] = data
            self.room = self.taken[got:length]
        return False

    def _more(self, size: int, request: bytes) -> bool:
        """More of an answer that has begun."""
        state, frame = self._state, self.frame
        if state == PARTIAL:
            data = bytes(self._kept) + self._view[:size]
            self._state = HEAD
            return self._begin(memoryview(data), request)
        self._got += size
        if state == CHUNKS:
            return self._chunked(self._view[:size])
        if state == ENDLESS:
            return self._endless(self._view[:size])
        length = frame.length
        if self._got > length:
            raise BadAnswer(f"it is longer than its length, {length:,} bytes")
        if state == SHORT:
            self._kept += self._view[:size]
            return self._got == length and self._whole(bytes(self._kept))
        if state == DROPPED:
            return self._got == length and self._whole(b"")
        assert self.taken is not None
        if self._got < length:
            self.room = self.taken[self._got : length]
            return False
        self.room = self._memory.for_head
        return self._whole(self.taken[:length])

    def _endless(self, data: memoryview) -> bool:
        if self.too_large or self._got > self._most:
            self.too_large = True
            self._kept = bytearray()
            self._bound()
        else:
            self._kept += data
        return False

    def _chunks_begin(self, data: memoryview) -> bool:
        if self._chunks is None:
            self._chunks = Chunks(self._most)
        self._chunks.begin(self.head)
        self._state = CHUNKS
        return self._chunked(data)

    def _chunked(self, data: bytes | memoryview) -> bool:
        chunks = self._chunks
        assert chunks is not None
        if chunks.feed(data):
            self.too_large = chunks.found.too_large
            return self._whole(chunks.found.take())
        self._bound()
        return False

    def _bound(self) -> None:
        if self._got > MOST_DROPPED_BYTES:
            raise TooLarge(f"it had no end after {self._got:,} bytes")

    def _whole(self, body: bytes | memoryview) -> bool:
        self._state = HEAD
        self._kept = bytearray()
        self.odd = self.odd or self.too_large
        self.body = b"" if self.too_large else body
        return True


def most_streamed_bytes() -> int:
    """What all streams of a loop may take on this machine."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return MOST_STREAMED_BYTES
    return min(MOST_STREAMED_BYTES, int(machine * STREAMED_SHARE))


def failure_of(fault: BadAnswer) -> str:
    """Failure's word for it."""
    return Failure.TOO_LARGE if isinstance(fault, TooLarge) else Failure.BAD_ANSWER


def judge(call: WireCall, reader: AnswerReader, most_kept_bytes: int) -> None:
    """Say of an answer that came but was not wanted how it failed."""
    frame = reader.frame
    if reader.too_large:
        call.failure = Failure.TOO_LARGE
        call.detail = f"it has more than {most_kept_bytes:,} bytes"
        if reader.crowded:
            call.detail = "there was no memory left for it beside the other answers under way"
        reader.too_large = reader.crowded = False
        return
    call.failure = frame.failure
    redirected = frame.failure == Failure.REDIRECTED
    call.detail = f"to {frame.location or 'nowhere'}" if redirected else shown(call.body)

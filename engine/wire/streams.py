"""Reads answers that come bit by bit, and notes when: a pair of marks for each read that brought a
part of the body. What the bytes mean is read after the measurement; here nothing but the frames of
chunks is looked at.

Most events of a stream arrive alone, one whole chunk in one read: `lone` takes it with a few looks.
Chunks of plain size are followed here wherever reads cut them; at anything else (extensions,
trailers, junk) llhttp takes over for the rest of that answer.
"""

from __future__ import annotations

import re
from array import array

from qs.engine.wire.answers import (
    CHUNKS,
    DROPPED,
    ENDLESS,
    HEAD,
    PARTIAL,
    SHORT,
    AnswerReader,
    Memory,
)
from qs.engine.wire.calls import WireCall
from qs.engine.wire.chunks import Chunks
from qs.engine.wire.failures import BadAnswer
from qs.engine.wire.heads import Heads

# A further state of the reader: in a body of chunks that are followed here.
PLAIN = 7
# Different sizes of chunks that are kept.
MOST_SIZES = 4_096
MARK_BYTES = 8  # of one number
FREE_BYTES = 1 << 20

_EOL = b"\r\n"
_LAST = b"0\r\n\r\n"
_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")
_BEGUN = re.compile(rb"[0-9a-fA-F]{1,15}\r?")  # a size as far as it has come
_LONGEST = 17  # with its end of line


class StreamReader(AnswerReader):
    """An AnswerReader whose answers have marks. Whoever reads sets `now_ns` before `received`. Body
    and marks of an answer are its own, and what has come of one that fails is kept as well.

    What is kept of an answer, marks included, is bounded by `most_kept_bytes` and what one read
    brings, and of all streams of a loop by its Memory.
    """

    __slots__ = ("between", "marks", "now_ns", "_allowed", "_free", "_held", "_left", "_sizes")

    def __init__(self, memory: Memory, heads: Heads, most_kept_bytes: int):
        super().__init__(memory, heads, most_kept_bytes)
        self._copied = most_kept_bytes
        self.now_ns = 0
        self.marks = array("q")
        # Whether the last chunk is whole, and nothing of the next has come: `lone` may be tried.
        self.between = False
        self._sizes = memory.sizes
        # How much may be kept before the Memory is asked, at first and now.
        self._free = self._allowed = min(most_kept_bytes, FREE_BYTES)
        self._held = b""  # of a chunk's size, as far as it has come
        self._left = 0  # of a chunk, the bytes that are still to come, with its end of line

    def lone(self, size: int, now_ns: int) -> bool:
        """Take what has been read into `room` if it is one whole chunk and nothing else; False, and
        nothing is done: `received` must be asked. Only where `between` is set.
        """
        head, _, body = self._view[:size].tobytes().partition(_EOL)
        length = self._sizes.get(head)
        if length is None or length + 2 != len(body) or body[-2:] != _EOL:
            return False
        kept, marks = self._kept, self.marks
        kept += body[:-2]
        marks.append(now_ns)
        marks.append(len(kept))
        taken = len(kept) + MARK_BYTES * len(marks)
        if taken > self._allowed:
            self._grow(taken)
        return True

    def received(self, size: int, request: bytes) -> bool:
        if self._state == HEAD:
            self.marks = array("q")
        whole = False
        try:
            if self._state == PLAIN:
                self._got += size
                whole = self._follow(self._view[:size].tobytes())
            else:
                whole = super().received(size, request)
        finally:
            # What a read has brought before the fault in it has come, too.
            self._mark(len(self.body) if whole else len(self._come()))
            if whole:
                self._give_back()
        return whole

    def ended(self) -> bool:
        self._give_back()
        return super().ended()

    def leave(self, call: WireCall) -> None:
        """Give the call what has come of an answer that will not become whole."""
        self._give_back()
        if self._state in (HEAD, PARTIAL):
            return
        call.status = self.frame.status
        call.head = self.head
        call.body = bytes(self._come())
        call.marks = self.marks

    def progress(self) -> str:
        length = self.frame.length
        if self._state not in (SHORT, ENDLESS, CHUNKS, PLAIN) or self.too_large:
            return super().progress()
        of = f" of {length:,}" if length > 0 else ""
        return f"after {len(self._come()):,}{of} bytes of body"

    # What the AnswerReader asks.

    def _chunks_begin(self, data: memoryview) -> bool:
        self._state = PLAIN
        self._kept = bytearray()
        self._held = b""
        self._left = 0
        return self._follow(data.tobytes())

    # Chunks.

    def _follow(self, data: bytes) -> bool:
        """More of the chunks; whether they are all there now."""
        self.between = False
        at = 0
        if self._left:
            at = self._rest(data, 0)
        elif self._held:
            data = self._held + data
            self._held = b""
        end = len(data)
        sizes = self._sizes
        while at < end:
            stop = data.find(_EOL, at, at + _LONGEST)
            if stop < 0:
                if end - at < _LONGEST and _BEGUN.fullmatch(data, at):
                    self._held = data[at:]
                    break
                return self._give_over(data[at:])
            length = sizes.get(data[at:stop]) or self._size(data[at:stop])
            if not length:
                if data[at:] == _LAST:
                    return self._whole(bytes(self._kept))
                return self._give_over(data[at:])
            self._left = length + 2
            at = self._rest(data, stop + 2)
        self.between = not (self._left or self._held or self.too_large)
        if self.too_large:
            self._kept.clear()
            self._bound()
        return False

    def _rest(self, data: bytes, at: int) -> int:
        """What is left of a chunk, as far as it stands in the data from there on; where that
        ends.
        """
        left = self._left
        if left > 2:
            end = min(at + left - 2, len(data))
            self._kept += data[at:end]
            left -= end - at
            at = end
        if left <= 2:
            come = data[at : at + left]
            if not _EOL.startswith(come, 2 - left):
                raise BadAnswer("a chunk of its body is not right: it is longer than its size")
            left -= len(come)
            at += len(come)
        self._left = left
        return at

    def _size(self, text: bytes) -> int:
        """A chunk's size; 0 of the last one, and of what is no plain size."""
        if not _SIZE.fullmatch(text):
            return 0
        size = int(text, 16)
        if size:
            if len(self._sizes) >= MOST_SIZES:
                self._sizes.clear()
            self._sizes[text] = size
        return size

    def _give_over(self, data: bytes) -> bool:
        """Have llhttp read this, which begins a chunk, and all that follows."""
        if self._chunks is None:
            self._chunks = Chunks(self._most)
        self._chunks.begin(self.head, self._kept)
        self._chunks.found.too_large = self.too_large
        self._kept = bytearray()
        self._state = CHUNKS
        return self._chunked(data)

    # What has come.

    def _come(self) -> bytes | bytearray:
        """The body so far of an answer that is not whole."""
        if self._state == CHUNKS and self._chunks is not None:
            return self._chunks.found.kept
        return self._kept if self._state in (SHORT, ENDLESS, PLAIN) else b""

    def _mark(self, come: int) -> None:
        """So many bytes of the body had come when the last read returned."""
        marks = self.marks
        if self.too_large:
            self.marks = array("q")
        elif come > (marks[-1] if marks else 0):
            marks.append(self.now_ns)
            marks.append(come)
            size = come + MARK_BYTES * len(marks)
            if size > self._allowed:
                self._grow(size)

    def _grow(self, size: int) -> None:
        """There are more bytes than are allowed without asking."""
        wanted = min(2 * size, self._most)
        self.crowded = size <= self._most and not self._memory.lend(wanted - self._allowed)
        if self.crowded or size > self._most:
            self._drop()
        else:
            self._allowed = wanted

    def _give_back(self) -> None:
        """Nothing is kept here any longer."""
        self._memory.lend(self._free - self._allowed)
        self._allowed = self._free

    def _drop(self) -> None:
        """It is more than is kept of an answer."""
        self._give_back()
        self.too_large = self.odd = True
        self.between = False
        self.body = b""
        self.marks = array("q")
        if self._state == CHUNKS and self._chunks is not None:
            self._chunks.found.too_large = True
            self._chunks.found.kept = b""
        elif self._state != HEAD:
            self._kept = bytearray()
            if self._state == SHORT:
                self._state = DROPPED

"""What goes out over one HTTP/2 connection: small frames in as few writes as the reads allow, and
messages as far as the peer's windows are open.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from qs.engine.wire import frames
from qs.engine.wire.frames import frame_head

# So many calls are begun between two writes while one read's frames are gone through.
MOST_CORKED = 16


class BrokenProtocol(Exception):
    """The peer broke HTTP/2's rules. `code` is what GOAWAY tells it."""

    def __init__(self, words: str, code: int = frames.PROTOCOL_ERROR):
        super().__init__(words)
        self.code = code


class Unsent:
    """A message of which a part is still to be sent."""

    __slots__ = ("at", "data", "stalled", "stream", "tail", "window")

    def __init__(self, stream: int, data: memoryview, window: int, tail: bytes):
        self.stream = stream
        self.data = data
        self.at = 0
        self.window = window
        self.tail = tail
        self.stalled = False


class Sender:
    """`corked`: more frames of one read are to be gone through, so what they bring about is kept
    for one write.
    """

    def __init__(self) -> None:
        self.transport: Any = None
        self.corked = False
        self.kept: list[bytes] = []
        # calls whose requests are kept, to be stamped when they are sent
        self.begun: list[Any] = []
        # What the peer allows: the connection's window, that of a new stream, the largest frame.
        self.window = frames.FIRST_WINDOW
        self.first_window = frames.FIRST_WINDOW
        self.frame_size = frames.FIRST_FRAME_SIZE
        self.unsent: dict[int, Unsent] = {}
        # messages that had to wait for a window
        self.stalls = 0

    def start(self, transport: Any) -> None:
        self.transport = transport
        # A write goes to the socket at once, and the transport keeps what that does not take: it is
        # bounded by the requests in flight. (uvloop before 0.20 puts off what is below the limit.)
        transport.set_write_buffer_limits(high=0)

    def stop(self) -> None:
        """Nothing is sent any more."""
        self.transport = None
        self.kept.clear()
        self.unsent.clear()

    def write(self, data: bytes) -> None:
        """Frames that need no window."""
        if self.corked or self.kept:
            self.kept.append(data)
            if not self.corked:
                self.flush()
        elif self.transport is not None:
            self.transport.write(data)

    def uncork(self) -> None:
        self.corked = False
        if self.kept:
            self.flush()

    def flush(self) -> None:
        kept, self.kept = self.kept, []
        if self.begun:
            begun, self.begun = self.begun, []
            now_ns = perf_counter_ns()
            for call in begun:
                if not call.sent_ns:
                    call.sent_ns = now_ns
                    if not call.issued_ns:
                        call.issued_ns = now_ns
        if self.transport is not None:
            self.transport.write(b"".join(kept))

    def send(self, stream: int, head: bytes, data: memoryview, tail: bytes = b"") -> None:
        """A header's frames and a message, as far as the windows allow; the rest follows when they
        open. `tail` (a trailer's frames) comes after it; without one the message ends the stream.
        Nothing is copied: `data` must stay as it is.
        """
        if self.kept:
            self.flush()
        self.unsent[stream] = Unsent(stream, data, self.first_window, tail)
        self.pump(head)

    def drop(self, stream: int) -> None:
        """What is unsent of the stream is not wanted any more."""
        self.unsent.pop(stream, None)

    def pump(self, head: bytes = b"") -> None:
        """Send of the unsent what fits into the windows."""
        pieces: list[bytes | memoryview] = [head] if head else []
        for unsent in list(self.unsent.values()):
            data, size = unsent.data, len(unsent.data)
            ends = 0 if unsent.tail else frames.END_STREAM
            while unsent.at < size:
                length = min(size - unsent.at, self.frame_size, unsent.window, self.window)
                if length <= 0:
                    break
                at, stop = unsent.at, unsent.at + length
                flags = ends if stop == size else 0
                pieces.append(frame_head(length, frames.DATA, flags, unsent.stream))
                pieces.append(data[at:stop])
                unsent.at = stop
                unsent.window -= length
                self.window -= length
            if unsent.at == size:
                if unsent.tail:
                    pieces.append(unsent.tail)
                del self.unsent[unsent.stream]
            elif not unsent.stalled:
                unsent.stalled = True
                self.stalls += 1
        if pieces and self.transport is not None:
            self.transport.writelines(pieces)

    def opened(self, stream: int, increment: int) -> None:
        """The peer opened a window: the connection's (stream 0) or a stream's."""
        if stream == 0:
            self.window += increment
            if self.window > frames.MOST:
                raise BrokenProtocol("the window is too large", frames.FLOW_CONTROL_ERROR)
        elif stream in self.unsent:
            unsent = self.unsent[stream]
            unsent.window += increment
            if unsent.window > frames.MOST:
                raise BrokenProtocol("a stream's window is too large", frames.FLOW_CONTROL_ERROR)
        if self.unsent:
            self.pump()

    def first_window_changed(self, size: int) -> None:
        if size > frames.MOST:
            raise BrokenProtocol(f"a window of {size:,} bytes", frames.FLOW_CONTROL_ERROR)
        for each in self.unsent.values():
            each.window += size - self.first_window
        self.first_window = size

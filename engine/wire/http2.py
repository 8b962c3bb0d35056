"""One HTTP/2 connection, client's or server's: frames in, frames out, both windows obeyed.

What the frames are for (calls, answers) is told by whoever derives from `Http2`. Priorities are
read over, pushes are refused. Bytes of the peer are not trusted: whatever is not HTTP/2, too long,
or a flood ends the connection with one sentence.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import Any

from qs.engine.wire import frames
from qs.engine.wire.failures import MOST_SHOWN, shown
from qs.engine.wire.frames import FRAME, NUMBER, SETTING, frame
from qs.engine.wire.sending import BrokenProtocol, Sender

RECEIVE_BYTES = 256 << 10
# The largest frame that we take: few frames a large message, which is then read in place.
LARGEST_FRAME = 1 << 20
# What is left of a DATA frame is read straight into its message where it is at least this long.
IN_PLACE_BYTES = 32 << 10
# Header blocks (and what else must be read as a whole) up to this length, in so many frames.
MOST_WHOLE_BYTES = 64 << 10
MOST_CONTINUATIONS = 256
# So many frames in turn without a header or a byte of a message are a flood.
MOST_IDLE_FRAMES = 10_000
OURS = {
    frames.HEADER_TABLE_SIZE: 0,
    frames.INITIAL_WINDOW_SIZE: frames.MOST,
    frames.MAX_FRAME_SIZE: LARGEST_FRAME,
}
OPEN_WINDOW = frames.window_update(0, frames.MOST - frames.FIRST_WINDOW)
CLIENT_HELLO = frames.PREFACE + frames.settings({**OURS, frames.ENABLE_PUSH: 0}) + OPEN_WINDOW
SERVER_HELLO = frames.settings(OURS) + OPEN_WINDOW


class Http2(asyncio.BufferedProtocol):
    """`shared` is the receive buffer of everything on this loop, RECEIVE_BYTES long."""

    def __init__(self, shared: memoryview) -> None:
        self.shared = shared
        self.out = Sender()
        self.transport: Any = None
        # when the read returned whose frames are gone through
        self.read_ns = 0
        # the beginning of what must be read as a whole
        self.rest = b""
        # of the DATA frame begun: stream, flags, bytes and padding still to come
        self.data_stream = 0
        self.data_flags = 0
        self.left = 0
        self.skip = 0
        self.placed: memoryview | None = None
        # of the header block begun, where its end has not come: stream, flags, pieces
        self.block_stream = 0
        self.block_flags = 0
        self.block: list[bytes] = []
        self.idle_frames = 0
        self.received = 0
        # how many streams the peer allows at a time, once its settings have come
        self.most_streams = frames.MOST
        self.settled = False
        self.fault: BrokenProtocol | None = None

    # What a derived class makes of the frames. `end`: nothing more comes on this stream.

    def on_headers(self, stream: int, block: bytes, end: bool) -> None:
        raise NotImplementedError

    def on_data(self, stream: int, piece: memoryview, end: bool) -> None:
        """A piece of a message: `piece` is only valid until this returns."""
        raise NotImplementedError

    def place(self, stream: int, size: int) -> memoryview | None:
        """Where the next `size` bytes of the stream may be read to, or at least a part of them."""
        return None

    def on_placed(self, stream: int, size: int, end: bool) -> None:
        """So many bytes were read to where `place` said."""

    def on_reset(self, stream: int, code: int) -> None:
        raise NotImplementedError

    def on_goaway(self, last: int, code: int, words: str) -> None:
        raise NotImplementedError

    def on_settings(self) -> None:
        """The peer's settings have come, or changed."""

    # Reading

    def get_buffer(self, sizehint: int) -> memoryview:
        if self.rest:
            return self.shared[len(self.rest) :]
        if self.left >= IN_PLACE_BYTES:
            self.placed = self.place(self.data_stream, self.left)
            if self.placed is not None:
                return self.placed
        return self.shared

    def buffer_updated(self, size: int) -> None:
        self.read_ns = perf_counter_ns()
        try:
            if self.placed is not None:
                self.placed = None
                self.left -= size
                self.on_placed(self.data_stream, size, self._data_ended())
                return
            if self.rest:
                kept = len(self.rest)
                self.shared[:kept] = self.rest
                self.rest = b""
                size += kept
            self._frames(size)
        except BrokenProtocol as fault:
            self.give_up(fault)
        finally:
            self.out.uncork()

    def _data_ended(self) -> bool:
        # Padding says nothing: the data has ended where only padding is to come.
        return not self.left and self.data_flags & frames.END_STREAM != 0

    def _frames(self, size: int) -> None:
        """Go through the first `size` bytes of the shared buffer."""
        shared = self.shared
        at = 0
        if not self.settled and size >= 5:
            self._expect_settings(bytes(shared[: min(size, MOST_SHOWN)]))
        if self.left or self.skip:
            at = self._more_data(0, size)
        while size - at >= 9:
            high, low, kind, flags, stream = FRAME.unpack_from(shared, at)
            length = high << 16 | low
            start = at + 9
            stop = start + length
            if self.block and kind != frames.CONTINUATION:
                raise BrokenProtocol("a header block was interrupted by another frame")
            if kind == frames.DATA:
                if flags & frames.PADDED or stop > size or length > LARGEST_FRAME:
                    at = self._begin_data(start, size, length, flags, stream)
                    if at < 0:
                        at = start - 9
                        break
                    continue
                if length:
                    self.idle_frames = 0
                    self.received += length
                else:
                    self._idle_frame("DATA without data")
                self.out.corked = stop < size
                self.on_data(stream, shared[start:stop], flags & frames.END_STREAM != 0)
            elif kind > frames.CONTINUATION or kind == frames.PRIORITY:
                self._check(length, LARGEST_FRAME, kind)
                self._idle_frame("unknown kinds")
                self.skip = length
                at = self._more_data(start, size)
                continue
            elif stop > size:
                self._check(length, MOST_WHOLE_BYTES, kind)
                break
            elif (
                kind == frames.HEADERS
                and flags & 0x2C == frames.END_HEADERS
                and length <= MOST_WHOLE_BYTES
            ):
                self.idle_frames = 0
                self.out.corked = stop < size
                block = bytes(shared[start:stop])
                self.on_headers(stream, block, flags & frames.END_STREAM != 0)
            else:
                self.out.corked = stop < size
                self._check(length, MOST_WHOLE_BYTES, kind)
                self._other(kind, flags, stream, bytes(shared[start:stop]))
            at = stop
        if at < size:
            self.rest = bytes(shared[at:size])
        if self.received > frames.MOST // 2:
            self.out.write(frames.window_update(0, self.received))
            self.received = 0

    def _expect_settings(self, begin: bytes) -> None:
        """HTTP/2 begins with SETTINGS, whoever speaks."""
        if begin[3] != frames.SETTINGS or begin[:5] == b"HTTP/":
            raise BrokenProtocol(f"it does not speak HTTP/2: its first bytes are {shown(begin)!r}")

    def _check(self, length: int, most: int, kind: int) -> None:
        if length > most:
            raise BrokenProtocol(
                f"a frame of kind {kind} and {length:,} bytes has come",
                frames.FRAME_SIZE_ERROR,
            )

    def _begin_data(self, at: int, size: int, length: int, flags: int, stream: int) -> int:
        """Begin a DATA frame whose payload begins at `at`, where it is not whole or padded; where
        to read on, or -1: wait for its first byte.
        """
        self._check(length, LARGEST_FRAME, frames.DATA)
        padding = 0
        if flags & frames.PADDED:
            if at == size and length:
                return -1
            padding = self.shared[at] if length else 0
            if padding >= length:
                raise BrokenProtocol("a frame has more padding than bytes")
            at += 1
            self.left = length - 1 - padding
        else:
            self.left = length
        self.received += length
        self.skip = padding
        self.data_stream = stream
        self.data_flags = flags
        if not self.left:
            # nothing but padding
            self._idle_frame("DATA without data")
            self.on_data(stream, self.shared[at:at], self._data_ended())
        return self._more_data(at, size)

    def _more_data(self, at: int, size: int) -> int:
        """Take what has come of the DATA frame begun, or of what is skipped."""
        if self.left:
            taken = min(self.left, size - at)
            if taken:
                self.idle_frames = 0
                self.left -= taken
                self.out.corked = at + taken < size
                self.on_data(self.data_stream, self.shared[at : at + taken], self._data_ended())
                at += taken
        if not self.left and self.skip:
            taken = min(self.skip, size - at)
            self.skip -= taken
            at += taken
        return at

    def _idle_frame(self, what: str) -> None:
        self.idle_frames += 1
        if self.idle_frames > MOST_IDLE_FRAMES:
            raise BrokenProtocol(
                f"{MOST_IDLE_FRAMES:,} frames without an answer have come, the last of {what}",
                frames.ENHANCE_YOUR_CALM,
            )

    def _other(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """The frames that are rare: all but whole DATA, and HEADERS in one piece."""
        if kind == frames.HEADERS:
            self._begin_block(flags, stream, payload)
        elif kind == frames.CONTINUATION:
            self._more_block(flags, stream, payload)
        elif kind == frames.PUSH_PROMISE:
            raise BrokenProtocol("a push that was refused has come")
        elif kind == frames.GOAWAY:
            if len(payload) < 8:
                raise BrokenProtocol("GOAWAY is too short", frames.FRAME_SIZE_ERROR)
            last, code = (
                NUMBER.unpack_from(payload)[0] & frames.MOST,
                NUMBER.unpack_from(payload, 4)[0],
            )
            self.on_goaway(last, code, payload[8:].decode("utf-8", "replace"))
        else:
            self._idle_frame(_NAMES[kind])
            if len(payload) != _SIZES.get(kind, len(payload)):
                raise BrokenProtocol(
                    f"{_NAMES[kind]} has {len(payload)} bytes", frames.FRAME_SIZE_ERROR
                )
            if kind == frames.SETTINGS:
                self._settings(flags, payload)
            elif kind == frames.PING:
                if not flags & frames.ACK:
                    self.out.write(frame(frames.PING, frames.ACK, 0, payload))
            elif kind == frames.WINDOW_UPDATE:
                self.out.opened(stream, NUMBER.unpack(payload)[0] & frames.MOST)
            elif kind == frames.RST_STREAM:
                self.out.drop(stream)
                self.on_reset(stream, NUMBER.unpack(payload)[0])

    def _begin_block(self, flags: int, stream: int, payload: bytes) -> None:
        self.idle_frames = 0
        start, stop = 0, len(payload)
        if flags & frames.PADDED:
            start, stop = 1, stop - (payload[0] if payload else 0)
        if flags & frames.PRIORITISED:
            start += 5
        if start > stop:
            raise BrokenProtocol("HEADERS has more padding than bytes")
        if flags & frames.END_HEADERS:
            self.on_headers(stream, payload[start:stop], flags & frames.END_STREAM != 0)
            return
        self.block_stream, self.block_flags, self.block = stream, flags, [payload[start:stop]]

    def _more_block(self, flags: int, stream: int, payload: bytes) -> None:
        if not self.block or stream != self.block_stream:
            raise BrokenProtocol("CONTINUATION continues nothing")
        self.block.append(payload)
        if len(self.block) > MOST_CONTINUATIONS or sum(map(len, self.block)) > MOST_WHOLE_BYTES:
            raise BrokenProtocol(
                f"headers of more than {MOST_WHOLE_BYTES:,} bytes or {MOST_CONTINUATIONS} frames "
                "have come",
                frames.ENHANCE_YOUR_CALM,
            )
        if flags & frames.END_HEADERS:
            block, self.block = b"".join(self.block), []
            self.on_headers(stream, block, self.block_flags & frames.END_STREAM != 0)

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        if len(payload) % SETTING.size:
            raise BrokenProtocol("SETTINGS is cut off", frames.FRAME_SIZE_ERROR)
        for key, value in SETTING.iter_unpack(payload):
            if key == frames.INITIAL_WINDOW_SIZE:
                if value > frames.MOST:
                    raise BrokenProtocol(f"a window of {value:,}", frames.FLOW_CONTROL_ERROR)
                self.out.first_window_changed(value)
            elif key == frames.MAX_FRAME_SIZE:
                if not frames.FIRST_FRAME_SIZE <= value < 1 << 24:
                    raise BrokenProtocol(f"a largest frame of {value:,} bytes")
                self.out.frame_size = value
            elif key == frames.MAX_CONCURRENT_STREAMS:
                self.most_streams = value
        self.out.write(frames.SETTINGS_ACK)
        self.settled = True
        self.on_settings()
        self.out.pump()

    # The connection

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.out.start(transport)

    def give_up(self, fault: BrokenProtocol) -> None:
        """Tell the peer what is wrong, and end the connection."""
        self.fault = fault
        self.left = self.skip = 0
        self.out.corked = False
        self.out.write(frames.goaway(0, fault.code, str(fault)))
        self.out.stop()
        if self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> bool | None:
        return False


_NAMES = {
    frames.RST_STREAM: "RST_STREAM",
    frames.SETTINGS: "SETTINGS",
    frames.PING: "PING",
    frames.WINDOW_UPDATE: "WINDOW_UPDATE",
}
_SIZES = {frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}

"""HTTP/2's frames as bytes: packed here, unpacked by `FRAME` where they are read (RFC 9113).

Header blocks are stateless: they name the static table and literals that are never indexed, so the
same headers are the same bytes on every connection (RFC 7541).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# length's high byte, its low 16 bits, kind, flags, stream
FRAME = struct.Struct(">BHBBI")
NUMBER = struct.Struct(">I")
SETTING = struct.Struct(">HI")
FRAME_BYTES = FRAME.size

DATA = 0
HEADERS = 1
PRIORITY = 2
RST_STREAM = 3
SETTINGS = 4
PUSH_PROMISE = 5
PING = 6
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9

ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5

# The largest a window and a stream's number may be, and what both sides begin with.
MOST = (1 << 31) - 1
FIRST_WINDOW = 65_535
FIRST_FRAME_SIZE = 16_384

# A dynamic table of 0 bytes, said once on a connection before its first header: whatever size the
# peer allows later, nothing more has to be said.
NO_TABLE = b"\x20"

NO_ERROR = 0
PROTOCOL_ERROR = 1
FLOW_CONTROL_ERROR = 3
FRAME_SIZE_ERROR = 6
REFUSED_STREAM = 7
CANCEL = 8
COMPRESSION_ERROR = 9
ENHANCE_YOUR_CALM = 11
ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)


def error_name(code: int) -> str:
    return ERRORS[code] if code < len(ERRORS) else f"error {code}"


def frame_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    return FRAME.pack(length >> 16, length & 0xFFFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frame_head(len(payload), kind, flags, stream) + payload


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*each) for each in values.items()))


SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(increment))


def reset(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, NUMBER.pack(code))


def goaway(last: int, code: int, words: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, NUMBER.pack(last) + NUMBER.pack(code) + words.encode())


def header_frames(stream: int, block: bytes, flags: int = 0) -> bytes:
    """HEADERS, and CONTINUATION where the block is longer than any peer must take in one frame."""
    if len(block) <= FIRST_FRAME_SIZE:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    pieces = [block[at : at + FIRST_FRAME_SIZE] for at in range(0, len(block), FIRST_FRAME_SIZE)]
    frames = [frame(HEADERS, flags, stream, pieces[0])]
    frames += [frame(CONTINUATION, 0, stream, each) for each in pieces[1:-1]]
    frames.append(frame(CONTINUATION, END_HEADERS, stream, pieces[-1]))
    return b"".join(frames)


def header_block(fields: Iterable[tuple[str, str]]) -> bytes:
    """The fields in their order as one block that changes no table and needs none."""
    from hpack import Encoder

    return Encoder().encode([(name, value, True) for name, value in fields], huffman=False)

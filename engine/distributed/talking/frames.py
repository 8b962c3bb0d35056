"""What a driver and a node say to each other, as bytes: both prove first that they know the node's
secret, then each sends frames, sealed with a key of the connection and numbered.

The secret is never sent, and what comes from whoever does not know it is not looked at further: a
driver's messages are pickles, which run code. Nothing is encrypted.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Iterator
from enum import IntEnum

SECRET_BYTES = 32
_MAGIC = b"qs-node1"
_NONCE_BYTES = 32
_PROOF_BYTES = 32
_NUMBER = struct.Struct("<I")
MOST_NODES = 1 << 32
_HEAD = struct.Struct("<IB")
_SEAL_BYTES = 16
_COUNT = struct.Struct("<QB")
# What a clock's frame says: number of the round trip, monotonic ns, ns since the epoch.
CLOCKS = struct.Struct("<Qqq")
# A longer message goes in several frames, so that others find their turn between them.
MOST_FRAME_BYTES = 1 << 20

CHALLENGE_BYTES = len(_MAGIC) + _NONCE_BYTES
RESPONSE_BYTES = _NUMBER.size + _NONCE_BYTES + _PROOF_BYTES
WELCOME_BYTES = _PROOF_BYTES


class FrameError(ValueError):
    """The other side sent what it should not have; the connection is of no use any more."""


class Kind(IntEnum):
    """What a frame is, for those who handle it before it is read."""

    MESSAGE = 0  # the end of a message, or all of it
    PART = 1  # of a message that goes on
    CLOCK = 2  # a round trip: to a node its number, back the same with the node's clocks
    ALIVE = 3  # to a node once a second, and back
    CUT = 4  # to a node: end a call that blocks its run
    BYE = 5  # to a node: end
    ENDED = 6  # of a node: how its process ended
    UPDATE = 7  # of a node: what its run has measured by now
    SHORT = 8  # to a node: a message that may come between the frames of another


def challenge() -> bytes:
    """What a driver sends first."""
    return _MAGIC + os.urandom(_NONCE_BYTES)


def response(challenged: bytes, number: int, secret: bytes) -> bytes:
    """What a node answers: who it is, and that it knows the secret. Raises FrameError if what it
    was asked is no challenge.
    """
    if len(challenged) != CHALLENGE_BYTES or not challenged.startswith(_MAGIC):
        raise FrameError("what listens there is no driver of nodes, or one of another version")
    said = _NUMBER.pack(number) + os.urandom(_NONCE_BYTES)
    return said + _proof(secret, b"node", challenged, said)


def number_in(answered: bytes) -> int:
    """Which node a response claims to be of."""
    return int(_NUMBER.unpack_from(answered)[0])


def welcome(challenged: bytes, answered: bytes, secret: bytes) -> bytes:
    """What a driver sends a node that knows the secret, which shows that it knows it too. Raises
    FrameError if the node does not.
    """
    said, proof = answered[:-_PROOF_BYTES], answered[-_PROOF_BYTES:]
    if not hmac.compare_digest(proof, _proof(secret, b"node", challenged, said)):
        raise FrameError("it does not know the secret")
    return _proof(secret, b"driver", challenged, said)


def keys(challenged: bytes, answered: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """The keys of a connection: of what the driver sends, and of what the node sends."""
    said = answered[:-_PROOF_BYTES]
    return _proof(secret, b"down", challenged, said), _proof(secret, b"up", challenged, said)


def check_welcome(welcomed: bytes, challenged: bytes, answered: bytes, secret: bytes) -> None:
    """Raises FrameError if whoever sent it does not know the secret."""
    said = answered[:-_PROOF_BYTES]
    if not hmac.compare_digest(welcomed, _proof(secret, b"driver", challenged, said)):
        raise FrameError("the driver does not know the secret")


def _proof(secret: bytes, who: bytes, challenged: bytes, said: bytes) -> bytes:
    # All parts but the first have one length each, and no first is the beginning of another.
    return hmac.digest(secret, who + challenged + said, "sha256")


class Sealer:
    """Makes frames of what is sent in one direction. Without a key, those of a pipe between
    processes that trust each other.
    """

    def __init__(self, key: bytes | None):
        self._key = key
        self._count = 0

    def frame(self, kind: int, body: bytes | memoryview = b"") -> bytes:
        """One frame; the body is at most MOST_FRAME_BYTES."""
        head = _HEAD.pack(len(body), kind)
        if self._key is None:
            return b"".join((head, body))
        seal = _seal(self._key, self._count, kind, body)
        self._count += 1
        return b"".join((head, seal, body))

    def take_back(self) -> None:
        """The last frame was not sent."""
        self._count -= 1

    @staticmethod
    def parts(body: bytes) -> Iterator[tuple[Kind, memoryview]]:
        """Kind and body of the frames of one message."""
        view = memoryview(body)
        last = max(len(body) - 1, 0) // MOST_FRAME_BYTES * MOST_FRAME_BYTES
        for at in range(0, last, MOST_FRAME_BYTES):
            yield Kind.PART, view[at : at + MOST_FRAME_BYTES]
        yield Kind.MESSAGE, view[last:]

    def message(self, body: bytes) -> Iterator[bytes]:
        """The frames of one message."""
        return (self.frame(*each) for each in self.parts(body))


class Opener:
    """Finds the frames in what comes from one direction."""

    def __init__(self, key: bytes | None):
        self._key = key
        self._count = 0
        self._rest = bytearray()

    def frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The kind and the body of each frame that is whole by now. Raises FrameError for one that
        is too long or whose seal is not right.
        """
        rest = self._rest
        rest += data
        start = _HEAD.size + (0 if self._key is None else _SEAL_BYTES)
        at = 0
        try:
            while len(rest) - at >= _HEAD.size:
                size, kind = _HEAD.unpack_from(rest, at)
                if size > MOST_FRAME_BYTES:
                    raise FrameError(f"a frame of {size:,} bytes")
                if len(rest) - at < start + size:
                    break
                body = bytes(rest[at + start : at + start + size])
                if self._key is not None:
                    seal = bytes(rest[at + _HEAD.size : at + start])
                    expected = _seal(self._key, self._count, kind, body)
                    if not hmac.compare_digest(seal, expected):
                        raise FrameError("a frame whose seal is not right")
                    self._count += 1
                at += start + size
                yield kind, body
        finally:
            del rest[:at]


def _seal(key: bytes, count: int, kind: int, body: bytes | memoryview) -> bytes:
    """HMAC-SHA256, cut to half its length (RFC 2104, 5). The count keeps frames from being left
    out, doubled or put in another order.
    """
    return hmac.digest(key, b"".join((_COUNT.pack(count, kind), body)), "sha256")[:_SEAL_BYTES]


class Assembler:
    """Puts messages together from their frames."""

    def __init__(self, most_bytes: int):
        self._most = most_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, kind: int, body: bytes) -> bytes | None:
        """The message, with its last frame. Raises FrameError for one that is too long."""
        self._size += len(body)
        if self._size > self._most:
            raise FrameError(f"a message of more than {self._most:,} bytes")
        if kind == Kind.PART:
            self._parts.append(body)
            return None
        whole = b"".join((*self._parts, body)) if self._parts else body
        self._parts, self._size = [], 0
        return whole

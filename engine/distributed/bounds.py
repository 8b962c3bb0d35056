"""How much a node may say without being asked."""

from __future__ import annotations

from qs.engine.distributed.frames import FrameError

# Five updates, two round trips and a sign of life a second are usual.
FRAMES_PER_S, MOST_FRAMES = 100.0, 1_000.0
BYTES_PER_S, MOST_BYTES = float(4 << 20), float(32 << 20)


class Allowance:
    """Fills with time, and is used up by what is said (a token bucket of frames, one of bytes)."""

    def __init__(self) -> None:
        self._frames, self._bytes = MOST_FRAMES, MOST_BYTES
        self._last_ns: int | None = None

    def take(self, size: int, now_ns: int) -> None:
        """One frame of so many bytes. Raises FrameError if that is too much."""
        since_s = 0.0 if self._last_ns is None else max(now_ns - self._last_ns, 0) / 1e9
        self._last_ns = now_ns
        self._frames = min(self._frames + since_s * FRAMES_PER_S, MOST_FRAMES) - 1
        self._bytes = min(self._bytes + since_s * BYTES_PER_S, MOST_BYTES) - size
        if self._frames < 0:
            raise FrameError(f"a flood: more than {FRAMES_PER_S:g} messages/s")
        if self._bytes < 0:
            raise FrameError(f"a flood: more than {int(BYTES_PER_S):,} bytes/s")

    def give(self, frames: int = 1) -> None:
        """It was asked for something that is answered by so many frames."""
        self._frames = min(self._frames + frames, MOST_FRAMES)

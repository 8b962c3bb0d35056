"""How much a node may say without being asked, and how much work that may make."""

from __future__ import annotations

from qs.engine.distributed.talking.frames import FrameError

# Five updates, four round trips and a sign of life a second are usual, of some kB each; reading
# them takes a driver a millisecond or two a second.
FRAMES_PER_S, MOST_FRAMES = 100.0, 1_000.0
BYTES_PER_S, MOST_BYTES = float(4 << 20), float(8 << 20)
SHARE_OF_CPU, MOST_CPU_S = 0.1, 5.0


class Allowance:
    """Fills with time, and is used up by what is said (a token bucket each for frames, for bytes
    and for the time that it takes to read them).
    """

    def __init__(self, now_ns: int):
        self._frames, self._bytes, self._cpu_s = MOST_FRAMES, MOST_BYTES, MOST_CPU_S
        self._last_ns = now_ns

    def take(self, size: int, now_ns: int) -> None:
        """One frame of so many bytes. Raises FrameError if that is too much."""
        since_s = max(now_ns - self._last_ns, 0) / 1e9
        self._last_ns = now_ns
        self._frames = min(self._frames + since_s * FRAMES_PER_S, MOST_FRAMES) - 1
        self._bytes = min(self._bytes + since_s * BYTES_PER_S, MOST_BYTES) - size
        self._cpu_s = min(self._cpu_s + since_s * SHARE_OF_CPU, MOST_CPU_S)
        if self._frames < 0:
            raise FrameError(f"a flood of messages, more than {FRAMES_PER_S:g} a second")
        if self._bytes < 0:
            raise FrameError(f"a flood of bytes, more than {int(BYTES_PER_S):,} a second")

    def work(self, cpu_s: float) -> None:
        """Reading it took so long. Raises FrameError if that is too much."""
        self._cpu_s -= cpu_s
        if self._cpu_s < 0:
            raise FrameError("messages that take too long to read")

    def give(self) -> None:
        """It was asked something that one frame answers."""
        self._frames = min(self._frames + 1, MOST_FRAMES)

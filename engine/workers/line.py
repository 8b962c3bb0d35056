"""The line of due requests that wait for one of a bounded number of places, first come, first
served: a cap on concurrency holds them back, and this counts how many and for how long.
"""

from __future__ import annotations

from collections import deque

from qs.engine.outcome import HELD_BACK, HELD_BACK_MS


class Line:
    """`held` requests have waited, for `held_ns` in all; `waiting` are there now."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, int]] = deque()  # due, client
        self.held = self.held_ns = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, due: int, client: int = 0) -> None:
        self.held += 1
        self.waiting.append((due, client))

    def take(self, now: int) -> tuple[int, int]:
        """The first one, which has waited until now."""
        first = self.waiting.popleft()
        self.held_ns += now - first[0]
        return first

    def counts(self) -> dict[str, int]:
        return {HELD_BACK: self.held, HELD_BACK_MS: round(self.held_ns / 1e6)} if self.held else {}

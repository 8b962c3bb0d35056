"""Time-outs without a timer a request: now and then somebody looks at all that is under way.

Whoever looks says when the next one could be due, so that with limits of seconds it is a few looks
a second, however many requests pass meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC

# No time-out is seen later than this.
EVERY_NS = 20_000_000


class Sweep:
    """Calls `look(now_ns)` no more often than every 20 ms, and again when it has said: it returns
    the earliest time, ns, at which a time-out can fall due, of what is under way now or begins
    later; None: there is nothing to look for.
    """

    def __init__(self, look: Callable[[int], int | None]):
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False

    def start(self) -> None:
        self._tick()

    def stop(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self._ended:
            return
        now_ns = MONOTONIC.now_ns()
        next_ns = self._look(now_ns)
        if next_ns is None or self._ended:
            self._timer = None
            return
        pause_s = max(next_ns - now_ns, EVERY_NS) / 1e9
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._tick)


def sweep_line(calls: deque[Any], whole_ns: int, now_ns: int, late: Callable[[Any], None]) -> int:
    """Take from the front of a line, in order of issue, all calls that have ended or waited for
    `whole_ns`; `late` is told of the latter. Returns when the next is due, FOREVER_NS if none is.
    """
    while calls:
        call = calls[0]
        due: int = call.issued_ns + whole_ns
        if due > now_ns and not call.last_ns:
            return due
        calls.popleft()
        if not call.last_ns:
            late(call)
    return FOREVER_NS


def to_ns(limit_s: float | None) -> int:
    """A limit as ns; FOREVER_NS where there is none."""
    return FOREVER_NS if limit_s is None else int(limit_s * 1e9)

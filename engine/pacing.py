"""Waiting for a due time: sleep until shortly before it, spin the rest where a core is free for that.

Sleeps are until an instant, never for a while, so nothing drifts; and none is by an event loop's timer, which ticks in milliseconds.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import numpy as np

from engine.clock import Clock
from engine.memory import Field

# A sleeping worker looks at its stop flag this often.
NAP_NS = 50_000_000
# How far before the due time to wake up and spin: above the usual oversleep of a thread with minimal timer slack.
SPIN_NS = 60_000
_PR_SET_TIMERSLACK = 29


def sharpen_timer() -> None:
    """Ask for the least timer slack for this thread (Linux; 50 us by default), so that sleeps end when asked. Harmless elsewhere."""
    if sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        except (OSError, AttributeError):
            pass


def waiter(clock: Clock, header: np.ndarray, spin_ns: int) -> Callable[[int], int]:
    """A function that waits until an instant and returns the clock's reading there; less than the instant if it was stopped."""
    now_ns, sleep_ns = clock.now_ns, clock.sleep_ns

    def wait(due_ns: int) -> int:
        now = now_ns()
        while due_ns - now > spin_ns:
            if header[Field.STOP]:
                return now
            header[Field.SLICE_NS] = now  # waiting is not hanging
            sleep_ns(min(due_ns - now - spin_ns, NAP_NS))
            now = now_ns()
        while now < due_ns:
            now = now_ns()
        return now

    return wait

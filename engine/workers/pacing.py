"""Waiting for a due time: sleep until shortly before it, and spin the rest if a core is free.

Sleeps are until an instant, never for a while, so nothing drifts. None uses an event loop's timer,
which ticks in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qs.engine.clock import Clock
from qs.engine.record.memory import Field

# A sleeping worker looks at its stop flag this often.
NAP_NS = 50_000_000
# How long before the due time to wake up and spin. It is learned: a late awakening moves it up by
# three halves of what an early one moves it down, so that three sleeps in five end in time,
# whatever this machine's timers are like today. Catching the fourth would cost more spinning than
# it is worth: most of a sleep's lateness is the same each time, and the rest has a long tail.
SPIN_NS = 30_000
_SPIN_LEAST_NS = 4_000
_SPIN_MOST_NS = 100_000
_UP_NS = 1_500
_DOWN_NS = 1_000


def waiter(clock: Clock, header: np.ndarray, spin: bool) -> Callable[[int], int]:
    """A function that waits until an instant and returns the time then, which is less than the
    instant if the run was stopped.
    """
    now_ns, sleep_ns = clock.now_ns, clock.sleep_ns
    margin = SPIN_NS if spin else 0

    def wait(due_ns: int) -> int:
        nonlocal margin
        now = now_ns()
        if due_ns - now > margin:
            while due_ns - now > margin:
                if header[Field.STOP]:
                    return now
                header[Field.SLICE_NS] = now  # waiting is not hanging
                sleep_ns(min(due_ns - now - margin, NAP_NS))
                now = now_ns()
            if margin:
                margin = (
                    min(margin + _UP_NS, _SPIN_MOST_NS)
                    if now > due_ns
                    else max(margin - _DOWN_NS, _SPIN_LEAST_NS)
                )
        while now < due_ns:
            now = now_ns()
        return now

    return wait

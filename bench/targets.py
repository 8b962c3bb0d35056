"""What the benchmarks call, where a worker process must be able to find it by name."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any


def no_op(sample: Any) -> None:
    """Nothing, so that what remains is the engine's own cost."""


async def yield_once(sample: Any) -> None:
    """A coroutine that goes through the event loop once."""
    await asyncio.sleep(0)


class Sleeper:
    """A server of fixed service time: it sleeps, and holds neither a core nor the GIL meanwhile.

    The system's sleep ends 50 us late and more: 1 % of 5 ms, which behind a queue at 90 % load is
    10 % of all waiting. So it sleeps until `spin_s` before its end, and from then on looks at the
    clock, giving up the core and the GIL between looks.
    """

    def __init__(self, service_s: float, spin_s: float = 150e-6):
        self.service_s = service_s
        self.spin_s = spin_s

    def __call__(self, sample: Any) -> None:
        end = time.perf_counter() + self.service_s
        time.sleep(max(self.service_s - self.spin_s, 0.0))
        while time.perf_counter() < end:
            time.sleep(0)


class Pinned:
    """Makes targets that do nothing, in a process that it pins to a core."""

    def thread_target(self, core: int) -> Any:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), {core})
        return no_op

    inline_target = thread_target

    def async_target(self, core: int) -> Any:
        self.thread_target(core)
        return yield_once

"""Targets whose service times are known beforehand, for comparison with simulated queues."""

from __future__ import annotations

import asyncio
import os
import time

# A call that begins so soon after the last has ended begins at that end.
SOON_NS = 1_000_000
# The end of a sleep that is spun, since sleeps end late: those of an event loop by up to 1 ms.
SPUN_NS = 1_300_000


class Server:
    """Takes as many ns as its sample says, until an end that is fixed when a call begins: what a
    sleep takes too long, and what lies between two calls, does not add up over a busy period.
    """

    def __init__(self) -> None:
        self._ended_ns = 0

    def _end(self) -> int:
        now = time.perf_counter_ns()
        return self._ended_ns if now - self._ended_ns < SOON_NS else now

    def __call__(self, takes_ns: int) -> None:
        self._ended_ns = end = self._end() + takes_ns
        left_ns = end - time.perf_counter_ns()
        if left_ns > SPUN_NS:
            time.sleep((left_ns - SPUN_NS) / 1e9)
        while time.perf_counter_ns() < end:
            pass


class AwaitedServer(Server):
    """The same as a coroutine."""

    async def __call__(self, takes_ns: int) -> None:
        self._ended_ns = end = self._end() + takes_ns
        left_ns = end - time.perf_counter_ns()
        if left_ns > SPUN_NS:
            await asyncio.sleep((left_ns - SPUN_NS) / 1e9)
        while time.perf_counter_ns() < end:
            pass


class Notes:
    """Writes down each sample, a whole number, in a file that several processes share, before it
    answers after `pause_s`.
    """

    def __init__(self, path: str, pause_s: float = 0.0):
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._pause_s = pause_s

    def __call__(self, sample: int) -> None:
        os.write(self._fd, b"%d\n" % sample)
        time.sleep(self._pause_s)


class AwaitedNotes(Notes):
    """The same as a coroutine."""

    async def __call__(self, sample: int) -> None:
        os.write(self._fd, b"%d\n" % sample)
        await asyncio.sleep(self._pause_s)

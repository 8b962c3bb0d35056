"""Keeps as many connections open as are wanted: what is lost is replaced, in the background, and a
server that is down is tried again ever more slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from qs.engine.wire.failures import WireError

# So many connections are being made at a time: more would overflow a server's listen queue, and a
# SYN that is dropped there is sent again a second later.
AT_ONCE = 32
FIRST_PAUSE_S = 0.01
# A request that finds the server down waits no longer than this for the next attempt.
LONGEST_PAUSE_S = 0.25
# Servers end connections that were idle for some seconds, and all of them at the same time. If the
# same number came back at the same time, again and again, the server's other clients would feel it.
GENTLE_PAUSE_S = 0.05


class Keeper:
    """`connect` makes one connection, or raises WireError; `failed` is told of one that
    came to nothing once no other is under way, so that nobody goes on waiting for it.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[object]],
        failed: Callable[[WireError], None],
    ):
        self.wanted = 0
        self.live = 0
        self._connect = connect
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        # Whether the last attempts came to nothing: refused, or closed before they had brought an
        # answer, so that a server which accepts and closes at once does not keep this loop busy.
        self._troubled = False
        self._pause_s = FIRST_PAUSE_S
        self._gentle = 0  # of those that are missing, how many are opened one by one
        self._gentle_timer: asyncio.TimerHandle | None = None
        self._fault: WireError | None = None  # of those that are under way
        self._closed = False

    @property
    def opening(self) -> int:
        return len(self._tasks)

    @property
    def missing(self) -> int:
        """How many are to be opened as soon as possible."""
        return self.wanted - self.live - len(self._tasks) - self._gentle

    def made(self) -> None:
        """A connection is there."""
        self.live += 1

    def lost(self, *, served: bool, idle: bool = False) -> None:
        """A connection has ended; whether an answer had ever come over it, and whether it had been
        idle for long, so that nobody needs another one soon.
        """
        self.live -= 1
        if idle and self.live > 0:
            self._gentle += 1
        else:
            self._troubled = self._troubled or not served
        self.restore()

    def needed(self) -> None:
        """Somebody waits for a connection."""
        if self._gentle:
            self._gentle -= 1
            self.restore()

    def healthy(self) -> None:
        """A connection has brought its first answer."""
        self._pause_s = FIRST_PAUSE_S
        if self._troubled or self._timer is not None:
            self._troubled = False
            self._stop_timer()
            self.restore()

    def restore(self) -> None:
        """Open what is missing: at once, or after a pause where the last attempts came to
        nothing.
        """
        if self._closed or self._timer is not None:
            return
        if self.missing <= 0:
            if self._gentle and self._gentle_timer is None:
                loop = asyncio.get_running_loop()
                self._gentle_timer = loop.call_later(GENTLE_PAUSE_S, self._after_gentle_pause)
            return
        if not self._troubled:
            for _ in range(min(self.missing, AT_ONCE - len(self._tasks))):
                self._attempt()
        elif not self._tasks:
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._after_pause)

    async def close(self) -> None:
        """Nothing is opened any more."""
        self._closed = True
        self._stop_timer()
        if self._gentle_timer is not None:
            self._gentle_timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _after_gentle_pause(self) -> None:
        self._gentle_timer = None
        self.needed()

    def _after_pause(self) -> None:
        self._timer = None
        self._troubled = False
        if not self._closed and self.missing > 0:
            self._attempt()  # one, and the others once it has come to something

    def _attempt(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _open(self) -> None:
        try:
            await self._connect()
        except WireError as fault:
            self._troubled = True
            self._fault = fault

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()  # a fault of ours is not swallowed
        if self._fault is not None and not self._tasks and not self._closed:
            fault, self._fault = self._fault, None
            self._failed(fault)
        self.restore()


async def open_many(connect: Callable[[], Awaitable[object]], count: int) -> None:
    """So many connections, AT_ONCE at a time. Raises WireError if not all of them can be made."""
    begun = made = 0
    fault: WireError | None = None

    async def work() -> None:
        nonlocal begun, made, fault
        while begun < count and fault is None:
            begun += 1
            try:
                await connect()
            except WireError as first:
                fault = fault or first
            else:
                made += 1

    tasks = [asyncio.ensure_future(work()) for _ in range(min(count, AT_ONCE))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if fault is not None:
        message = f"{fault} ({made + 1:,} of {count + 1:,} connections could be opened)"
        raise WireError(message, fault.failure) from fault

"""Closed loop of started targets: when a client's request has ended, its next one is started, from
the same callback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.record.memory import Field
from qs.engine.record.recorder import Recorder
from qs.engine.workers.in_flight import TICK_S, InFlight, passed
from qs.engine.workers.slices import COUNT_NS, SLICE_NS, Slice
from qs.engine.workers.target import Target


class StartedClients:
    """The clients of one phase, warm-up or measured. Made on the loop that runs it."""

    def __init__(
        self,
        target: Target,
        feed: Iterator[Any],
        recorder: Recorder,  # of the phase
        header: np.ndarray,  # of the run, where it is asked to stop
        timeout_ns: int,
        abandoned: asyncio.Event,
    ):
        assert target.start is not None
        self._header, self._abandoned = header, abandoned
        self._stop = header.data[Field.STOP : Field.STOP + 1]
        self._requests = InFlight(
            target.start, feed, recorder, timeout_ns, self._ended, self._count
        )
        self._cursor = Slice(recorder, MONOTONIC)
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._ready: deque[int] = deque()  # clients that are to make their next request
        self._busy = False
        self._look_ns = self._counted_ns = 0

    async def run(
        self,
        counts: list[int | None],
        until_ns: int,
        think_s: float = 0.0,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """`counts` is how many requests each client makes, None until `until_ns` or the stop flag.
        Raises UnfinishedAnswer.
        """
        requests = self._requests
        self._left = [FOREVER_NS if count is None else count for count in counts]
        self._until_ns, self._think_s = until_ns, think_s
        self._thinking: dict[int, asyncio.TimerHandle] = {}
        self._stopping = False
        self._count()
        for client in range(len(counts)):
            self._think(client)
        try:
            self._issue()
            while requests or self._thinking or self._ready:
                await passed(self._over, TICK_S)
                if requests.fault is not None:
                    raise requests.fault
                now = MONOTONIC.now_ns()
                if now > self._counted_ns + COUNT_NS or not requests:
                    self._count()
                self._look(now)
                on_tick()
                requests.sweep(now)
                if self._stopping:
                    for handle in self._thinking.values():
                        handle.cancel()
                    self._thinking.clear()
                if self._abandoned.is_set():
                    break
        finally:
            self._stopping = True
            for handle in self._thinking.values():
                handle.cancel()
            await requests.give_up()
            self._cursor.count(requests.row)
            requests.row = 0
        if requests.fault is not None:
            raise requests.fault

    def _ended(self, client: int) -> None:
        """A client's request has ended; ~client: it was given up, and nobody waits for it."""
        if client >= 0:
            self._think(client)
        if not self._busy:
            self._issue()

    def _think(self, client: int) -> None:
        if self._think_s and self._left[client] and not self._stopping:
            self._thinking[client] = self._loop.call_later(self._think_s, self._thought, client)
        else:
            self._ready.append(client)

    def _thought(self, client: int) -> None:
        del self._thinking[client]
        self._ready.append(client)
        self._issue()

    def _issue(self) -> None:
        """Let every client that is ready make one request; those that are answered within their own
        start make their next in the loop's next pass.
        """
        requests, ready, left = self._requests, self._ready, self._left
        self._busy = True
        for _ in range(len(ready)):
            client = ready.popleft()
            now = MONOTONIC.now_ns()
            if now > self._look_ns:
                self._look(now)
            if left[client] and now < self._until_ns and not (self._stopping or self._stop[0]):
                left[client] -= 1
                requests.issue(now, client)
        self._busy = False
        if ready:
            self._loop.call_soon(self._issue)
        elif not requests and not self._thinking:
            self._over.set()

    def _look(self, now: int) -> None:
        """Whether the run has been stopped."""
        self._stopping = self._stopping or bool(self._header[Field.STOP]) or now >= self._until_ns
        self._header[Field.SLICE_NS] = now
        self._look_ns = now + SLICE_NS

    def _count(self) -> None:
        """Count the rows now."""
        self._cursor.count(self._requests.row)
        self._requests.row = 0
        self._cursor.begin()
        self._counted_ns = MONOTONIC.now_ns()

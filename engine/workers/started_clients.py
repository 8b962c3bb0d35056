"""Closed loop of started targets: when a client's request has ended its next one is started, from
the same callback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.machine.collector import Collector
from qs.engine.record.memory import STOP, Field
from qs.engine.record.recorder import Recorder
from qs.engine.workers.in_flight import InFlight
from qs.engine.workers.target import Target


class StartedClients:
    """The clients of one phase, warm-up or measured. Made on the loop that runs it."""

    def __init__(
        self,
        target: Target,
        feed: Iterator[Any],
        recorder: Recorder,  # of the phase
        collector: Collector,
        header: np.ndarray,  # of the run, where it is asked to stop
        timeout_ns: int,
        abandoned: asyncio.Event,
    ):
        assert target.start is not None
        self._abandoned = abandoned
        self._header = header.data
        self._requests = InFlight(target.start, feed, recorder, collector, timeout_ns, self._ended)
        self._loop = asyncio.get_running_loop()
        self._ready: deque[int] = deque()  # clients that are to make their next request
        self._thinking: dict[int, asyncio.TimerHandle] = {}
        self._busy = False

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
        self._left = [FOREVER_NS if count is None else count for count in counts]
        self._until_ns, self._think_s, self._on_tick = until_ns, think_s, on_tick
        self._requests.count()
        for client in range(len(counts)):
            self._think(client)
        self._issue()
        try:
            await self._requests.watch(lambda: self._thinking or self._ready, self._tick)
        finally:
            self._end_thinking()

    def _tick(self, now: int) -> bool:
        header = self._header
        header[Field.SLICE_NS] = now
        self._on_tick()
        if header[STOP] or now >= self._until_ns:
            self._end_thinking()
        return self._abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now

    def _ended(self, client: int, call: Any) -> None:
        """A client's request has ended; nobody waits for one that was given up."""
        if self._busy or self._think_s or client < 0 or self._ready:
            if client >= 0:
                self._think(client)
            if not self._busy:
                self._issue()
            return
        # As `_issue` with this client alone, for what nearly all ends are.
        now = MONOTONIC.now_ns()
        if self._left[client] and now < self._until_ns and not self._header[STOP]:
            self._left[client] -= 1
            self._busy = True
            self._requests.issue(now, now, client)
            self._busy = False
            if self._ready:
                self._loop.call_soon(self._issue)
        elif not self._requests:
            self._requests.over.set()

    def _think(self, client: int) -> None:
        if self._think_s and self._left[client] and not self._header[STOP]:
            self._thinking[client] = self._loop.call_later(self._think_s, self._thought, client)
        else:
            self._ready.append(client)

    def _thought(self, client: int) -> None:
        del self._thinking[client]
        self._ready.append(client)
        self._issue()

    def _end_thinking(self) -> None:
        for handle in self._thinking.values():
            handle.cancel()
        self._thinking.clear()

    def _issue(self) -> None:
        """Let every client that is ready make one request; those that are answered within their own
        start make their next in the loop's next pass.
        """
        ready, left, header, requests = self._ready, self._left, self._header, self._requests
        self._busy = True
        for _ in range(len(ready)):
            client = ready.popleft()
            now = MONOTONIC.now_ns()
            if left[client] and now < self._until_ns and not header[STOP]:
                left[client] -= 1
                requests.issue(now, now, client)
        self._busy = False
        if ready:
            self._loop.call_soon(self._issue)
        elif not requests:
            self._requests.over.set()

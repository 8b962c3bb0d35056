"""Reads the kept requests of one worker, batch by batch, in a thread of its own: a reader may
raise, tell nonsense, or never come back, and whoever waits for it goes on all the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from qs.engine.clock import MONOTONIC
from qs.engine.errors import words
from qs.engine.measures.counting import Counter
from qs.engine.measures.found import Found
from qs.engine.measures.keeping import Keeper
from qs.engine.measures.measure import Ended, Reader, Reading
from qs.engine.outcome import Unread
from qs.engine.record.memory import Field

# Requests of a batch: as many as take about BATCH_NS, so that one can end within a moment.
FEWEST, MOST = 8, 1_024
BATCH_NS = 50_000_000
# How long a reader may take for a batch.
LIMIT_NS = 60_000_000_000
# Where it raises, requests are read one by one, so that the others are not lost; so often.
MOST_RAISED = 100
TICK_S = 0.1


class ReadOut:
    """The reading of one worker's requests. `found` is what was found so far, by batch: whoever
    takes it, empties it.
    """

    def __init__(self, keeper: Keeper, reader: Reader | None, counter: Counter):
        self.found: deque[Found] = deque()
        self.read = 0  # requests so far
        self._keeper, self._reader, self._counter = keeper, reader, counter
        self._size = FEWEST
        self._raised = 0
        self._began_ns = 0  # the batch in hand
        self._over = self._ended = False  # nobody waits any more; all has been read

    async def run(self, header: np.ndarray, on_tick: Callable[[], None]) -> None:
        """Read, from when the worker's header allows it until all is read, the reader hangs, or the
        header says that it is enough.
        """
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            try:
                self._work()
            finally:
                try:
                    loop.call_soon_threadsafe(done.set)
                except RuntimeError:
                    pass  # the loop has closed: nobody waits any more

        async def tick() -> int:
            try:
                await asyncio.wait_for(done.wait(), TICK_S)
            except asyncio.TimeoutError:
                pass
            now = MONOTONIC.now_ns()
            header[Field.READER_NS], header[Field.READ] = now, self.read
            on_tick()
            return now

        now = MONOTONIC.now_ns()
        while not header[Field.READ_NS]:
            now = await tick()
        self._began_ns = now
        threading.Thread(target=work, name="reader", daemon=True).start()
        while not self._ended:
            now = await tick()
            if not self._ended and now > header[Field.READ_NS]:
                self._give_up(Unread.INTERRUPTED)
                break
            if now > self._began_ns + LIMIT_NS:
                self._give_up(Unread.HUNG)
                break
        header[Field.READ] = self.read
        keeper = self._keeper
        why = Unread.NO_ROOM if keeper.lost else None
        self.found.append(
            Found(
                unread=why, written_bytes=keeper.written_bytes, longest_write_ns=keeper.longest_ns
            )
        )

    def close(self) -> None:
        """No more is read."""
        self._over = True
        self._keeper.close()

    def _give_up(self, why: Unread) -> None:
        self._over = True
        self.found.append(Found(unread=why))

    def _work(self) -> None:
        """In the thread."""
        try:
            for batch in self._keeper.batches(lambda: self._size):
                began = MONOTONIC.now_ns()
                for found in self._found(batch):
                    if self._over:
                        return
                    self.found.append(found)
                    self.read += found.requests
                took = max(MONOTONIC.now_ns() - began, 1)
                wanted = self._size * min(BATCH_NS / took, 2.0)
                self._size = min(max(int(wanted), FEWEST), MOST)
        except Exception as fault:  # of what was kept, or of its file
            self.found.append(Found(unread=Unread.RAISED, fault=_shown(fault)))
        finally:
            self._ended = True

    def _found(self, batch: list[Ended]) -> Iterator[Found]:
        if self._over:
            return
        self._began_ns = MONOTONIC.now_ns()
        try:
            reading = Reading() if self._reader is None else self._reader(batch)
            found = self._counter.count(batch, reading)
        except BaseException as fault:  # it may raise anything, SystemExit included
            if len(batch) > 1 and self._raised < MOST_RAISED:
                for each in batch:
                    yield from self._found([each])
            else:
                self._raised += 1
                yield Found(unread=Unread.RAISED, fault=_shown(fault))
            return
        yield found


def _shown(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {words(fault)}"[:300]

"""Open loop of coroutines: a pacer thread sleeps until due times and posts what is due to the event
loop.

Event-loop timers tick in milliseconds, so they pace nothing here. Each due time becomes a task, or
waits in line for one of `max_in_flight` places. A request past its time-out is cancelled and
counted.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.errors import UnfinishedAnswer, is_interrupt
from qs.engine.machine.times import sharpen_timer
from qs.engine.outcome import ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, Halt, halted
from qs.engine.record.recorder import Recorder
from qs.engine.workers.clients import STUBBORN_NS, TICK_S, cancel
from qs.engine.workers.pacing import waiter
from qs.engine.workers.slices import Slice
from qs.engine.workers.target import Target


@dataclass(frozen=True)
class AsyncArrivals:
    """The measured phase of one share."""

    target: Target
    feed: Iterator[Any]
    recorder: Recorder
    plan: RunPlan
    abandoned: asyncio.Event

    async def run(self, queue: Iterable[Any], on_tick: Callable[[], None]) -> None:
        """Until the due times or the run have ended, and every issued request has returned or been
        given up.
        """
        target, feed, recorder, plan = self.target, self.feed, self.recorder, self.plan
        header = recorder.memory.header
        loop = asyncio.get_running_loop()
        now_ns = MONOTONIC.now_ns
        dues, issued, completed = recorder.due, recorder.issued, recorder.completed
        rows = recorder.rows
        most = plan.pool.max_in_flight or FOREVER_NS
        cap = FOREVER_NS if plan.max_backlog is None else plan.max_backlog
        timeout_ns = int(plan.timeout_s * 1e9)
        in_flight: dict[asyncio.Task, int] = {}
        late: set[asyncio.Task] = set()
        backlog: deque[int] = deque()
        ended = asyncio.Event()
        closing = False
        spent = 0  # when a failure had spent the error budget
        row = 0
        cursor = Slice(recorder, MONOTONIC)
        slice_end = cursor.begin()

        def turn() -> None:
            nonlocal row, slice_end
            row, slice_end = 0, cursor.turn(row)

        unfinished: list[UnfinishedAnswer] = []

        call: Callable[[Any], Awaitable[Any]] = target.call

        async def first(sample: Any) -> None:
            """Look at the first answer; all others are only awaited."""
            nonlocal call
            target.look(await target.call(sample))
            call = target.call

        call = first

        async def request(due: int, sample: Any) -> None:
            nonlocal row, spent
            if spent:
                if due <= spent:
                    recorder.fail(ErrorKind.NOT_ISSUED, now_ns())
                return
            start = now_ns()
            try:
                await call(sample)
            except asyncio.CancelledError:
                timed_out = asyncio.current_task() in late
                kind = ErrorKind.CUT_OFF if closing else "CancelledError"
                kind = ErrorKind.TIMEOUT if timed_out else kind
                recorder.fail(kind, now_ns(), times=(due, start))
                return
            except UnfinishedAnswer as fault:
                unfinished.append(fault)
                return
            except BaseException as fault:  # a target may raise anything
                if is_interrupt(fault):
                    raise
                recorder.raised(fault, now_ns(), times=(due, start))
                if header[Field.STOP] == Halt.NOW:
                    spent = spent or now_ns()
                return
            end = now_ns()
            dues[row] = due
            issued[row] = start
            completed[row] = end
            row += 1
            if row == rows or end >= slice_end:
                turn()

        def done(task: asyncio.Task) -> None:
            in_flight.pop(task, None)
            late.discard(task)
            if backlog and len(in_flight) < most:
                issue(backlog.popleft())

        def issue(due: int) -> None:
            task = loop.create_task(request(due, next(feed)))
            in_flight[task] = now_ns()
            task.add_done_callback(done)

        def post(batch: list[int]) -> None:
            for due in batch:
                if len(in_flight) < most:
                    issue(due)
                else:
                    backlog.append(due)
                    if len(backlog) > cap + 1:  # the first in line has more than the cap behind it
                        recorder.drop(backlog.popleft(), now_ns())

        pacer = threading.Thread(
            target=self._pace, args=(loop, queue, post, ended), name="pacer", daemon=True
        )
        pacer.start()
        try:
            while not (ended.is_set() and not in_flight and not backlog):
                await asyncio.sleep(TICK_S if in_flight or backlog or not ended.is_set() else 0)
                turn()
                on_tick()
                if unfinished:
                    raise unfinished[0]
                limit = now_ns() - timeout_ns
                for task, start in list(in_flight.items()):
                    if start >= limit:
                        break  # in order of issue: the rest are younger
                    if task not in late:
                        late.add(task)
                        task.cancel()
                    elif start < limit - STUBBORN_NS:
                        recorder.fail(ErrorKind.HUNG, now_ns())  # its target would not be cancelled
                        done(task)
                given_up = self.abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now_ns()
                if given_up or header[Field.STOP] == Halt.NOW:
                    ended.set()
                    for _ in backlog:
                        recorder.fail(ErrorKind.NOT_ISSUED, now_ns())
                    backlog.clear()
                if given_up:
                    closing = True
                    for _ in await cancel(set(in_flight)):
                        recorder.fail(ErrorKind.CUT_OFF, now_ns())
                    break
        finally:
            closing = True
            await cancel(set(in_flight))
        cursor.count(row)
        if unfinished:
            raise unfinished[0]

    def _pace(
        self,
        loop: asyncio.AbstractEventLoop,
        queue: Iterable[Any],
        post: Callable[[list[int]], None],
        ended: asyncio.Event,
    ) -> None:
        """The pacer thread: sleeps until the next due time and hands over everything that is due.
        It never spins, since it would hold the GIL against the loop that it feeds.
        """
        sharpen_timer()
        header = self.recorder.memory.header
        wait = waiter(MONOTONIC, header, spin=False)
        batch: list[int] = []
        try:
            for block in queue:
                for due in block:
                    now = MONOTONIC.now_ns()
                    if due > now:
                        if batch:
                            loop.call_soon_threadsafe(post, batch)
                            batch = []
                        if wait(due) < due:
                            return
                    batch.append(due)
                    if len(batch) >= 1_024:
                        loop.call_soon_threadsafe(post, batch)
                        batch = []
                        if halted(header, due):
                            return
            if batch:
                loop.call_soon_threadsafe(post, batch)
        except RuntimeError:
            return  # the loop has closed
        finally:
            try:
                loop.call_soon_threadsafe(ended.set)
            except RuntimeError:
                pass

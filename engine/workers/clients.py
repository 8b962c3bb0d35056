"""Closed loop of coroutines: clients as tasks of one event loop, each awaiting its request before
it makes the next.

A request past its time-out is cancelled and counted; if its target refuses to be cancelled it is
counted as hung, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from qs.engine.clock import MONOTONIC
from qs.engine.errors import UnfinishedAnswer, is_interrupt
from qs.engine.machine.collector import Collector
from qs.engine.outcome import ErrorKind
from qs.engine.record.memory import Field
from qs.engine.record.recorder import Recorder
from qs.engine.workers.in_flight import STUBBORN_NS, TICK_S
from qs.engine.workers.slices import COUNT_NS, Slice
from qs.engine.workers.target import Target


@dataclass(frozen=True)
class AsyncClients:
    """The clients of one phase, warm-up or measured."""

    target: Target
    feed: Iterator[Any]
    recorder: Recorder  # of the phase
    collector: Collector
    header: np.ndarray  # of the run, where it is asked to stop
    timeout_ns: int
    abandoned: asyncio.Event
    _given_up: set[asyncio.Task] = field(default_factory=set)

    async def run(
        self,
        counts: list[int | None],
        until_ns: int,
        think_s: float = 0.0,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """One task a client; `counts` is how many requests each makes, None until `until_ns` or the
        stop flag.
        """
        target, feed = self.target, self.feed
        header, recorder = self.header, self.recorder
        now_ns = MONOTONIC.now_ns
        issued, completed, rows = recorder.issued, recorder.completed, recorder.rows
        began = [0] * len(counts)  # when the request in hand was issued; -then: cancelled then
        row = counted_ns = 0
        limit_ns = 0 if header[Field.STOP] else until_ns  # 0: the run was stopped
        closing = False
        cursor = Slice(recorder, MONOTONIC)

        def count() -> None:
            nonlocal row, counted_ns
            cursor.turn(row)
            row, counted_ns = 0, now_ns()
            self.collector.collect(in_a_pause=False)

        def look() -> None:
            nonlocal limit_ns
            if header[Field.STOP]:
                limit_ns = 0

        def fail(number: int, start: int, fault: BaseException) -> None:
            nonlocal row
            ended = now_ns()
            issued[row], completed[row] = start, ended
            if began[number] < 0 and isinstance(fault, asyncio.CancelledError):
                uncancel()
                recorder.fail(ErrorKind.TIMEOUT, ended, row=row)
            else:
                recorder.raised(fault, ended, row)
            began[number] = 0
            row += 1
            if row == rows:
                count()
            look()

        call: Callable[[Any], Awaitable[Any]] = target.call

        async def first(sample: Any) -> None:
            """Look at the first answer; all others are only awaited."""
            nonlocal call
            target.look(await target.call(sample))
            call = target.call

        call = first

        async def client(number: int, samples: Iterator[Any]) -> None:
            nonlocal row
            for sample in samples:
                if think_s:
                    began[number] = 0
                    left_s = max(until_ns - now_ns(), 0) / 1e9
                    await asyncio.sleep(min(think_s, left_s))
                    if think_s >= left_s:  # the loop's timer may be early
                        return
                began[number] = start = now_ns()
                if start >= limit_ns:
                    return
                try:
                    await call(sample)
                except UnfinishedAnswer:
                    raise
                except BaseException as fault:  # a target may raise anything
                    if closing or is_interrupt(fault):
                        raise
                    fail(number, start, fault)
                    await asyncio.sleep(0)
                    continue
                end = now_ns()
                issued[row] = start
                completed[row] = end
                row += 1
                if row == rows:
                    count()

        count()
        tasks = [
            asyncio.ensure_future(client(number, islice(feed, many)))
            for number, many in enumerate(counts)
        ]
        waiting: set[asyncio.Task] = set(tasks)
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=TICK_S)
                header[Field.SLICE_NS] = now_ns()
                look()
                if now_ns() > counted_ns + COUNT_NS:
                    count()
                on_tick()
                if not limit_ns:
                    for task, began_ns in zip(tasks, began):
                        if not began_ns:  # it thinks
                            task.cancel()
                waiting -= self._cancel_late(tasks, began)
                drained = 0 < header[Field.DRAIN_NS] < now_ns()
                if waiting and (drained or self.abandoned.is_set()):
                    for _ in waiting:
                        recorder.fail(ErrorKind.CUT_OFF, now_ns())
                    break
        finally:
            closing = True
            await cancel({task for task in tasks if not task.done()})
        cursor.count(row)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    def _cancel_late(self, tasks: list[asyncio.Task], began: list[int]) -> set[asyncio.Task]:
        """Cancel requests past their time-out. Returns the clients whose target refuses to be
        cancelled: nobody waits for them.
        """
        now = MONOTONIC.now_ns()
        for number, task in enumerate(tasks):
            if task.done() or not began[number] or task in self._given_up:
                continue
            if began[number] < 0:
                if now + began[number] > STUBBORN_NS:
                    self._given_up.add(task)
                    self.recorder.fail(ErrorKind.HUNG, now)
            elif now - began[number] > self.timeout_ns:
                began[number] = -now
                task.cancel()
        return self._given_up


async def cancel(tasks: set[asyncio.Task]) -> set[asyncio.Task]:
    """Cancel tasks and wait a while for their ends. Returns those that have not ended: a target
    may refuse.
    """
    for task in tasks:
        task.cancel()
    if not tasks:
        return tasks
    _, refusing = await asyncio.wait(tasks, timeout=STUBBORN_NS / 1e9)
    return refusing


def uncancel() -> None:
    """Python 3.11 and later count cancellations; this one has been answered."""
    task = asyncio.current_task()
    if task is not None and hasattr(task, "uncancel"):
        task.uncancel()

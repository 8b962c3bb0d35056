"""Coroutine targets: requests as coroutines of one event loop, in closed or open loop.

The counterpart of `WorkerGroup` for targets that await. One loop is one worker with one recorder;
its rows are stored as requests complete. `AsyncClients` (closed loop) and `AsyncArrivals` (open
loop) make the requests.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.errors import HostError, UnfinishedAnswer, is_interrupt
from qs.engine.machine.times import ThreadUse
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Halt, Phase, WorkerMemory, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WarmUp, WorkerReport
from qs.engine.workers.arrivals import AsyncArrivals
from qs.engine.workers.clients import AsyncClients
from qs.engine.workers.share import PlanShare, blocks_of, iterations_of, queue_of, until_ns_of
from qs.engine.workers.target import Target, build
from qs.engine.workers.warmup import warm_up_recorder


@dataclass(frozen=True)
class _Ready:
    """What is there once the target has been built."""

    target: Target
    feed: Iterator[Any]
    blocks: Iterator[np.ndarray]  # the schedule; empty in closed loop


class AsyncGroup:
    """Runs one share on the current event loop. Await `prepare`, call `go`, await `finish`. It is a
    session as the conductor knows them.
    """

    inline = False
    place = ""
    heard = 0

    _ready: _Ready  # by `prepare`

    def __init__(self, share: PlanShare, make: Callable[[int], Target], memory: WorkerMemory):
        """`make(instance)` builds the target; there is one instance."""
        self.share = share
        self.memories = [memory]
        self.reports = [WorkerReport(share.first)]
        self._make = make
        self._header = memory.header
        self._recorder = share.recorders(self.memories)[0]
        self._abandoned = asyncio.Event()

    # -- the caller's side

    async def prepare(self) -> None:
        """Build the target and warm it up. Raises HostError if it cannot be built."""
        share, plan = self.share, self.share.plan
        try:
            blocks = blocks_of(share) if share.closed is None else iter(())
            target = self._make(share.first)
        except BaseException as fault:  # a factory may raise anything
            if is_interrupt(fault):
                raise
            raise HostError.of(fault) from fault
        self._ready = _Ready(target, target.feed(share.first, plan.samples_per_query), blocks)
        self._header[Field.PHASE] = Phase.WARM_UP
        if plan.warmup_iterations or plan.warmup_s:
            try:
                self.reports[0].warm = await self._warm_up()
            except UnfinishedAnswer as fault:
                raise HostError.of(fault) from None
        self._header[Field.PHASE] = Phase.READY

    def go(self, start_ns: int) -> None:
        self._header[Field.START_NS] = start_ns

    def beside(self, share: PlanShare, target: Any) -> AsyncGroup:
        """Another group in the same place, to be used before this one."""
        rows = self.memories[0].rows
        return AsyncGroup(share, lambda instance: build(target, None), local_memory(1, rows)[0])

    async def finish(self, on_tick: Callable[[], None] = lambda: None) -> list[WorkerReport]:
        """Run the measured phase to its end."""
        header, recorder, report = self._header, self._recorder, self.reports[0]
        header[Field.PHASE] = Phase.MEASURE
        target = self._ready.target
        target.begin_measuring()
        use = ThreadUse()
        try:
            await self._measure(int(header[Field.START_NS]), on_tick)
            target.end_measuring()
        except UnfinishedAnswer as fault:
            raise HostError.of(fault) from None
        except BaseException as fault:
            if is_interrupt(fault) or isinstance(fault, asyncio.CancelledError):
                raise
            report.crash = traceback.format_exc()
        finally:
            recorder.finish()
            recorder.report(report)
            use.into(report)
            header[Field.PHASE] = Phase.DONE
        return self.reports

    def stop(self) -> None:
        self._header[Field.STOP] = Halt.NOW

    def abandon(self) -> None:
        """Cancel what is in flight; `finish` then counts it as cut off and ends."""
        self.stop()
        self._abandoned.set()

    def close(self) -> None:
        pass

    def take_intervals(self) -> list[tuple[int, Interval]]:
        return [(self.share.first, interval) for interval in self._recorder.take_intervals()]

    # -- the loop's side

    async def _measure(self, start_ns: int, on_tick: Callable[[], None]) -> None:
        share, plan, ready, closed = self.share, self.share.plan, self._ready, self.share.closed
        queue = queue_of(share, ready.blocks, start_ns) if closed is None else ()
        while MONOTONIC.now_ns() < start_ns:
            await asyncio.sleep(0)
        if closed is None:
            await AsyncArrivals(
                ready.target, ready.feed, self._recorder, plan, self._abandoned
            ).run(queue, on_tick)
        else:
            counts = [iterations_of(share, closed, client) for client in range(share.workers)]
            await self._clients(self._recorder).run(
                counts, until_ns_of(plan, start_ns), closed.think_time_s, on_tick
            )

    def _clients(self, recorder: Recorder) -> AsyncClients:
        ready, timeout_ns = self._ready, self.share.timeout_ns
        return AsyncClients(
            ready.target, ready.feed, recorder, self._header, timeout_ns, self._abandoned
        )

    async def _warm_up(self) -> WarmUp:
        plan = self.share.plan
        began = MONOTONIC.now_ns()
        recorder = warm_up_recorder(self.share, began)
        clients = 1 if self.share.closed is None else self.share.workers
        until_ns = began + int(plan.warmup_s * 1e9)
        own = recorder.memory.header

        def show() -> None:
            self._header[Field.SLICE_NS] = MONOTONIC.now_ns()
            self._header[Field.WARM_COMPLETED] = own[Field.COMPLETED]

        show()
        if plan.warmup_iterations:
            counts: list[int | None] = [plan.warmup_iterations] * clients
            await self._clients(recorder).run(counts, FOREVER_NS, on_tick=show)
        if MONOTONIC.now_ns() < until_ns:
            await self._clients(recorder).run([None] * clients, until_ns, on_tick=show)
        recorder.finish()
        self._header[Field.SLICE_NS] = 0
        self._header[Field.FIRST_NS] = recorder.memory.header[Field.FIRST_NS]
        return recorder.warm_up(MONOTONIC.now_ns() - began)

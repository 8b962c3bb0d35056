"""Requests on one event loop, in closed or open loop: of coroutine targets and of started ones.

The counterpart of `WorkerGroup` for targets that do not block. One loop is one worker with one
recorder; its rows are stored as requests end. `AsyncClients` (coroutines) or `StartedClients` in
closed loop, `Arrivals` in open loop, make the requests.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.errors import HostError, UnfinishedAnswer, is_interrupt
from qs.engine.load import Sessions
from qs.engine.machine.collector import Collector
from qs.engine.machine.times import ThreadUse
from qs.engine.measures.counting import Counter
from qs.engine.measures.found import Found
from qs.engine.measures.keeping import Keeper
from qs.engine.measures.reading import ReadOut
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Halt, Phase, WorkerMemory, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WarmUp, WorkerReport
from qs.engine.talks.conversations import first_turn
from qs.engine.workers.arrivals import Arrivals
from qs.engine.workers.clients import AsyncClients
from qs.engine.workers.sessions import Turns
from qs.engine.workers.share import PlanShare, blocks_of, iterations_of, queue_of, until_ns_of
from qs.engine.workers.started_clients import StartedClients
from qs.engine.workers.target import Target, build
from qs.engine.workers.warmup import warm_up_recorder

# How long a target may take to close.
CLOSE_S = 5.0
# The most that a target may count by name.
MOST_COUNTS = 200


@dataclass(frozen=True)
class _Ready:
    """What is there once the target has been built."""

    target: Target
    feed: Iterator[Any]
    warm: Iterator[Any]  # of the warm-up
    blocks: Iterator[np.ndarray]  # the schedule; empty where there is none


class AsyncGroup:
    """Runs one share on the current event loop. Await `prepare`, call `go`, await `finish`. It is a
    session as the conductor knows them.
    """

    inline = False
    place = ""
    heard = 0

    _ready: _Ready | None = None  # by `prepare`
    _reading: ReadOut | None = None  # by `go`, where requests are kept

    def __init__(self, share: PlanShare, make: Callable[[int], Target], memory: WorkerMemory):
        """`make(instance)` builds the target; there is one instance."""
        self.share = share
        self.memories = [memory]
        self.reports = [WorkerReport(share.first)]
        self._make = make
        self._header = memory.header
        self._recorder = share.recorders(self.memories)[0]
        self._abandoned = asyncio.Event()
        self._collector = Collector()

    # -- the caller's side

    async def prepare(self) -> None:
        """Build the target and warm it up. Raises HostError if it cannot be built."""
        share, plan = self.share, self.share.plan
        talks = isinstance(plan.load, Sessions)
        try:
            blocks = iter(()) if share.closed is not None or share.users else blocks_of(share)
            target = self._make(share.first)
            if (plan.parts or talks) and target.start is None:
                what = "takes part in conversations" if talks else "brings the times of parts"
                raise TypeError(f"only a started target {what}")
            if plan.keeps and target.start is None or plan.measures and target.read is None:
                raise TypeError("only a started target with `read` tells a plan's measures")
            # In open loop the samples belong to the due times: a warm-up takes others, half of all
            # samples further on, which do not come up again soon.
            other = 0 if share.closed else len(target.samples or ()) // 2
            warm = target.feed(share.place + other, plan.samples_per_query)
            feed = warm if share.closed else share.feed(target)
            warm = map(first_turn, warm) if talks else warm
            self._ready = ready = _Ready(target, feed, warm, blocks)
            if target.open is not None:
                most = plan.pool.max_in_flight or share.users
                await target.open(most if share.closed is None else share.workers)
            self._header[Field.PHASE] = Phase.WARM_UP
            if plan.warmup_iterations or plan.warmup_s:
                self.reports[0].warm = await self._warm_up(ready)
        except BaseException as fault:  # a target may raise anything
            await self.close()
            if is_interrupt(fault) or isinstance(fault, asyncio.CancelledError):
                raise
            raise HostError.of(fault) from fault
        self._collector.begin()
        self._header[Field.PHASE] = Phase.READY

    def go(self, start_ns: int) -> None:
        self._header[Field.START_NS] = start_ns
        assert self._ready is not None
        target, share = self._ready.target, self.share
        if share.plan.keeps:
            keeper = Keeper(share.timeout_ns)
            self._reading = ReadOut(keeper, target.read, Counter(share.counted(start_ns)))
            self._recorder.keep, self._collector.keeps = keeper.keep, True

    def beside(self, share: PlanShare, target: Any) -> AsyncGroup:
        """Another group in the same place, to be used before this one."""
        rows = self.memories[0].rows
        memory = local_memory(1, rows, share.plan.parts)[0]
        return AsyncGroup(share, lambda instance: build(target, None), memory)

    async def finish(
        self,
        on_tick: Callable[[], None] = lambda: None,
        on_measured: Callable[[list[WorkerReport]], None] = lambda reports: None,
    ) -> list[WorkerReport]:
        """Run the measured phase to its end, and read what was kept."""
        try:
            await self._run(on_tick)
            if self._reading is not None:
                self._header[Field.PHASE] = Phase.READ
                on_measured(self.reports)
                await self._reading.run(self._header, on_tick)
        finally:
            self._header[Field.PHASE] = Phase.DONE
            if self._reading is not None:
                self._reading.close()
        return self.reports

    async def _run(self, on_tick: Callable[[], None]) -> None:
        header, recorder, report = self._header, self._recorder, self.reports[0]
        header[Field.PHASE] = Phase.MEASURE
        assert self._ready is not None
        target = self._ready.target
        target.begin_measuring()
        use = ThreadUse()
        try:
            await self._measure(self._ready, int(header[Field.START_NS]), on_tick)
            target.end_measuring()
            if target.counts is not None:
                report.counts |= counts_of(target.counts())
            await self._close()
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
            report.collections = self._collector.pauses
            report.longest_collection_ns = self._collector.longest_ns
            await self.close()

    def stop(self) -> None:
        self._header[Field.STOP] = Halt.NOW

    def abandon(self) -> None:
        """Cancel what is in flight; `finish` then counts it as cut off. Of what was kept no more is
        read, if that has begun.
        """
        self.stop()
        self._abandoned.set()
        if self._header[Field.PHASE] == Phase.READ:
            self._header[Field.READ_NS] = 1

    async def close(self) -> None:
        """Close the target, unless that has been done."""
        self._collector.end()
        with suppress(Exception):
            await self._close()

    async def _close(self) -> None:
        """The same; raises RuntimeError for what the target raises, TimeoutError if it hangs."""
        ready, self._ready = self._ready, None
        if ready is None or ready.target.close is None:
            return
        close = ready.target.close

        async def guarded() -> None:
            try:
                await close()
            except BaseException as fault:  # it may raise SystemExit, which would end the loop
                if is_interrupt(fault) or isinstance(fault, asyncio.CancelledError):
                    raise
                raise RuntimeError(f"closing the target: {type(fault).__name__}") from fault

        await asyncio.wait_for(guarded(), CLOSE_S)

    def take_found(self) -> list[Found]:
        """What was found in the kept requests since the last call."""
        found = deque() if self._reading is None else self._reading.found
        return [found.popleft() for _ in range(len(found))]

    def take_intervals(self) -> list[tuple[int, Interval]]:
        return [(self.share.first, interval) for interval in self._recorder.take_intervals()]

    # -- the loop's side

    async def _measure(self, ready: _Ready, start_ns: int, on_tick: Callable[[], None]) -> None:
        share, plan, closed = self.share, self.share.plan, self.share.closed
        queue = queue_of(share, ready.blocks, start_ns) if closed is None else ()
        while MONOTONIC.now_ns() < start_ns and not self._header[Field.STOP]:
            await asyncio.sleep(0)
        self._header[Field.BEGAN_NS] = MONOTONIC.now_ns()
        if closed is None:
            loop = (Turns if isinstance(plan.load, Sessions) else Arrivals)(
                ready.target, ready.feed, self._recorder, self._collector, share, self._abandoned
            )
            await loop.run(queue, on_tick)
            self.reports[0].counts = loop.counts()
        else:
            counts = [iterations_of(share, closed, client) for client in range(share.workers)]
            await self._clients(ready, ready.feed, self._recorder).run(
                counts, until_ns_of(plan, start_ns), closed.think_time_s, on_tick
            )

    def _clients(
        self, ready: _Ready, feed: Iterator[Any], recorder: Recorder
    ) -> AsyncClients | StartedClients:
        return (AsyncClients if ready.target.start is None else StartedClients)(
            ready.target,
            feed,
            recorder,
            self._collector,
            self._header,
            self.share.timeout_ns,
            self._abandoned,
        )

    async def _warm_up(self, ready: _Ready) -> WarmUp:
        plan = self.share.plan
        began = MONOTONIC.now_ns()
        recorder = warm_up_recorder(self.share, began)
        clients = self.share.users or 1 if self.share.closed is None else self.share.workers
        until_ns = began + int(plan.warmup_s * 1e9)
        own = recorder.memory.header

        def show() -> None:
            self._header[Field.SLICE_NS] = MONOTONIC.now_ns()
            self._header[Field.WARM_COMPLETED] = own[Field.COMPLETED]

        show()
        if plan.warmup_iterations:
            counts: list[int | None] = [plan.warmup_iterations] * clients
            await self._clients(ready, ready.warm, recorder).run(counts, FOREVER_NS, on_tick=show)
        if MONOTONIC.now_ns() < until_ns:
            await self._clients(ready, ready.warm, recorder).run(
                [None] * clients, until_ns, on_tick=show
            )
        recorder.finish()
        self._header[Field.SLICE_NS] = 0
        self._header[Field.FIRST_NS] = recorder.memory.header[Field.FIRST_NS]
        return recorder.warm_up(MONOTONIC.now_ns() - began)


def counts_of(found: object) -> dict[str, int]:
    """What a target counted, if it is what it should be; raises TypeError or ValueError."""
    if not isinstance(found, dict) or len(found) > MOST_COUNTS:
        raise TypeError(f"the target's `counts` must give a dict of at most {MOST_COUNTS} numbers")
    for name, value in found.items():
        if not isinstance(name, str) or type(value) is not int or not 0 <= value < 1 << 62:
            raise ValueError(f"the target's `counts` gave {name!r:.40}: {value!r:.40}")
    return dict(found)

"""Coroutine targets: requests as coroutines of one event loop, in closed or open loop.

The counterpart of `WorkerGroup` for targets that await. One loop is one worker with one recorder;
its rows are stored as requests complete. How requests come to be made is the part of `AsyncClients`
(closed loop) and `AsyncArrivals` (open loop).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.errors import HostError, describe, words
from qs.engine.load import ClosedLoop
from qs.engine.machine.times import ThreadUse
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Phase, WorkerMemory, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WorkerReport
from qs.engine.workers.arrivals import AsyncArrivals
from qs.engine.workers.clients import AsyncClients
from qs.engine.workers.closed_loop import FOREVER_NS
from qs.engine.workers.share import (
    Share,
    blocks_of,
    iterations_of,
    queue_of,
    until_ns_of,
)
from qs.engine.workers.target import Built
from qs.engine.workers.warmup import ROWS as WARM_ROWS
from qs.engine.workers.warmup import warm_up_report


class AsyncGroup:
    """Runs one share on the current event loop. Await `prepare`, call `go`, await `run`."""

    def __init__(self, share: Share, make: Callable[[int], Built], memory: WorkerMemory):
        self.share = share
        self.memories = [memory]
        self.reports = [WorkerReport(share.first)]
        plan = share.plan
        self._plan = plan
        self._make = make
        self._header = memory.header
        open_loop = not isinstance(plan.load, ClosedLoop)
        self._recorder = self._new_recorder(
            memory, open_loop, share.keep_columns, share.keep_slices
        )
        self._built: Built | None = None
        self._feed: Iterator[Any] = iter(())
        self._abandoned = asyncio.Event()
        self._blocks: Any = iter(())
        self._queue: Any = None

    def _new_recorder(
        self, memory: WorkerMemory, open_loop: bool, keep: bool = False, slices: bool = False
    ) -> Recorder:
        return Recorder(
            memory, self._plan.recorded_ns, int(self._plan.timeout_s * 1e9), open_loop, keep, slices
        )

    # -- the caller's side

    async def prepare(self) -> None:
        """Build the target and warm it up. Raises HostError when it cannot be built."""
        try:
            if not isinstance(self._plan.load, ClosedLoop):
                self._blocks = blocks_of(self.share)
            self._built = self._make(self.share.first)
        except (Exception, SystemExit) as fault:
            raise HostError(type(fault).__name__, words(fault), describe(fault)) from fault
        self._feed = self._built.feed(self.share.first, self._plan.samples_per_query)
        self._header[Field.PHASE] = Phase.WARM_UP
        if self._plan.warmup_iterations or self._plan.warmup_s:
            await self._warm_up()
        self._header[Field.PHASE] = Phase.READY

    def go(self, start_ns: int) -> None:
        self._header[Field.START_NS] = start_ns
        if not isinstance(self._plan.load, ClosedLoop):
            self._queue = queue_of(self.share, self._blocks, start_ns)

    async def run(self, on_tick: Callable[[], None] = lambda: None) -> list[WorkerReport]:
        """Run the measured phase to its end."""
        header, recorder, report, load = (
            self._header,
            self._recorder,
            self.reports[0],
            self._plan.load,
        )
        header[Field.PHASE] = Phase.MEASURE
        self._built.tell("begin_measuring")  # type: ignore[union-attr]
        use = ThreadUse()
        start_ns = int(header[Field.START_NS])
        try:
            while MONOTONIC.now_ns() < start_ns:
                await asyncio.sleep(0)
            if isinstance(load, ClosedLoop):
                counts = [
                    iterations_of(self.share, load, client) for client in range(self.share.workers)
                ]
                until_ns = until_ns_of(self._plan, start_ns)
                await self._clients(recorder).run(counts, until_ns, load.think_time_s, on_tick)
            else:
                call = self._built.call  # type: ignore[union-attr]
                arrivals = AsyncArrivals(
                    call, self._feed, recorder, header, self._plan, self._abandoned
                )
                await arrivals.run(self._queue, on_tick)
            self._built.tell("end_measuring")  # type: ignore[union-attr]
        except Exception:
            report.crash = traceback.format_exc()
        finally:
            recorder.finish()
            report.errors = dict(recorder.errors)
            report.first_fault = recorder.first_fault
            report.arrivals = recorder.arrivals.tolist()
            report.columns = recorder.kept or []
            report.slices = recorder.slices or []
            use.into(report)
            header[Field.PHASE] = Phase.DONE
        return self.reports

    def stop(self) -> None:
        self._header[Field.STOP] = 1

    def abandon(self) -> None:
        """Cancel what is in flight; `run` then counts it as cut off and ends."""
        self.stop()
        self._abandoned.set()

    def take_intervals(self) -> list[tuple[int, Interval]]:
        taken = [(self.share.first, interval) for interval in self._recorder.closed]
        self._recorder.closed.clear()
        return taken

    # -- the loop's side

    def _clients(self, recorder: Recorder) -> AsyncClients:
        call, timeout_ns = self._built.call, int(self._plan.timeout_s * 1e9)  # type: ignore[union-attr]
        return AsyncClients(call, self._feed, recorder, self._header, timeout_ns, self._abandoned)

    async def _warm_up(self) -> None:
        own = local_memory(1, WARM_ROWS)[0]
        recorder = self._new_recorder(own, open_loop=False)
        began = MONOTONIC.now_ns()
        own.header[Field.START_NS] = began
        workers = self.share.workers if isinstance(self._plan.load, ClosedLoop) else 1
        if self._plan.warmup_iterations:
            await self._clients(recorder).run([self._plan.warmup_iterations] * workers, FOREVER_NS)
        if MONOTONIC.now_ns() < began + int(self._plan.warmup_s * 1e9):
            await self._clients(recorder).run(
                [None] * workers, began + int(self._plan.warmup_s * 1e9)
            )
        recorder.finish()
        self._header[Field.FIRST_NS] = own.header[Field.FIRST_NS]
        self.reports[0].warm = warm_up_report(own, recorder, MONOTONIC.now_ns() - began)

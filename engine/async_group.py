"""Coroutine targets: requests as coroutines of one event loop, in closed or open loop.

The counterpart of `WorkerGroup` for targets that await. One loop is one worker with one recorder; its rows are stored as requests
complete. In open loop a pacer thread sleeps until due times and posts what is due to the loop: event-loop timers tick in
milliseconds and pace nothing here. A request past its time-out is cancelled and counted.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from engine.clock import MONOTONIC
from engine.closed_loop import FOREVER_NS, SLICE_NS
from engine.errors import HostError
from engine.faults import describe, words
from engine.load import ClosedLoop
from engine.memory import Field, Halt, Phase, WorkerMemory, halted, local_memory
from engine.pacing import sharpen_timer, waiter
from engine.recorder import Interval, Recorder
from engine.share import Share, WorkerReport, blocks_of, iterations_of, queue_of, until_ns_of
from engine.target import Built
from engine.usage import ThreadUse
from engine.warmup import ROWS as WARM_ROWS
from engine.warmup import warm_up_report

_TICK_S = 0.1
# How long a request that was cancelled may take to end.
_STUBBORN_NS = 1_000_000_000


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
        self._recorder = self._new_recorder(memory, not isinstance(plan.load, ClosedLoop), share.keep_columns)
        self._built: Built | None = None
        self._feed: Iterator[Any] = iter(())
        self._given_up: set[asyncio.Task] = set()
        self._abandoned = asyncio.Event()
        self._blocks: Any = iter(())
        self._queue: Any = None

    def _new_recorder(self, memory: WorkerMemory, open_loop: bool, keep: bool = False) -> Recorder:
        return Recorder(memory, self._plan.recorded_ns, int(self._plan.timeout_s * 1e9), open_loop, keep)

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
        header, recorder, report, load = self._header, self._recorder, self.reports[0], self._plan.load
        header[Field.PHASE] = Phase.MEASURE
        use = ThreadUse()
        start_ns = int(header[Field.START_NS])
        try:
            while MONOTONIC.now_ns() < start_ns:
                await asyncio.sleep(0)
            if isinstance(load, ClosedLoop):
                counts = [iterations_of(self.share, load, client) for client in range(self.share.workers)]
                await self._clients(recorder, counts, until_ns_of(self._plan, start_ns), load.think_time_s, on_tick)
            else:
                await self._arrivals(recorder, on_tick)
        except Exception:
            report.crash = traceback.format_exc()
        finally:
            recorder.finish()
            report.errors = dict(recorder.errors)
            report.first_fault = recorder.first_fault
            report.arrivals = recorder.arrivals.tolist()
            report.columns = recorder.kept or []
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

    async def _warm_up(self) -> None:
        own = local_memory(1, WARM_ROWS)[0]
        recorder = self._new_recorder(own, open_loop=False)
        began = MONOTONIC.now_ns()
        own.header[Field.START_NS] = began
        workers = self.share.workers if isinstance(self._plan.load, ClosedLoop) else 1
        if self._plan.warmup_iterations:
            await self._clients(recorder, [self._plan.warmup_iterations] * workers, FOREVER_NS)
        if MONOTONIC.now_ns() < began + int(self._plan.warmup_s * 1e9):
            await self._clients(recorder, [None] * workers, began + int(self._plan.warmup_s * 1e9))
        recorder.finish()
        self._header[Field.FIRST_NS] = own.header[Field.FIRST_NS]
        self.reports[0].warm = warm_up_report(own, recorder, MONOTONIC.now_ns() - began)

    async def _clients(
        self,
        recorder: Recorder,
        counts: list[int | None],
        until_ns: int,
        think_s: float = 0.0,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Closed loop: one task a client, each awaiting its request before it makes the next."""
        call, feed, header = self._built.call, self._feed, self._header  # type: ignore[union-attr]
        now_ns = MONOTONIC.now_ns
        issued, completed, last_row = recorder.issued, recorder.completed, recorder.rows - 1
        began = [0] * len(counts)
        row = 0
        stopping = closing = False
        slice_end = min(now_ns() + SLICE_NS, until_ns)
        recorder.begin(now_ns())

        def flush() -> None:
            nonlocal row, slice_end, stopping
            recorder.flush(row)
            row = 0
            now = now_ns()
            stopping = stopping or bool(header[Field.STOP]) or now >= until_ns
            slice_end = min(now + SLICE_NS, until_ns)
            recorder.begin(now)

        async def client(number: int, left: int) -> None:
            nonlocal row
            while left and not stopping:
                left -= 1
                if think_s and not await self._think(think_s, until_ns):
                    return
                sample = next(feed)
                began[number] = start = now_ns()
                if start >= until_ns:
                    return
                try:
                    await call(sample)
                except asyncio.CancelledError as fault:
                    if closing:
                        raise
                    if not self._timed_out(number, began, recorder):
                        recorder.raised(fault, now_ns(), arrived=False)  # the target's own
                        await asyncio.sleep(0)
                    continue
                except (Exception, SystemExit) as fault:
                    recorder.raised(fault, now_ns(), arrived=False)
                    await asyncio.sleep(0)
                    continue
                finally:
                    began[number] = 0
                end = now_ns()
                issued[row] = start
                completed[row] = end
                row += 1
                if row > last_row or end >= slice_end:
                    flush()

        tasks = [
            asyncio.ensure_future(client(number, FOREVER_NS if count is None else count))
            for number, count in enumerate(counts)
        ]
        waiting: set[asyncio.Task] = set(tasks)
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=_TICK_S)
                flush()
                on_tick()
                waiting -= self._cancel_late(tasks, began, recorder)
                if self._abandoned.is_set() and waiting:
                    recorder.errors["cut off"] += len(waiting)
                    header[Field.FAILED] += len(waiting)
                    break
        finally:
            closing = True
            await _cancel({task for task in tasks if not task.done()})
        flush()
        recorder.flush(0)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _think(self, think_s: float, until_ns: int) -> bool:
        """Pause before a request, but no longer than the run; whether there is still one to be made."""
        now_ns = MONOTONIC.now_ns
        end_ns = min(now_ns() + int(think_s * 1e9), until_ns)
        while (left_ns := end_ns - now_ns()) > 0:
            if self._header[Field.STOP]:
                return False
            await asyncio.sleep(min(left_ns / 1e9, _TICK_S))
        return end_ns < until_ns

    def _cancel_late(self, tasks: list[asyncio.Task], began: list[int], recorder: Recorder) -> set[asyncio.Task]:
        """Cancel requests past their time-out. Answers the clients whose target would not be cancelled: nobody waits for them."""
        now = MONOTONIC.now_ns()
        given_up = set()
        for number, task in enumerate(tasks):
            if task.done() or not began[number]:
                continue
            if began[number] < 0:  # cancelled at that instant
                if now + began[number] > _STUBBORN_NS and task not in self._given_up:
                    self._given_up.add(task)
                    recorder.fail("hung", now, arrived=False)
                if task in self._given_up:
                    given_up.add(task)
            elif now - began[number] > int(self._plan.timeout_s * 1e9):
                began[number] = -now
                task.cancel()
        return given_up

    def _timed_out(self, number: int, began: list[int], recorder: Recorder) -> bool:
        """Whether the cancellation that arrived is this group's, for a request past its time-out; it is counted then."""
        if began[number] >= 0:
            return False
        _uncancel()
        self._header[Field.TIMED_OUT] += 1
        recorder.fail("timeout", MONOTONIC.now_ns(), arrived=False)
        return True

    async def _arrivals(self, recorder: Recorder, on_tick: Callable[[], None]) -> None:
        """Open loop: the pacer posts due times; each becomes a task, or waits in line for one of `max_in_flight` places."""
        call, feed, header = self._built.call, self._feed, self._header  # type: ignore[union-attr]
        loop = asyncio.get_running_loop()
        now_ns = MONOTONIC.now_ns
        dues, issued, completed, last_row = recorder.due, recorder.issued, recorder.completed, recorder.rows - 1
        most = self._plan.pool.max_in_flight or FOREVER_NS
        cap = FOREVER_NS if self._plan.max_backlog is None else self._plan.max_backlog
        timeout_ns = int(self._plan.timeout_s * 1e9)
        in_flight: dict[asyncio.Task, int] = {}
        late: set[asyncio.Task] = set()
        backlog: deque[int] = deque()
        ended = asyncio.Event()
        closing = False
        row = 0
        slice_end = now_ns() + SLICE_NS
        recorder.begin(now_ns())

        def flush() -> None:
            nonlocal row, slice_end
            recorder.flush(row)
            row = 0
            now = now_ns()
            slice_end = now + SLICE_NS
            recorder.begin(now)

        async def request(due: int, sample: Any) -> None:
            nonlocal row
            start = now_ns()
            try:
                await call(sample)
            except asyncio.CancelledError:
                kind = "timeout" if asyncio.current_task() in late else "cut off" if closing else "CancelledError"
                recorder.fail(kind, now_ns(), arrived=False)
                return
            except (Exception, SystemExit) as fault:
                recorder.raised(fault, now_ns(), arrived=False)
                return
            end = now_ns()
            dues[row] = due
            issued[row] = start
            completed[row] = end
            row += 1
            if row > last_row or end >= slice_end:
                flush()

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
                        backlog.popleft()
                        header[Field.DROPPED] += 1

        pacer = threading.Thread(target=self._pace, args=(loop, post, ended), name="pacer", daemon=True)
        pacer.start()
        try:
            while not (ended.is_set() and not in_flight and not backlog):
                await asyncio.sleep(_TICK_S if in_flight or backlog or not ended.is_set() else 0)
                flush()
                on_tick()
                limit = now_ns() - timeout_ns
                for task, start in list(in_flight.items()):
                    if start >= limit:
                        break  # in order of issue: the rest are younger
                    if task not in late:
                        late.add(task)
                        task.cancel()
                    elif start < limit - _STUBBORN_NS:
                        recorder.fail("hung", now_ns(), arrived=False)  # its target would not be cancelled
                        done(task)
                if header[Field.STOP] == Halt.NOW:
                    ended.set()
                    self._drop(backlog, recorder)
                if self._abandoned.is_set() or 0 < header[Field.DRAIN_NS] < now_ns():
                    self._drop(backlog, recorder)
                    closing = True
                    for _ in await _cancel(set(in_flight)):
                        recorder.fail("cut off", now_ns(), arrived=False)
                    break
        finally:
            closing = True
            await _cancel(set(in_flight))
        flush()
        recorder.flush(0)

    @staticmethod
    def _drop(backlog: deque[int], recorder: Recorder) -> None:
        """Due requests that will not be issued any more."""
        while backlog:
            recorder.fail("not issued", MONOTONIC.now_ns(), arrived=False)
            backlog.popleft()

    def _pace(self, loop: asyncio.AbstractEventLoop, post: Callable[[list[int]], None], ended: asyncio.Event) -> None:
        """The pacer thread: sleeps until the next due time and hands over everything that is due. It never spins: it would hold
        the GIL against the loop that it feeds."""
        sharpen_timer()
        wait = waiter(MONOTONIC, self._header, spin=False)
        try:
            batch: list[int] = []
            for block in self._queue:
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
                        if halted(self._header, due):
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


async def _cancel(tasks: set[asyncio.Task]) -> set[asyncio.Task]:
    """Cancel tasks and wait for their ends, for a while: a target may refuse. Answers those that did."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return tasks
    _, refusing = await asyncio.wait(tasks, timeout=_STUBBORN_NS / 1e9)
    return refusing


def _uncancel() -> None:
    """Python 3.11 and later count cancellations; this one has been answered."""
    task = asyncio.current_task()
    if task is not None and hasattr(task, "uncancel"):
        task.uncancel()


Target = Callable[[Any], Awaitable[Any]]

"""The workers of one host during one run: build, warm up, start together, drive, report.

Blocking from end to end and free of any event loop, so that it serves this process and a child
process alike. Vendor code runs only in the worker threads (or, inline, in the calling thread).
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from qs.engine.clock import MONOTONIC, Clock
from qs.engine.errors import HostError, Interrupted, UnfinishedAnswer, is_interrupt
from qs.engine.machine.times import ThreadUse, WakeUps, sharpen_timer
from qs.engine.outcome import ErrorKind
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Halt, Phase, WorkerMemory
from qs.engine.record.report import WorkerReport
from qs.engine.workers.batching import Batcher, batched_loop
from qs.engine.workers.closed_loop import closed_loop
from qs.engine.workers.open_loop import burst_loop, open_loop
from qs.engine.workers.pacing import waiter
from qs.engine.workers.queue import DueTimes, LoneQueue, ProcessQueue, ThreadQueue, capped
from qs.engine.workers.share import PlanShare, blocks_of, iterations_of, queue_of, until_ns_of
from qs.engine.workers.target import Target
from qs.engine.workers.warmup import warm_up


class WorkerGroup:
    """Runs one share. Call `prepare`, then `go`, then `run`; `abandon` when patience ends."""

    _queue: Batcher | LoneQueue | ProcessQueue | ThreadQueue  # in open loop, by `go`

    def __init__(
        self,
        share: PlanShare,
        make: Callable[[int], Target],
        memories: Sequence[WorkerMemory],
        clock: Clock = MONOTONIC,
    ):
        """`make(instance)` builds the target of one instance, in the thread that will call it."""
        self.share = share
        self.memories = memories
        self.reports = [WorkerReport(share.first + number) for number in range(share.workers)]
        self.recorders = share.recorders(memories)
        asked = share.plan.pool.instances
        self._instances = share.workers if asked is None else min(asked, share.workers)
        self._make = make
        self._clock = clock
        self._inline = share.plan.pool.kind != "thread"
        self._inline_steps = self._drive(0)  # begins at the first step, and only if inline
        self._blocks: Iterator[np.ndarray] = iter(())
        self._started = threading.Event()
        self._changed = threading.Condition()
        self._faults: list[HostError] = []
        self._built: dict[int, Target] = {}
        self._build_locks = [threading.Lock() for _ in range(self._instances)]

    # -- the caller's side

    def prepare(self) -> None:
        """Build every target and warm it up. Raises HostError with the first worker's fault if one
        cannot be built.
        """
        for _ in self.preparing():
            pass

    def preparing(self) -> Iterator[None]:
        """`prepare` in steps: inline, one after each slice of the warm-up; with threads, none."""
        if self.share.closed is None:
            self._blocks = blocks_of(self.share)
        if self._inline:
            for _ in self._inline_steps:
                if self.memories[0].header[Field.PHASE] == Phase.READY:
                    break
                yield
        else:
            for number in range(self.share.workers):
                threading.Thread(
                    target=self._thread, args=(number,), name=f"worker-{number}", daemon=True
                ).start()
            with self._changed:
                self._changed.wait_for(
                    lambda: self._faults or self._all_at(Phase.READY) or self._abandoned()
                )
        if self._faults or self._abandoned():
            self.stop()
            self._started.set()
        if self._faults:
            raise self._faults[0]

    def go(self, start_ns: int) -> None:
        """Let the workers start together at an instant."""
        for memory in self.memories:
            memory.header[Field.START_NS] = start_ns
        if self.share.closed is None:
            self._queue = self._queue_from(start_ns)
        self._started.set()

    def run(
        self, every_s: float = 0.25, on_tick: Callable[[], None] = lambda: None
    ) -> list[WorkerReport]:
        """Wait for the workers' ends, calling `on_tick` now and then. One that hangs has ended when
        the conductor has given it up.
        """
        if self._inline:
            ticked = time.monotonic()
            for _ in self.steps():
                if time.monotonic() - ticked >= every_s:
                    ticked = time.monotonic()
                    on_tick()
            return self.reports
        wake_ups = WakeUps()
        while True:
            wake_ups.waiting(every_s)
            with self._changed:
                if self._changed.wait_for(self._all_ended, every_s):
                    for number, memory in enumerate(self.memories):
                        if memory.header[Field.GIVEN_UP]:
                            self._report_hung(number)
                    self.reports[0].wake_up_ns = wake_ups.typical_ns()
                    if self._faults:
                        raise self._faults[0]
                    return self.reports
            wake_ups.timed_out()
            on_tick()

    def steps(self) -> Iterator[None]:
        """Inline: the measured phase, yielding after every slice."""
        yield from self._inline_steps
        if self._faults:
            raise self._faults[0]

    def stop(self) -> None:
        for memory in self.memories:
            memory.header[Field.STOP] = Halt.NOW

    def abandon(self) -> None:
        """Stop waiting for workers that do not come back; their reports say so."""
        self.stop()
        with self._changed:
            for number, memory in enumerate(self.memories):
                if not self._ended(memory):
                    self._report_hung(number)
            self._changed.notify_all()

    def _report_hung(self, number: int) -> None:
        self.reports[number].hung = True
        self.recorders[number].report(self.reports[number])

    def take_intervals(self) -> list[tuple[int, Interval]]:
        """The intervals closed since the last call, with their worker's number."""
        return [
            (self.share.first + number, interval)
            for number, recorder in enumerate(self.recorders)
            for interval in recorder.take_intervals()
        ]

    def _ended(self, memory: WorkerMemory) -> bool:
        return memory.header[Field.PHASE] == Phase.DONE

    def _abandoned(self) -> bool:
        return any(report.hung for report in self.reports)

    def _all_ended(self) -> bool:
        return all(
            report.hung or self._ended(memory)
            for report, memory in zip(self.reports, self.memories)
        )

    def _all_at(self, phase: Phase) -> bool:
        return all(memory.header[Field.PHASE] >= phase for memory in self.memories)

    # -- the worker's side

    def _thread(self, number: int) -> None:
        for _ in self._drive(number):
            pass

    def _drive(self, number: int) -> Iterator[None]:
        """One worker's life. Nothing raised in it goes further than its report."""
        memory, report = self.memories[number], self.reports[number]
        try:
            yield from self._live(number)
        except Interrupted:
            self._cut_off(number)
        # the build of a target may raise anything, SystemExit included
        except BaseException as fault:
            if is_interrupt(fault):
                raise
            report.crash = traceback.format_exc()
            unfinished = isinstance(fault, UnfinishedAnswer)
            if unfinished or memory.header[Field.PHASE] < Phase.READY:
                self._faults.append(HostError.of(fault, report.crash))
        finally:
            self.recorders[number].finish()
            self.recorders[number].report(report)
            self._at(memory, Phase.DONE)

    def _cut_off(self, number: int) -> None:
        """Inline: a signal has ended the call, in the midst of a slice."""
        memory, recorder = self.memories[number], self.recorders[number]
        if memory.header[Field.PHASE] == Phase.MEASURE:
            if memory.header[Field.SLICE_NS] and not memory.header[Field.FLUSHING]:
                recorder.flush(int(np.count_nonzero(memory.completed)))
            recorder.fail(ErrorKind.CUT_OFF, self._clock.now_ns())

    def _live(self, number: int) -> Iterator[None]:
        plan, memory, report = self.share.plan, self.memories[number], self.reports[number]
        self._pin(number)
        target = self._target(number)
        feed = target.feed(self.share.place + number, plan.samples_per_query)
        self._at(memory, Phase.WARM_UP)
        report.warm = yield from warm_up(target, feed, self.share, memory, self._clock)
        self._at(memory, Phase.READY)
        if self._inline:
            yield
        self._started.wait()
        target.begin_measuring()
        use = ThreadUse()
        self._at(memory, Phase.MEASURE)
        sharpen_timer()
        wait = waiter(self._clock, memory.header, self.share.spin)
        wait(int(memory.header[Field.START_NS]))
        memory.header[Field.BEGAN_NS] = self._clock.now_ns()
        yield from self._loop(number, target, feed, wait)
        use.into(report)
        target.end_measuring()

    def _loop(
        self, number: int, target: Target, feed: Iterator[Any], wait: Callable[[int], int]
    ) -> Iterator[None]:
        """The requests of one worker."""
        closed, recorder = self.share.closed, self.recorders[number]
        if closed is not None:
            return closed_loop(
                target.call,
                feed,
                recorder,
                self._clock,
                iterations_of(self.share, closed, number),
                until_ns_of(self.share.plan, int(recorder.memory.header[Field.START_NS])),
                int(closed.think_time_s * 1e9),
                target.look,
            )
        issue, queue = (target.call, feed, recorder, self._clock), self._queue
        if isinstance(queue, Batcher):
            return batched_loop(*issue, queue, wait, target.look)
        if isinstance(queue, LoneQueue):
            return burst_loop(*issue, queue, wait, target.look)
        return open_loop(*issue, self._line(queue, number), wait, target.look)

    def _queue_from(self, start_ns: int) -> Batcher | LoneQueue | ProcessQueue | ThreadQueue:
        """What the workers take their due times from. A worker has the schedule for itself if it is
        alone and no rule looks at each due time before it is issued.
        """
        share, batching = self.share, self.share.plan.batching
        rules = (share.counter_fd, batching, share.plan.max_backlog)
        if share.workers == 1 and all(rule is None for rule in rules):
            return LoneQueue(self._blocks, start_ns)
        queue = queue_of(share, self._blocks, start_ns)
        return queue if batching is None else Batcher(self._line(queue, 0), batching, self._clock)

    def _line(self, queue: ThreadQueue | ProcessQueue, number: int) -> Iterable[DueTimes]:
        """The queue, less what the cap on the backlog drops."""
        if self.share.plan.max_backlog is None:
            return queue
        return capped(queue, self._clock.now_ns, self.recorders[number])  # type: ignore[arg-type]

    def _target(self, number: int) -> Target:
        instance = number % self._instances
        with self._build_locks[instance]:
            if instance not in self._built:
                self._built[instance] = self._make(self.share.first + instance)
            return self._built[instance]

    def _pin(self, number: int) -> None:
        """Inline the thread is the caller's, and so is its placement."""
        pool = self.share.plan.pool
        if pool.affinity and pool.kind != "inline" and hasattr(os, "sched_setaffinity"):
            place = self.share.first + number % self._instances
            os.sched_setaffinity(0, set(pool.affinity[place % len(pool.affinity)]))

    def _at(self, memory: WorkerMemory, phase: Phase) -> None:
        with self._changed:
            memory.header[Field.PHASE] = phase
            self._changed.notify_all()

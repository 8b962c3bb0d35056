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

import numpy as np

from qs.engine.clock import MONOTONIC, Clock
from qs.engine.errors import HostError, is_interrupt, words
from qs.engine.load import ClosedLoop
from qs.engine.machine.times import ThreadUse, WakeUps, sharpen_timer
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Phase, WorkerMemory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WorkerReport
from qs.engine.workers.batching import Batcher, batched_loop, joined
from qs.engine.workers.closed_loop import closed_loop
from qs.engine.workers.lone_loop import lone_loop
from qs.engine.workers.open_loop import open_loop
from qs.engine.workers.pacing import waiter
from qs.engine.workers.queue import DueTimes, LoneQueue, ProcessQueue, ThreadQueue, capped
from qs.engine.workers.share import (
    Share,
    blocks_of,
    iterations_of,
    queue_of,
    until_ns_of,
)
from qs.engine.workers.target import Built
from qs.engine.workers.warmup import warm_up


class WorkerGroup:
    """Runs one share. Call `prepare`, then `go`, then `run`; `abandon` when patience ends."""

    def __init__(
        self,
        share: Share,
        make: Callable[[int], Built],
        memories: Sequence[WorkerMemory],
        clock: Clock = MONOTONIC,
    ):
        """`make(instance)` builds the target of one instance, in the thread that will call it."""
        self.share = share
        self.memories = memories
        plan = share.plan
        self._make = make
        self._clock = clock
        self._inline = plan.pool.kind != "thread"
        self._open = not isinstance(plan.load, ClosedLoop)
        self._started = threading.Event()
        self._changed = threading.Condition()
        self._faults: list[HostError] = []
        self._built: dict[int, Built] = {}
        self._build_locks = [threading.Lock() for _ in range(self._instances)]
        self._blocks: Iterator[np.ndarray] = iter(())
        self._queue: ThreadQueue | ProcessQueue | LoneQueue | None = None
        self._batcher: Batcher | None = None
        self.reports = [WorkerReport(share.first + number) for number in range(share.workers)]
        self.recorders = [
            Recorder(
                memory,
                plan.recorded_ns,
                int(plan.timeout_s * 1e9),
                self._open,
                share.keep_columns,
                share.keep_slices,
            )
            for memory in memories
        ]
        self._threads: list[threading.Thread] = []
        self._inline_steps: Iterator[None] | None = None

    @property
    def _instances(self) -> int:
        asked = self.share.plan.pool.instances
        return self.share.workers if asked is None else min(asked, self.share.workers)

    # -- the caller's side

    def prepare(self) -> None:
        """Build every target and warm it up. Raises HostError with the first worker's fault if one
        cannot be built.
        """
        for _ in self.preparing():
            pass

    def preparing(self) -> Iterator[None]:
        """`prepare` in steps: inline, one after each slice of the warm-up; with threads, none."""
        if self._open:
            self._blocks = blocks_of(self.share)
        if self._inline:
            self._inline_steps = self._drive(0)
            for _ in self._inline_steps:
                if self.memories[0].header[Field.PHASE] == Phase.READY:
                    break
                yield
        else:
            for number in range(self.share.workers):
                thread = threading.Thread(
                    target=self._thread, args=(number,), name=f"worker-{number}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
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
        if self._open:
            alone = self._alone()
            self._queue = (
                LoneQueue(self._blocks, start_ns)
                if alone
                else queue_of(self.share, self._blocks, start_ns)
            )
            if self.share.plan.batching is not None:
                self._batcher = Batcher(self._line(0), self.share.plan.batching, self._clock)
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
                    return self.reports
            wake_ups.timed_out()
            on_tick()

    def steps(self) -> Iterator[None]:
        """Inline: the measured phase, yielding after every slice."""
        if self._inline_steps is not None:
            yield from self._inline_steps
        if self._faults:
            raise self._faults[0]

    def stop(self) -> None:
        for memory in self.memories:
            memory.header[Field.STOP] = 1

    def abandon(self) -> list[int]:
        """Stop waiting for workers that do not come back: they are named in their reports. Returns
        their numbers.
        """
        self.stop()
        with self._changed:
            hung = [
                number for number, memory in enumerate(self.memories) if not self._ended(memory)
            ]
            for number in hung:
                self._report_hung(number)
            self._changed.notify_all()
        return [self.reports[number].worker for number in hung]

    def _report_hung(self, number: int) -> None:
        report, recorder = self.reports[number], self.recorders[number]
        report.hung = True
        report.errors = dict(recorder.errors)
        report.first_fault = recorder.first_fault
        report.arrivals = recorder.arrivals.tolist()
        report.columns = recorder.kept or []

    def take_intervals(self) -> list[tuple[int, Interval]]:
        """The intervals closed since the last call, with their worker's number."""
        taken = []
        for number, recorder in enumerate(self.recorders):
            while recorder.closed:
                taken.append((self.share.first + number, recorder.closed.pop(0)))
        return taken

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
        memory, report, recorder = (
            self.memories[number],
            self.reports[number],
            self.recorders[number],
        )
        try:
            yield from self._live(number)
        except (
            BaseException
        ) as fault:  # the build of a target may raise anything, SystemExit included
            if is_interrupt(fault):
                raise
            report.crash = traceback.format_exc()
            if memory.header[Field.PHASE] < Phase.READY:
                self._faults.append(HostError(type(fault).__name__, words(fault), report.crash))
        finally:
            recorder.finish()
            report.errors = dict(recorder.errors)
            report.first_fault = recorder.first_fault
            report.arrivals = recorder.arrivals.tolist()
            report.columns = recorder.kept or []
            report.slices = recorder.slices or []
            report.paced = recorder.paced()
            self._at(memory, Phase.DONE)

    def _live(self, number: int) -> Iterator[None]:
        plan, memory, clock = self.share.plan, self.memories[number], self._clock
        self._pin(number)
        built = self._target(number)
        feed = built.feed(self.share.first + number, plan.samples_per_query)
        self._at(memory, Phase.WARM_UP)
        yield from warm_up(built, feed, plan, memory, self.reports[number], clock)
        self._at(memory, Phase.READY)
        if self._inline:
            yield
        self._started.wait()
        built.tell("begin_measuring")
        use = ThreadUse()
        start_ns = int(memory.header[Field.START_NS])
        self._at(memory, Phase.MEASURE)
        sharpen_timer()
        wait = waiter(clock, memory.header, self.share.spin)
        wait(start_ns)
        if isinstance(plan.load, ClosedLoop):
            loop = closed_loop(
                built.call,
                feed,
                self.recorders[number],
                clock,
                iterations_of(self.share, plan.load, number),
                until_ns_of(plan, start_ns),
                int(plan.load.think_time_s * 1e9),
            )
        elif self._batcher is not None:
            collate = plan.batching.collate or joined  # type: ignore[union-attr]
            loop = batched_loop(
                built.call, feed, self.recorders[number], clock, self._batcher, wait, collate
            )
        elif isinstance(self._queue, LoneQueue):
            loop = lone_loop(built.call, feed, self.recorders[number], clock, self._queue, wait)
        else:
            loop = open_loop(
                built.call, feed, self.recorders[number], clock, self._line(number), wait
            )
        yield from loop
        use.into(self.reports[number])
        built.tell("end_measuring")

    def _alone(self) -> bool:
        """Whether one worker has the whole schedule, and no rule looks at each due time before it
        is issued.
        """
        share = self.share
        rules = (share.counter_fd, share.plan.batching, share.plan.max_backlog)
        return share.workers == 1 and all(rule is None for rule in rules)

    def _line(self, number: int) -> Iterable[DueTimes]:
        """What a worker takes its due times from: the queue, less what the cap on the backlog
        drops.
        """
        if self.share.plan.max_backlog is None:
            return self._queue  # type: ignore[return-value]
        return capped(self._queue, self._clock.now_ns, self.memories[number].header)  # type: ignore[arg-type]

    def _target(self, number: int) -> Built:
        instance = number % self._instances
        with self._build_locks[instance]:
            if instance not in self._built:
                self._built[instance] = self._make(self.share.first + instance)
            return self._built[instance]

    def _pin(self, number: int) -> None:
        affinity = self.share.plan.pool.affinity
        if affinity and hasattr(os, "sched_setaffinity") and not self._inline_here():
            os.sched_setaffinity(
                0, set(affinity[(self.share.first + number % self._instances) % len(affinity)])
            )

    def _inline_here(self) -> bool:
        """Inline in the caller's own thread, whose placement is the caller's business."""
        return self.share.plan.pool.kind == "inline"

    def _at(self, memory: WorkerMemory, phase: Phase) -> None:
        with self._changed:
            memory.header[Field.PHASE] = phase
            self._changed.notify_all()

"""One host's part of a plan, and the due times that its workers take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.load import ClosedLoop, Sessions
from qs.engine.load.schedule import Schedule, bounded
from qs.engine.measures.counting import Counted
from qs.engine.plan import RunPlan
from qs.engine.record.memory import WorkerMemory
from qs.engine.record.recorder import Recorder
from qs.engine.statistics.budget import Budget
from qs.engine.workers.queue import ProcessQueue, ThreadQueue, looking_ahead
from qs.engine.workers.target import Target


@dataclass
class PlanShare:
    """The part of a plan that one host runs."""

    plan: RunPlan
    workers: int  # of this share; with coroutines in closed loop, its clients
    first: int = 0  # its first worker's number in the whole run
    counter_fd: int | None = None  # the shared counter of an open loop over several processes
    # which of how many equal parts of the due times these are: those of coroutines, whose processes
    # would not take turns at one counter
    turn: tuple[int, int] = (0, 1)
    spin: bool = False
    keep_columns: bool = False
    keep_slices: bool = False
    started: bool = False  # whether the target is known to be a started one
    failures_fd: int | None = None  # the shared count of failures of several processes, if budgeted
    done: int = 0  # of its requests, how many those lost before it have made

    @property
    def closed(self) -> ClosedLoop | None:
        """The load if it is a closed loop."""
        return self.plan.load if isinstance(self.plan.load, ClosedLoop) else None

    @property
    def users(self) -> int:
        """Its users, of conversations; 0 where they arrive."""
        load = self.plan.load
        return self.workers if isinstance(load, Sessions) and load.users else 0

    @property
    def coroutines(self) -> bool:
        """Whether one event loop runs all its workers."""
        return self.plan.pool.kind == "async"

    @property
    def place(self) -> int:
        """Its first worker's number in the whole, of which the plan may be a part."""
        part = self.plan.part
        return self.first + (0 if part is None else part.first)

    def feed(self, target: Target) -> Iterator[Any]:
        """The samples of an event loop's requests in open loop: request i of the schedule has
        sample i, whichever process makes it, and whichever has been lost before.
        """
        place, of = self.turn
        if self.counter_fd is not None:
            place += os.lseek(self.counter_fd, 0, os.SEEK_CUR) * of
        if (part := self.plan.part) is not None:
            place, of = place * part.of + part.index, of * part.of
        return target.feed(place, self.plan.samples_per_query, of)

    @property
    def timeout_ns(self) -> int:
        return int(self.plan.timeout_s * 1e9)

    def counted(self, start_ns: int) -> Counted:
        """What is counted of its kept requests."""
        return Counted(self.plan, self.first, start_ns, self.keep_columns)

    def recorders(self, memories: Sequence[WorkerMemory]) -> list[Recorder]:
        """The recorders of the workers' measured phase."""
        stop = self.plan.stop
        if stop.max_errors is None and stop.max_error_rate is None:
            return [self._recorder(memory) for memory in memories]
        budget = Budget(stop, memories, self.failures_fd)
        budget.waits = not self.coroutines
        return [self._recorder(memory, on_failure=budget.failed) for memory in memories]

    def _recorder(self, memory: WorkerMemory, **options: Callable[[], None]) -> Recorder:
        return Recorder(
            memory,
            interval_ns=self.plan.recorded_ns,
            timeout_ns=self.timeout_ns,
            open_loop=self.closed is None,
            keep_columns=self.keep_columns,
            keep_slices=self.keep_slices,
            **options,
        )


def iterations_of(share: PlanShare, load: ClosedLoop, number: int) -> int | None:
    """A client's count: its own, or its part of the stop rule's count over all clients, whichever
    is less.
    """
    total = share.plan.stop.iterations
    if total is None:
        return load.iterations
    part = total // load.clients + (share.first + number < total % load.clients)
    return part if load.iterations is None else min(part, load.iterations)


def turns_of(share: PlanShare) -> int:
    """How many turns of conversations a share may ask: its part of the stop rule's count."""
    total, (number, of) = share.plan.stop.iterations, share.turn
    if total is None:
        return FOREVER_NS
    return max(total // of + (number < total % of) - share.done, 0)


def until_ns_of(plan: RunPlan, start_ns: int) -> int:
    """The instant after which nothing is issued (closed loop) or due (open loop)."""
    limits = [
        limit for limit in (plan.stop.duration_s, plan.stop.max_duration_s) if limit is not None
    ]
    return start_ns + int(min(limits) * 1e9) if limits else FOREVER_NS


def schedule_of(plan: RunPlan) -> Schedule:
    """The schedule of an open loop; of conversations, that of their arrivals."""
    load = plan.load.arrivals if isinstance(plan.load, Sessions) else plan.load
    assert load is not None and not isinstance(load, ClosedLoop)
    return load


def blocks_of(share: PlanShare) -> Iterator[np.ndarray]:
    """The schedule of an open loop, cut by the stop rule. The first block is drawn here and now: it
    may import, sort or seed, and none of that may happen after the common start.
    """
    plan = share.plan
    most = plan.stop.iterations if plan.scheduled else None  # else it counts turns
    blocks = bounded(schedule_of(plan).blocks(), until_ns_of(plan, 0), most)
    # With coroutines the line of those that wait is the event loop's, which caps it itself.
    if plan.max_backlog is not None and not share.coroutines:
        blocks = looking_ahead(blocks, plan.max_backlog + 1)
    return chain(list(islice(blocks, 1)), blocks)


def queue_of(
    share: PlanShare, blocks: Iterator[np.ndarray], start_ns: int
) -> ThreadQueue | ProcessQueue:
    """The due times of these blocks as the workers of this share take them."""
    if share.counter_fd is None:
        return ThreadQueue(blocks, start_ns)
    return ProcessQueue(blocks, start_ns, share.counter_fd, *share.turn)

"""One host's part of a plan, and the due times that its workers take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from qs.engine.load import ClosedLoop
from qs.engine.load.schedule import Schedule, bounded
from qs.engine.plan import RunPlan
from qs.engine.workers.closed_loop import FOREVER_NS
from qs.engine.workers.queue import ProcessQueue, ThreadQueue, looking_ahead


@dataclass
class Share:
    """The part of a plan that one host runs: `workers` of them, the first being number `first` of
    the whole run.
    """

    plan: RunPlan
    workers: int
    first: int = 0
    counter_fd: int | None = None  # the shared counter of an open loop over several processes
    spin: bool = False
    keep_columns: bool = False
    keep_slices: bool = False


def iterations_of(share: Share, load: ClosedLoop, number: int) -> int | None:
    """A client's count: its own, or its part of the stop rule's count over all clients, whichever
    is less.
    """
    total = share.plan.stop.iterations
    if total is None:
        return load.iterations
    part = total // load.clients + (share.first + number < total % load.clients)
    return part if load.iterations is None else min(part, load.iterations)


def until_ns_of(plan: RunPlan, start_ns: int) -> int:
    """The instant after which nothing is issued (closed loop) or due (open loop)."""
    limits = [
        limit for limit in (plan.stop.duration_s, plan.stop.max_duration_s) if limit is not None
    ]
    return start_ns + int(min(limits) * 1e9) if limits else FOREVER_NS


def schedule_of(plan: RunPlan) -> Schedule:
    """The schedule of an open loop."""
    assert not isinstance(plan.load, ClosedLoop)
    return plan.load


def blocks_of(share: Share) -> Iterator[np.ndarray]:
    """The schedule of an open loop, cut by the stop rule. The first block is drawn here and now: it
    may import, sort or seed, and none of that may happen after the common start.
    """
    plan = share.plan
    blocks = bounded(schedule_of(plan).blocks(), until_ns_of(plan, 0), plan.stop.iterations)
    # With coroutines the line of those that wait is the event loop's, which caps it itself.
    if plan.max_backlog is not None and plan.pool.kind != "async":
        blocks = looking_ahead(blocks, plan.max_backlog + 1)
    return chain(list(islice(blocks, 1)), blocks)


def queue_of(
    share: Share, blocks: Iterator[np.ndarray], start_ns: int
) -> ThreadQueue | ProcessQueue:
    """The due times of these blocks as the workers of this share take them."""
    if share.counter_fd is None:
        return ThreadQueue(blocks, start_ns)
    return ProcessQueue(blocks, start_ns, share.counter_fd)


def due_before(plan: RunPlan, offset_ns: int) -> int:
    """How many requests of an open loop are due before an offset from the start, by its schedule
    and stop rule.
    """
    blocks = bounded(
        schedule_of(plan).blocks(), min(until_ns_of(plan, 0), offset_ns), plan.stop.iterations
    )
    return sum(block.size for block in blocks)

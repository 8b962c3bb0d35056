"""Warm-up: the same calls by the same worker, recorded apart, so that a cold start is in no
percentile.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from qs.engine.clock import FOREVER_NS, Clock
from qs.engine.record.memory import Field, WorkerMemory, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WarmUp
from qs.engine.workers.closed_loop import closed_loop
from qs.engine.workers.share import PlanShare
from qs.engine.workers.target import Target

ROWS = 4_096


def warm_up_recorder(share: PlanShare, began_ns: int) -> Recorder:
    """A recorder with a memory of its own."""
    recorder = Recorder(
        local_memory(1, ROWS)[0],
        interval_ns=share.plan.recorded_ns,
        timeout_ns=share.timeout_ns,
        open_loop=False,
    )
    recorder.memory.header[Field.START_NS] = began_ns
    return recorder


def warm_up(
    target: Target, feed: Iterator[Any], share: PlanShare, memory: WorkerMemory, clock: Clock
) -> Generator[None, None, WarmUp | None]:
    """Run `warmup_iterations`, and on until `warmup_s` has passed. Yields after slices; returns
    what it saw, None if the plan has no warm-up.
    """
    plan = share.plan
    if not plan.warmup_iterations and not plan.warmup_s:
        return None
    began = clock.now_ns()
    recorder = warm_up_recorder(share, began)
    header, own = memory.header, recorder.memory.header

    def sliced(iterations: int | None, until_ns: int) -> Iterator[None]:
        loop = closed_loop(
            target.call, feed, recorder, clock, iterations, until_ns, look=target.look
        )
        for _ in loop:
            own[Field.STOP] = header[Field.STOP]
            header[Field.SLICE_NS] = clock.now_ns()
            header[Field.WARM_COMPLETED] = own[Field.COMPLETED]
            header[Field.FIRST_NS] = own[Field.FIRST_NS]
            yield

    header[Field.SLICE_NS] = began
    if plan.warmup_iterations:
        yield from sliced(plan.warmup_iterations, FOREVER_NS)
    until_ns = began + int(plan.warmup_s * 1e9)
    if clock.now_ns() < until_ns:
        yield from sliced(None, until_ns)
    recorder.finish()
    header[Field.SLICE_NS] = 0
    return recorder.warm_up(clock.now_ns() - began)

"""Warm-up: the same calls by the same worker, recorded apart, so that a cold start is in no
percentile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qs.engine.clock import Clock
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, WorkerMemory, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.record.report import WarmUp, WorkerReport
from qs.engine.workers.closed_loop import FOREVER_NS, closed_loop
from qs.engine.workers.target import Built

ROWS = 4_096


def warm_up(
    built: Built,
    feed: Iterator[Any],
    plan: RunPlan,
    memory: WorkerMemory,
    report: WorkerReport,
    clock: Clock,
) -> Iterator[None]:
    """Run `warmup_iterations`, and on until `warmup_s` has passed; leaves what it saw in the
    report. Yields after slices.
    """
    if not plan.warmup_iterations and not plan.warmup_s:
        return
    own = local_memory(1, ROWS)[0]
    recorder = Recorder(own, 1_000_000_000, int(plan.timeout_s * 1e9), open_loop=False)
    began = clock.now_ns()
    own.header[Field.START_NS] = began

    def sliced(iterations: int | None, until_ns: int) -> Iterator[None]:
        for _ in closed_loop(built.call, feed, recorder, clock, iterations, until_ns):
            own.header[Field.STOP] = memory.header[Field.STOP]
            memory.header[Field.SLICE_NS] = clock.now_ns()
            memory.header[Field.WARM_COMPLETED] = own.header[Field.COMPLETED]
            memory.header[Field.FIRST_NS] = own.header[Field.FIRST_NS]
            yield

    memory.header[Field.SLICE_NS] = began
    if plan.warmup_iterations:
        yield from sliced(plan.warmup_iterations, FOREVER_NS)
    until_ns = began + int(plan.warmup_s * 1e9)
    if clock.now_ns() < until_ns:
        yield from sliced(None, until_ns)
    recorder.finish()
    memory.header[Field.SLICE_NS] = 0
    report.warm = warm_up_report(own, recorder, clock.now_ns() - began)


def warm_up_report(memory: WorkerMemory, recorder: Recorder, wall_ns: int) -> WarmUp:
    """What a finished recorder of a warm-up holds."""
    header = memory.header
    response = memory.published(Field.RESPONSE)
    mean_ns = response.sum_ns / response.counted if response.counted else 0.0
    return WarmUp(
        int(header[Field.COMPLETED]),
        int(header[Field.FAILED]),
        wall_ns,
        int(header[Field.FIRST_NS]),
        mean_ns,
        recorder.first_fault,
    )

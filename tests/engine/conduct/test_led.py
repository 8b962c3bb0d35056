"""A run that is one part of several: it starts when its lead says so, shows what it measures, and
ends when it is told to.
"""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from qs.engine import (
    ClosedLoop,
    ConstantRate,
    Ending,
    Factory,
    Poisson,
    Pool,
    RunPlan,
    Stop,
    run_async,
)
from qs.engine.clock import MONOTONIC
from qs.engine.conduct.assembling import merged
from qs.engine.part import Part
from qs.engine.record.memory import local_memory
from tests.fakes import MS, S, Service, StartedTarget, VirtualClock, nothing

INLINE, THREAD, ASYNC = (Pool(kind) for kind in ("inline", "thread", "async"))
NO_END = Stop()


async def awaited(sample):
    await asyncio.sleep(0.001)


def blocking(sample):
    time.sleep(0.001)


class Lead:
    """Starts the run `ahead_ns` after it was asked, and ends it at the `at`-th moment."""

    def __init__(self, ahead_ns=100 * MS, why=None, at=2, progress=False, clock=MONOTONIC):
        self.ahead_ns, self.why, self.at, self.progress = ahead_ns, why, at, progress
        self.clock, self.told_ns, self.moments, self.snapshots = clock, 0, [], []

    async def start_ns(self):
        self.told_ns = self.clock.now_ns() + self.ahead_ns
        return self.told_ns

    def look(self, moment):
        self.moments.append(moment)
        self.snapshots.append(moment.snapshot())
        return self.why if len(self.moments) >= self.at else None


class Silent(Lead):
    """Never says when."""

    def __init__(self, interrupt):
        super().__init__()
        self.interrupt = interrupt

    async def start_ns(self):
        asyncio.get_running_loop().call_later(0.1, self.interrupt.set)
        await asyncio.Event().wait()


def led(lead, pool, load, target=None, stop=NO_END, drain_s=1.0, **options):
    target = target or (awaited if pool.kind == "async" else blocking)
    plan = RunPlan(load, stop, pool, part=Part(0, 1), calibrate=False, drain_s=drain_s)
    return asyncio.run(run_async(plan, target, lead=lead, **options))


KINDS = [
    (INLINE, ClosedLoop()),
    (INLINE, ConstantRate(200)),
    (THREAD, ClosedLoop(clients=2)),
    (THREAD, ConstantRate(200)),
    (ASYNC, ClosedLoop(clients=2)),
    (ASYNC, Poisson(200, seed=1)),
]


@pytest.mark.parametrize(("pool", "load"), KINDS, ids=str)
def test_it_starts_at_the_common_start_and_ends_when_told(pool, load):
    lead = Lead(why=Ending.NODE_LOST)
    result = led(lead, pool, load)
    assert result.start_ns == lead.told_ns
    assert result.ended_by is Ending.NODE_LOST and not result.interrupted
    assert result.completed > 0 and result.verdict == "VALID"
    last = lead.moments[-1]
    assert last.began_ns >= lead.told_ns
    assert last.began_ns - lead.told_ns < 5 * S
    assert last.completed == result.completed
    assert last.last_answer_ns >= lead.told_ns


@pytest.mark.slow
@pytest.mark.parametrize("pool", [Pool("process", workers=2), Pool("async", workers=2)], ids=str)
def test_processes_start_at_the_common_start_too(pool):
    what = "tests.fakes:make_nothing" if pool.kind == "process" else __name__ + ":make_awaited"
    lead = Lead(why=Ending.NODE_LOST, ahead_ns=300 * MS)
    result = led(lead, pool, Poisson(500, seed=1), Factory(what))
    assert result.start_ns == lead.told_ns
    assert lead.moments[-1].began_ns >= lead.told_ns
    assert sum(int(one.counts.sum()) for m in lead.moments for _, one in m.intervals) > 0
    assert result.ended_by is Ending.NODE_LOST


def make_awaited():
    return awaited


@pytest.mark.parametrize(("pool", "load"), KINDS, ids=str)
def test_an_interrupt_ends_the_wait_and_nothing_is_measured(pool, load):
    async def waiting():
        interrupt = asyncio.Event()
        plan = RunPlan(load, pool=pool, part=Part(0, 1), calibrate=False, warmup_iterations=2)
        target = awaited if pool.kind == "async" else blocking
        return await run_async(plan, target, lead=Silent(interrupt), interrupt=interrupt)

    began = time.monotonic()
    result = asyncio.run(waiting())
    assert time.monotonic() - began < 10
    assert result.interrupted and result.ended_by is Ending.INTERRUPT
    assert (result.completed, result.errors, result.wall_s) == (0, 0, 0.0)
    assert result.warmup.completed >= 2
    assert result.start_ns <= MONOTONIC.now_ns()


def test_a_start_that_has_passed_is_made_up_for():
    lead = Lead(ahead_ns=-100 * MS)
    result = led(lead, INLINE, ConstantRate(100), stop=Stop(duration_s=0.3))
    assert result.completed == 30
    assert lead.moments[-1].began_ns - lead.told_ns >= 100 * MS
    assert result.lateness.max_ns >= 90 * MS


@pytest.mark.parametrize(
    ("why", "drains"),
    [(Ending.MINIMUMS, True), (Ending.STABLE, True), (Ending.ERROR_BUDGET, False)],
)
def test_what_is_due_is_answered_where_the_ending_asks_for_it(why, drains):
    """The target falls behind: when the end comes, requests wait in line."""
    clock = VirtualClock()
    lead = Lead(why=why, at=1, clock=clock, ahead_ns=0)
    load, target = ConstantRate(1000), Service(clock, 2 * MS)
    result = led(lead, INLINE, load, target, drain_s=1e5, clock=clock)
    assert result.ended_by is why
    assert (result.not_issued == 0) == drains
    assert len(lead.moments) > 1 or not drains  # moments go on in the drain


def test_intervals_and_snapshots_add_up_to_the_result():
    lead = Lead(ahead_ns=0)
    result = led(lead, THREAD, ConstantRate(300), stop=Stop(duration_s=1.0))
    seen = np.zeros_like(result.response.counts)
    for moment in lead.moments:
        for _, one in moment.intervals:
            seen[one.index] += one.counts
    assert np.array_equal(seen, result.response.counts)
    phases = [each.phase for each in lead.moments]
    assert phases[0] == "measure" and phases[-1] == "reading"
    assert phases == sorted(phases, key=("measure", "drain", "reading").index)
    last = lead.snapshots[-1]
    assert last.completed == result.completed == last.response.count
    for name in ("response", "service", "lateness"):
        whole, part = getattr(result, name), getattr(last, name)
        assert np.array_equal(whole.counts, part.counts)
        assert (whole.count, whole.sum_ns, whole.max_ns) == (part.count, part.sum_ns, part.max_ns)
    counts = [each.completed for each in lead.snapshots]
    assert counts == sorted(counts)


def test_failures_are_in_snapshots():
    clock, calls = VirtualClock(), []

    def sometimes(sample):
        calls.append(sample)
        clock.advance_ns(MS)
        if len(calls) % 2:
            raise ValueError

    lead = Lead(ahead_ns=0, clock=clock)
    led(lead, INLINE, ClosedLoop(iterations=10), sometimes, clock=clock)
    assert lead.snapshots[-1].errors_by_kind == {"failed before its worker was lost": 5}
    assert lead.moments[-1].failed == 5


def test_the_progress_is_told_if_the_lead_asks_for_it():
    told = []
    quiet, asking = Lead(ahead_ns=0), Lead(ahead_ns=0, progress=True)
    for lead in (quiet, asking):
        led(lead, THREAD, ClosedLoop(iterations=30), on_progress=told.append)
    assert {moment.progress for moment in quiet.moments} == {None}
    assert asking.moments[-1].progress.completed == 30
    assert told[-1].completed == 30
    led(asking, THREAD, ClosedLoop(iterations=30))
    assert asking.moments[-1].progress.completed == 30


def test_a_lead_that_fails_before_the_start_ends_the_run():
    class Broken(Lead):
        async def start_ns(self):
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        led(Broken(), THREAD, ClosedLoop(iterations=10))


def seen_by(load, part, samples, pool=ASYNC, count=12, **plan):
    target = StartedTarget()
    plan = RunPlan(load, Stop(iterations=count), pool, part=part, calibrate=False, **plan)
    asyncio.run(run_async(plan, target, samples))
    return target.seen


@pytest.mark.parametrize("per_query", [None, 3])
@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_parts_have_the_samples_of_the_whole(of, per_query):
    samples, load = list(range(10)), ConstantRate(2_000)
    whole = seen_by(load, None, samples, count=12 * of, samples_per_query=per_query)
    parts = [
        seen_by(load.shard(index, of), Part(index, of), samples, samples_per_query=per_query)
        for index in range(of)
    ]
    assert [parts[number % of][number // of] for number in range(12 * of)] == whole


@pytest.mark.parametrize("pool", [INLINE, ASYNC], ids=str)
def test_clients_of_a_part_begin_where_they_would_in_the_whole(pool):
    target = StartedTarget() if pool.kind == "async" else None
    seen = [] if target is None else target.seen
    plan = RunPlan(ClosedLoop(iterations=3), pool=pool, part=Part(1, 2, first=4), calibrate=False)
    asyncio.run(run_async(plan, target or seen.append, list(range(6))))
    assert seen == [4, 5, 0]


def test_without_a_lead_none_is_asked():
    result = asyncio.run(run_async(RunPlan(ClosedLoop(iterations=5), pool=INLINE), nothing))
    assert result.completed == 5


def test_a_snapshot_may_be_taken_while_workers_count():
    [memory] = local_memory(1, 16)
    going = threading.Event()
    going.set()

    def count():
        while going.is_set():
            memory.response[::3] = 1
            memory.interval[::3] = 1
            memory.response[:] = 0
            memory.interval[:] = 0

    worker = threading.Thread(target=count)
    worker.start()
    try:
        for _ in range(300):
            merged([memory], False)
    finally:
        going.clear()
        worker.join()

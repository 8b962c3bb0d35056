"""The cap on the backlog drops exactly what a queue of that length would, and whatever is due and
never issued is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine import ClosedLoop, Factory, Pool, RunPlan, Stop, run
from qs.engine.clock import FOREVER_NS
from qs.engine.conduct import offered
from qs.engine.conduct.offered import due_before
from qs.engine.load import ConstantRate, Poisson
from qs.engine.load.schedule import bounded
from qs.engine.record.memory import Field
from qs.engine.workers.queue import ThreadQueue, capped, looking_ahead
from qs.engine.workers.share import PlanShare
from qs.engine.workers.warmup import warm_up_recorder
from tests.fakes import MS, S, Service, VirtualClock


def simulated(due: list[int], takes: int, cap: int) -> tuple[list[int], int]:
    """One server before which requests wait; when it is free and more than `cap` wait behind the
    first, the first is dropped.
    """
    waiting = deque(due)
    free, answered, dropped = 0, [], 0
    while waiting:
        first = waiting.popleft()
        now = max(free, first)
        if sum(other <= now for other in waiting) > cap:
            dropped += 1
            continue
        free = now + takes
        answered.append(free - first)
    return answered, dropped


@pytest.mark.parametrize("cap", [0, 1, 5, 50])
@pytest.mark.parametrize("takes_ms", [5, 12])
def test_the_cap_drops_what_a_line_of_that_length_would(cap, takes_ms):
    clock = VirtualClock()
    load, stop = Poisson(100, seed=5), Stop(iterations=300)
    plan = RunPlan(load=load, stop=stop, pool=Pool("inline"), max_backlog=cap)
    result = run(plan, Service(clock, takes_ms * MS), clock=clock)
    due = np.concatenate(list(bounded(load.blocks(), None, 300))).tolist()
    answered, dropped = simulated(due, takes_ms * MS, cap)
    assert (result.completed, result.dropped) == (len(answered), dropped)
    assert result.response.max_ns == max(answered)
    assert result.errors == dropped and (result.verdict == "INVALID") == bool(dropped)
    if takes_ms == 12:
        assert dropped and any("dropped" in reason for reason in result.reasons)


def test_without_a_cap_nothing_is_dropped():
    clock = VirtualClock()
    result = run(
        RunPlan(load=ConstantRate(1_000), stop=Stop(iterations=500), pool=Pool("inline")),
        Service(clock, 5 * MS),
        clock=clock,
    )
    assert (result.completed, result.dropped, result.verdict) == (500, 0, "VALID")


def test_a_stall_drops_only_what_it_made_wait():
    clock = VirtualClock()
    plan = RunPlan(
        load=ConstantRate(1_000), stop=Stop(duration_s=3), pool=Pool("inline"), max_backlog=10
    )
    result = run(plan, Service(clock, MS // 10, stall_at_ns=S, stall_ns=S), clock=clock)
    # About a thousand fall due in the stalled second; ten of them and the first in line are
    # answered.
    assert 985 <= result.dropped <= 990
    assert result.completed + result.dropped == 3_000


@given(st.lists(st.lists(st.integers(0, 50), max_size=30), max_size=8), st.integers(1, 40))
def test_looking_ahead_pairs_each_due_time_with_the_one_behind_it(steps, distance):
    due = np.cumsum([step for block in steps for step in block] or [0])
    blocks, at = [], 0
    for block in steps:
        blocks.append(due[at : at + len(block)])
        at += len(block)
    pairs = [
        tuple(pair) for block in looking_ahead(iter(blocks), distance) for pair in block.tolist()
    ]
    all_due = [int(value) for block in blocks for value in block]
    assert pairs == list(zip(all_due, all_due[distance:] + [FOREVER_NS] * distance))


def test_an_endless_schedule_is_paired_as_it_goes():
    pairs = ThreadQueue(looking_ahead(ConstantRate(1e6).blocks(), 100_000), 0)
    recorder = warm_up_recorder(PlanShare(RunPlan(), 1), 0)
    header = recorder.memory.header
    kept = (due for block in capped(pairs, lambda: 100_500_000, recorder) for due in block)
    assert next(kept) == 501_000  # the first whose 100,000th successor is not due yet
    assert header[Field.DROPPED] == 501


def test_processes_drop_too():
    plan = RunPlan(
        load=ConstantRate(1_000),
        stop=Stop(iterations=400),
        pool=Pool("process", workers=2),
        max_backlog=3,
    )
    result = run(
        plan, Factory("tests.fakes:make_nth", {"nth": 0, "what": "return", "pause_s": 0.01})
    )
    assert result.completed + result.dropped == 400 and result.dropped > 100
    # Whoever is issued has at most three behind it, so has waited for about three arrivals at most.
    assert result.lateness.percentile_ns(50) < 20 * MS


def test_coroutines_drop_what_waits_for_a_place():
    async def target(sample):
        await asyncio.sleep(0.01)

    plan = RunPlan(
        load=ConstantRate(1_000),
        stop=Stop(iterations=300),
        pool=Pool("async", max_in_flight=2),
        max_backlog=3,
    )
    result = run(plan, target)
    assert result.completed + result.dropped == 300 and result.dropped > 100
    unbounded = RunPlan(load=ConstantRate(1_000), stop=Stop(iterations=100), max_backlog=0)
    assert run(unbounded, target).completed == 100


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (RunPlan(load=ConstantRate(1), stop=Stop(iterations=1), max_backlog=-1), "-1"),
        (RunPlan(load=ClosedLoop(iterations=1), max_backlog=5), "closed loop"),
        (RunPlan(load=ClosedLoop(iterations=1), samples_per_query=0), "samples_per_query"),
    ],
)
def test_faults(plan, word):
    assert len(plan.faults()) == 1 and word in plan.faults()[0]


# -- not issued


def test_what_the_drain_limit_cuts_is_counted():
    plan = RunPlan(load=ConstantRate(1_000), stop=Stop(duration_s=0.4), drain_s=0.2)
    result = run(
        plan, Factory("tests.fakes:make_nth", {"nth": 0, "what": "return", "pause_s": 0.005})
    )
    assert result.completed + result.not_issued + result.errors_by_kind.get("cut off", 0) == 400
    assert result.not_issued > 100
    assert any("not issued" in reason for reason in result.reasons)


def test_what_waits_for_a_place_at_the_drain_limit_is_not_issued():
    async def target(sample):
        await asyncio.sleep(0.02)

    plan = RunPlan(
        load=ConstantRate(1_000),
        stop=Stop(duration_s=0.3),
        drain_s=0.2,
        pool=Pool("async", max_in_flight=2),
    )
    result = run(plan, target)
    assert result.not_issued > 100
    assert result.completed + result.errors == 300


def test_the_error_budget_does_not_wait_for_those_in_line():
    plan = RunPlan(load=ConstantRate(1_000), stop=Stop(duration_s=60, max_errors=5))
    failing = Factory(
        "tests.fakes:make_nth", {"nth": 50, "what": "ValueError", "onward": True, "pause_s": 0.004}
    )
    result = run(plan, failing)
    assert result.ended_by == "error budget" and result.wall_s < 40
    assert result.completed == 49 and result.errors_by_kind["ValueError"] > 5


def test_an_interrupted_overload_counts_those_in_line():
    async def interrupted():
        from qs.engine import run_async

        stop = asyncio.Event()
        begun = []

        def see(progress):
            if progress.phase == "measure" and not begun:
                begun.append(asyncio.get_running_loop().call_later(0.5, stop.set))

        plan = RunPlan(load=ConstantRate(1_000), stop=Stop(duration_s=60))
        target = Factory("tests.fakes:make_nth", {"nth": 0, "what": "return", "pause_s": 0.004})
        return await run_async(plan, target, on_progress=see, interrupt=stop)

    result = asyncio.run(interrupted())
    assert result.interrupted and result.verdict == "INVALID"
    assert 0.2 < (result.completed + result.not_issued) / 1_000 < 3
    assert result.not_issued > result.completed


@pytest.mark.parametrize(
    ("stop", "offset_s", "count"),
    [
        (Stop(duration_s=2), 10, 200),
        (Stop(duration_s=2), 1, 100),
        (Stop(duration_s=2, iterations=150), 10, 150),
        (Stop(iterations=30_000), 1_000, 30_000),
        (Stop(min_queries=5), 0, 0),
    ],
)
def test_due_before(stop, offset_s, count):
    assert due_before(RunPlan(load=ConstantRate(100), stop=stop), offset_s * S) == count


@pytest.mark.parametrize("stop", [Stop(duration_s=1e6), Stop(iterations=10**6, duration_s=1e6)])
def test_what_is_due_is_not_counted_without_end(stop, monkeypatch):
    """A run of a wrong unit's rate that is stopped ends at once, and says about what was due."""
    monkeypatch.setattr(offered, "MOST_COUNTED", 100_000)
    counted = due_before(RunPlan(load=ConstantRate(1e9), stop=stop), 3600 * S)
    assert counted == (10**6 if stop.iterations else pytest.approx(3.6e12, rel=1e-3))

"""Honesty end to end: real runs of targets that spoil a measurement in a known way are found out,
and say so in words.
"""

from __future__ import annotations

import json
import time

import pytest

from qs.engine import ClosedLoop, ConstantRate, Poisson, Pool, RunPlan, Stop, run
from qs.engine.record.memory import Field, local_memory
from qs.engine.record.recorder import Recorder
from qs.engine.workers.target import nothing
from tests.fakes import MS, Service, VirtualClock


def pause(sample: object) -> None:
    time.sleep(0.002)


async def coroutine(sample: object) -> None:
    pass


def test_a_result_carries_all_of_it_as_plain_data():
    plan = RunPlan(load=ClosedLoop(clients=1, iterations=20_000), pool=Pool("thread"))
    result = run(plan, nothing)
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["engine_cost"]["ns_per_request"] > 0
    assert plain["cpu"]["workers_s"] > 0
    assert plain["cpu"]["groups"][0]["kind"] == "thread"
    assert plain["warning_codes"] == result.warning_codes
    assert set(map(str, result.caveats)) <= set(result.warnings)


def test_a_target_that_does_nothing_measures_the_engine():
    result = run(
        RunPlan(load=ClosedLoop(clients=1), stop=Stop(duration_s=0.3), pool=Pool("inline")), nothing
    )
    assert {"engine_bound", "engine_cost"} & set(result.warning_codes)


def test_too_few_samples_are_said_and_not_reported():
    result = run(RunPlan(load=ClosedLoop(clients=1, iterations=20), pool=Pool("thread")), pause)
    assert "too_few_samples" in result.warning_codes
    assert result.to_dict()["response"]["p99_ns"] is None
    assert any("20 samples are too few for p99" in text for text in result.warnings)


class Tiring(Service):
    """Three times as slow after its first 300 calls."""

    def __call__(self, sample: object) -> None:
        if self.calls == 300:
            self.takes_ns *= 3
        super().__call__(sample)


def test_a_target_that_tires_drifts():
    clock = VirtualClock()
    plan = RunPlan(load=ClosedLoop(clients=1), stop=Stop(duration_s=1.6), pool=Pool("inline"))
    result = run(plan, Tiring(clock, 2 * MS), clock=clock)
    assert "drift" in result.warning_codes
    assert sum(result.rates) > 0


def test_more_than_the_target_can_answer_is_overload():
    plan = RunPlan(
        load=ConstantRate(2_000), stop=Stop(duration_s=0.4), pool=Pool("thread"), drain_s=0.1
    )
    assert "overload" in run(plan, pause).warning_codes


@pytest.mark.parametrize(
    "pool", [Pool("thread", workers=2, spin="never"), Pool("process", workers=2, spin="never")]
)
def test_pacing_holds_only_requests_that_found_a_worker_free(pool):
    """At twice the capacity nearly all requests wait for a worker: lateness shows it, pacing is the
    engine's alone.
    """
    plan = RunPlan(load=ConstantRate(2_000), stop=Stop(iterations=200), pool=pool)
    result = run(plan, pause)
    assert result.lateness.percentile_ns(90) > 20_000_000
    assert result.pacing.count < 40
    relaxed = run(RunPlan(load=Poisson(50, seed=2), stop=Stop(iterations=30), pool=pool), nothing)
    assert 5 < relaxed.pacing.count <= relaxed.lateness.count == 30  # most, on a machine at rest


def test_pacing_of_coroutines_is_their_lateness_unless_their_number_is_bounded():
    load, stop = ConstantRate(1_000), Stop(iterations=30)
    free = run(RunPlan(load=load, stop=stop, pool=Pool("async")), coroutine)
    assert free.pacing is free.lateness
    assert (
        run(RunPlan(load=load, stop=stop, pool=Pool("async", max_in_flight=1)), coroutine).pacing
        is None
    )
    assert run(RunPlan(load=ClosedLoop(clients=2, iterations=5)), coroutine).pacing is None


@pytest.mark.parametrize(
    ("rows", "waited"),
    [
        ([(100, 105, 150)], [5]),
        ([(100, 105, 150), (140, 150, 190)], [5]),  # due while the worker was busy
        ([(100, 105, 150), (150, 150, 190)], [5]),  # due the moment it was done: it went on at once
        ([(100, 105, 150), (151, 153, 190)], [5, 2]),
        ([(100, 105, 150), (140, 150, 190), (200, 203, 210)], [5, 3]),
    ],
)
@pytest.mark.parametrize("slices", ["one", "each"])
def test_which_requests_a_worker_waited_for(rows, waited, slices):
    memory = local_memory(1, 16)[0]
    memory.header[Field.START_NS] = 1
    recorder = Recorder(memory, interval_ns=1_000_000_000, timeout_ns=1_000_000_000, open_loop=True)
    row = 0
    recorder.begin(90)
    for due, issued, completed in rows:
        recorder.due[row], recorder.issued[row], recorder.completed[row] = due, issued, completed
        row += 1
        if slices == "each":
            recorder.flush(row)
            recorder.begin(completed)
            row = 0
    recorder.flush(row)
    counted = dict(recorder.paced())
    assert counted == {late: waited.count(late) for late in waited}

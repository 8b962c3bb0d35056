"""Throughput is over the time that was measured, not up to the last good answer."""

from __future__ import annotations

from typing import Any

import pytest

from qs.engine import ClosedLoop, ConstantRate, Pool, RunPlan, Stage, Stages, Stop, run
from tests.fakes import MS, S, VirtualClock


class Stalls:
    """10 ms a call; from `stalls_s` on `stalled`, which may raise."""

    def __init__(self, clock: VirtualClock, stalls_s: float, stalled: Any) -> None:
        self._clock, self._stalled = clock, stalled
        self._stalls_ns = stalls_s * S
        self._began = clock.now_ns()

    def __call__(self, sample: Any) -> None:
        if self._clock.now_ns() - self._began >= self._stalls_ns:
            return self._stalled(self._clock)
        self._clock.sleep_ns(10 * MS)
        return None


def late(clock: VirtualClock) -> None:
    clock.sleep_ns(600 * MS)


def down(clock: VirtualClock) -> None:
    clock.sleep_ns(300 * MS)
    raise ConnectionError("refused")


@pytest.mark.parametrize(
    ("stalled", "stop"),
    [
        (late, Stop(duration_s=5, max_errors=100)),
        (down, Stop(duration_s=5, max_errors=100)),
    ],
)
def test_a_target_that_stops_answering_within_its_budget(stalled: Any, stop: Stop) -> None:
    clock = VirtualClock()
    plan = RunPlan(ClosedLoop(), stop, Pool("inline"), timeout_s=0.5, calibrate=False)
    result = run(plan, Stalls(clock, 1.0, stalled), clock=clock)
    assert result.verdict == "VALID" and result.errors
    assert 5.0 <= result.wall_s < 5.7
    assert result.queries_per_s == pytest.approx(100 / 5.3, rel=0.1)
    assert sum(row.length_s for row in result.intervals) == pytest.approx(result.wall_s)


@pytest.mark.parametrize(
    ("rate", "seconds", "completed"), [(0.1, 5, 1), (0.5, 5, 3), (1, 3.5, 4), (20, 3, 60)]
)
def test_a_rate_so_low_that_the_last_seconds_are_empty(
    rate: float, seconds: float, completed: int
) -> None:
    clock = VirtualClock()
    plan = RunPlan(ConstantRate(rate), Stop(duration_s=seconds), Pool("inline"), calibrate=False)
    result = run(plan, lambda sample: clock.sleep_ns(MS), clock=clock)
    assert (result.completed, result.wall_s) == (completed, seconds)
    assert result.queries_per_s == pytest.approx(completed / seconds)


def test_stages_that_end_in_a_pause() -> None:
    clock = VirtualClock()
    load = Stages((Stage(1.0, 10.0), Stage(4.0, 0.0)))
    result = run(RunPlan(load, pool=Pool("inline"), calibrate=False), lambda s: None, clock=clock)
    assert (result.completed, result.wall_s) == (10, 5.0)


def test_every_request_fails() -> None:
    clock = VirtualClock()

    def fails(sample: Any) -> None:
        clock.sleep_ns(10 * MS)
        raise ConnectionError

    plan = RunPlan(ClosedLoop(), Stop(min_duration_s=1), Pool("inline"), calibrate=False)
    result = run(plan, fails, clock=clock)
    assert result.wall_s >= 1 and result.completed == 0
    assert not any("minimum duration" in reason for reason in result.reasons)

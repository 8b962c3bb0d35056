"""For how long requests fell due, and so how many a second were offered."""

from __future__ import annotations

import pytest

from qs.engine import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    Pool,
    Replay,
    RunPlan,
    Stage,
    Stages,
    Stop,
    run,
)
from tests.fakes import MS, Service, VirtualClock

RAMP = Stages((Stage(1.0, 100), Stage(1.0, 0), Stage(2.0, 100)))


@pytest.mark.parametrize(
    ("load", "stop", "offered_s", "per_s"),
    [
        (ConstantRate(100), Stop(duration_s=2.0), 2.0, 100.0),
        (ConstantRate(100), Stop(iterations=101), 1.0, 101.0),  # until the last was due
        (ConstantRate(100), Stop(iterations=1000, max_duration_s=2.0), 2.0, 100.0),
        (RAMP, Stop(), 4.0, 75.0),
        (RAMP, Stop(duration_s=2.0), 2.0, 50.0),
        (Replay((0.0, 0.5, 2.0)), Stop(), 2.0, 1.5),
        (Replay((0.0, 0.5, 2.0), speed=2.0), Stop(), 1.0, 3.0),
    ],
)
@pytest.mark.parametrize("takes_ms", [1, 50], ids=["in time", "too slow"])
def test_what_was_offered_does_not_depend_on_what_was_served(
    load, stop, offered_s, per_s, takes_ms
):
    clock = VirtualClock()
    plan = RunPlan(load=load, stop=stop, pool=Pool("inline"))
    result = run(plan, Service(clock, takes_ms * MS), clock=clock)
    assert result.offered_s == pytest.approx(offered_s, abs=1e-6)
    assert result.offered_per_s == pytest.approx(per_s, rel=1e-6)
    assert ("overload" in result.warning_codes) == (takes_ms == 50 and result.completed > 90)


@pytest.mark.parametrize("load", [ClosedLoop(iterations=5), AllAtOnce(5)])
def test_nothing_is_offered_where_the_target_sets_the_pace(load):
    clock = VirtualClock()
    result = run(RunPlan(load=load, pool=Pool("inline")), Service(clock, MS), clock=clock)
    assert (result.offered_s, result.offered_per_s) == (None, None)

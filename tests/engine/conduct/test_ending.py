"""When and why a run ends: a table, without a run."""

from __future__ import annotations

import pytest

from qs.engine import AllAtOnce, ClosedLoop, ConstantRate, Ending, RunPlan, Stop
from qs.engine.conduct.ending import INTERRUPT_DRAIN_S, RunEnd
from qs.engine.record.memory import Halt

S = 1_000_000_000
START = 7 * S


ENDLESS = ConstantRate(10)


def end_of(load=ENDLESS, drain_s: float = 30.0, **stop) -> RunEnd:
    return RunEnd(RunPlan(load=load, stop=Stop(**stop), drain_s=drain_s), START)


@pytest.mark.parametrize(
    ("why", "halt", "drain_s"),
    [
        (Ending.MINIMUMS, Halt.DRAIN, 30.0),
        (Ending.STABLE, Halt.DRAIN, 30.0),
        (Ending.ERROR_BUDGET, Halt.NOW, 30.0),
        (Ending.INTERRUPT, Halt.NOW, INTERRUPT_DRAIN_S),
    ],
)
def test_what_workers_are_told_and_how_long_they_may_drain(why, halt, drain_s):
    end = end_of()
    assert not end.stopped and not end.drained(START + 10**6 * S)
    assert end.stop(why, START + S) is halt
    assert (end.why, end.halt, end.stopped_ns) == (why, halt, START + S)
    assert end.drain_ns == drain_s * S
    assert not end.drained(START + S + end.drain_ns)
    assert end.drained(START + 2 * S + end.drain_ns)


def test_the_first_stop_says_when_and_an_interrupt_after_it_says_why():
    end = end_of()
    end.stop(Ending.MINIMUMS, START + S)
    assert end.stop(Ending.INTERRUPT, START + 3 * S) is Halt.NOW
    assert (end.why, end.stopped_ns) == (Ending.INTERRUPT, START + S)
    assert end.drain_ns == INTERRUPT_DRAIN_S * S


def test_a_plans_own_drain_that_is_shorter_than_an_interrupts_stays():
    end = end_of(drain_s=1.0)
    end.stop(Ending.INTERRUPT, START)
    assert end.drain_ns == S


@pytest.mark.parametrize(
    ("load", "stop", "accounted", "last_s", "now_s", "expected"),
    [
        # no limit in time
        (ClosedLoop(iterations=5), {}, 5, 1.0, 1.1, Ending.PLAN),
        # time ends what has no end of its own
        (ConstantRate(10), {"duration_s": 2}, 20, 1.9, 2.1, Ending.DURATION),
        (ConstantRate(10), {"max_duration_s": 2}, 20, 1.9, 2.1, Ending.TIME_LIMIT),
        (ConstantRate(10), {"duration_s": 2, "max_duration_s": 3}, 20, 1.9, 2.1, Ending.DURATION),
        (ConstantRate(10), {"duration_s": 3, "max_duration_s": 2}, 20, 1.9, 2.1, Ending.TIME_LIMIT),
        # a number of requests: all of them, or cut by time
        (ClosedLoop(iterations=5), {"duration_s": 2}, 5, 1.0, 1.1, Ending.PLAN),
        (ClosedLoop(iterations=5), {"duration_s": 2}, 5, 2.0, 2.1, Ending.PLAN),
        (ClosedLoop(iterations=5), {"duration_s": 2}, 4, 2.0, 2.1, Ending.DURATION),
        (ConstantRate(10), {"iterations": 9, "duration_s": 2}, 9, 0.9, 1.0, Ending.PLAN),
        (AllAtOnce(9), {"max_duration_s": 2}, 9, 1.5, 1.6, Ending.PLAN),
        (AllAtOnce(9), {"max_duration_s": 2}, 8, 1.9, 2.1, Ending.TIME_LIMIT),
    ],
)
def test_what_is_said_to_have_ended_a_run_that_nobody_stopped(
    load, stop, accounted, last_s, now_s, expected
):
    end = end_of(load, **stop)
    reason = end.reason(accounted, START + int(last_s * S), START + int(now_s * S))
    assert reason is expected


def test_who_stopped_a_run_is_the_reason_also_past_its_duration():
    end = end_of(duration_s=2)
    end.stop(Ending.ERROR_BUDGET, START + S)
    assert end.reason(5, START + 3 * S, START + 3 * S) is Ending.ERROR_BUDGET


@pytest.mark.parametrize(
    ("stop", "stopped_s", "last_s", "expected_s"),
    [
        ({}, None, 3.0, 3.0),
        ({"duration_s": 2}, None, 3.0, 2.0),  # the drain is another load
        ({"duration_s": 2}, 1.5, 3.0, 1.5),
        ({"duration_s": 2}, None, 1.0, 1.0),
        ({}, None, -1.0, 0.0),  # nothing was answered
    ],
)
def test_how_long_the_load_that_was_asked_for_went_on(stop, stopped_s, last_s, expected_s):
    end = end_of(**stop)
    if stopped_s is not None:
        end.run_out(START + int(stopped_s * S))
    assert end.measured_ns(START + int(last_s * S)) == expected_s * S


def test_requests_fall_due_until_the_stop_or_as_long_as_the_run_drains():
    end = end_of()
    end.run_out(START + S)
    assert end.issuing_ns(START + 4 * S) == 4 * S
    end = end_of()
    end.stop(Ending.INTERRUPT, START + S)
    assert end.issuing_ns(START + 4 * S) == S

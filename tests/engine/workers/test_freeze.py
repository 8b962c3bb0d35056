"""The freeze test: a target that stalls half of the time must show in open loop and must not in
closed loop.

Ten seconds, a request due every millisecond, each served in 0.1 ms, and one stall of 5 s. The 5,000
requests that fall due during the stall wait in line: the k-th of them has waited 5,000 - k ms for
the stall's end and then for the k before it, 0.1 ms each: 5,000 - 0.9 k ms. One percent of 10,000
requests is 100, so p99 is 5,000 - 90 = 4,910 ms. A closed loop does not ask in that time.
"""

from __future__ import annotations

import time

import pytest

from qs.engine import ClosedLoop, ConstantRate, Pool, RunPlan, Stop, run
from tests.fakes import MS, S, Service, VirtualClock


def test_open_loop_shows_the_stall():
    clock = VirtualClock()
    target = Service(clock, MS // 10, stall_at_ns=2 * S, stall_ns=5 * S)
    result = run(
        RunPlan(ConstantRate(1_000), Stop(duration_s=10), Pool("inline")), target, clock=clock
    )
    assert (result.completed, result.errors) == (10_000, 0)
    assert result.response.percentile_ns(99) == pytest.approx(4_910 * MS, rel=1e-3)
    assert result.response.max_ns == 5 * S + MS // 10
    assert result.response.percentile_ns(40) == pytest.approx(MS // 10, rel=1e-3)
    # Only one request was slow to be served; the others waited.
    assert result.service.percentile_ns(99.9) == pytest.approx(MS // 10, rel=1e-3)
    assert result.service.max_ns == 5 * S + MS // 10
    assert result.lateness.percentile_ns(99) == pytest.approx(4_910 * MS, rel=1e-3)
    assert result.wall_s == pytest.approx(10.0)  # to the end of the schedule
    stalled = [row for row in result.intervals if 2 <= row.start_s < 7]
    assert [row.completed for row in stalled] == [0] * 5
    assert [row.in_flight for row in stalled] == [1_000, 2_000, 3_000, 4_000, 5_000]


def test_closed_loop_does_not_ask_while_the_target_stalls():
    clock = VirtualClock()
    target = Service(clock, MS, stall_at_ns=2 * S, stall_ns=5 * S)
    result = run(RunPlan(ClosedLoop(), Stop(duration_s=10), Pool("inline")), target, clock=clock)
    assert result.completed == 5_000
    assert result.response.percentile_ns(99) == pytest.approx(MS, rel=1e-3)
    assert result.response.percentile_ns(99.9) == pytest.approx(MS, rel=1e-3)
    assert result.response.max_ns == 5 * S + MS


class Stalling:
    """Answers in `takes_s`; calls that begin in the stall end with it."""

    def __init__(self, takes_s: float, stall_at_s: float, stall_s: float):
        self.takes_s = takes_s
        self.window = (stall_at_s, stall_at_s + stall_s)
        self.began = None

    def __call__(self, sample: object) -> None:
        now = time.perf_counter()
        self.began = self.began or now
        start, end = (self.began + edge for edge in self.window)
        time.sleep(end - now if start <= now < end else self.takes_s)


def test_in_real_time():
    """One second, 200 due a second, a stall of half a second: p95 of open loop is about 0.4 s,
    closed loop's some milliseconds.
    """
    plan = RunPlan(ConstantRate(200), Stop(duration_s=1.0), Pool("thread", workers=2))
    opened = run(plan, Stalling(0.001, 0.2, 0.5))
    closed = run(RunPlan(ClosedLoop(clients=2), Stop(duration_s=1.0)), Stalling(0.001, 0.2, 0.5))
    assert opened.completed == 200
    assert opened.response.percentile_ns(50) >= 20 * MS
    assert opened.response.percentile_ns(95) >= 350 * MS
    assert opened.service.percentile_ns(95) < opened.response.percentile_ns(95)
    assert closed.response.percentile_ns(95) < 350 * MS
    assert closed.response.max_ns >= 250 * MS  # of 500, had the call come at its beginning

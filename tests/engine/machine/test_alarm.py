"""Alarms of an event loop: at the instant or after it, once each, and silent when closed."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from qs.engine.hosts.loops import new_loop
from qs.engine.machine import alarm
from qs.engine.machine.alarm import ThreadAlarm, TimerAlarm, new_alarm

KINDS = [
    ThreadAlarm,
    pytest.param(TimerAlarm, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux")),
]


def on_a_loop(kind, body):
    """Run `body(ring, set, close)`, where ring() awaits the next call back and gives its time."""

    async def inside():
        rings: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        one = kind(loop, lambda: rings.put_nowait(time.perf_counter_ns()))
        try:
            return await body(one, rings)
        finally:
            one.close()

    loop = new_loop()
    try:
        return loop.run_until_complete(inside())
    finally:
        loop.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ahead_ns", [-10_000_000_000, 0, 300_000, 120_000_000])
def test_it_rings_at_its_instant_and_not_before(kind, ahead_ns):
    async def body(one, rings):
        for _ in range(3):
            at = max(time.perf_counter_ns() + ahead_ns, 0)
            one.set(at)
            assert await asyncio.wait_for(rings.get(), 30) >= at
        await asyncio.sleep(0.01)
        assert rings.empty()

    on_a_loop(kind, body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_alarm_is_silent(kind):
    async def body(one, rings):
        one.set(time.perf_counter_ns() + 20_000_000)
        one.close()
        one.close = lambda: None
        await asyncio.sleep(0.08)
        assert rings.empty()

    on_a_loop(kind, body)


def test_without_timers_of_the_kernel_a_thread_does_it(monkeypatch):
    def refused(*arguments):
        raise OSError("a sandbox")

    async def body(one, rings):
        assert isinstance(one, ThreadAlarm)
        one.set(0)
        await asyncio.wait_for(rings.get(), 30)

    monkeypatch.setattr(alarm, "TimerAlarm", refused)
    on_a_loop(new_alarm, body)

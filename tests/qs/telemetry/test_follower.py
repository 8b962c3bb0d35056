"""The thread of one source: what is read when, and what becomes of a source that raises or hangs.
Nothing here depends on how fast the machine is: what is waited for is an event.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from qs.telemetry.channel import Channel, Opened, Part, Unit, Unreadable
from qs.telemetry.follower import NS, Follower

LONG_S = 60.0
CHANNEL = Channel("x", Unit.WATT, Part.PACKAGE, counter=True)


class FakeSource:
    """Counts its readings; `act` is called in each, with its number from 1."""

    channels = (CHANNEL,)

    def __init__(self, act=lambda number: None):
        self.act, self.reads, self.closed = act, 0, threading.Event()
        self.read_often = threading.Event()

    def read(self):
        self.reads += 1
        if self.reads >= 5:
            self.read_often.set()
        self.act(self.reads)
        return [float(self.reads)]

    def close(self):
        self.closed.set()


@contextmanager
def following(source, interval_s=LONG_S, **more) -> Iterator[Follower]:
    opener = source if callable(source) else lambda: Opened(source)
    follower = Follower("fake", opener, interval_s, **more)
    try:
        yield follower
    finally:
        follower.close()


def test_it_is_read_at_the_beginning_and_at_the_end():
    source = FakeSource()
    with following(source) as follower:
        for case in (1, 2):
            follower.begin()
            assert follower.settle(LONG_S)
            follower.end()
            assert follower.settle(LONG_S)
            log = follower.taken()
            assert list(log.values[0]) == [case * 2.0 - 1, case * 2.0]
            assert log.at_ns[0] < log.at_ns[1] and log.fault == ""
            assert log.cpu_ns > 0
    assert source.closed.wait(LONG_S)


def test_it_is_read_again_and_again_between():
    source = FakeSource()
    with following(source, interval_s=0.001, sources=1) as follower:
        follower.begin()
        assert source.read_often.wait(LONG_S)
        follower.end()
        assert follower.settle(LONG_S)
        assert len(follower.taken().at_ns) >= 5


def test_readings_that_cost_much_become_rarer():
    class Costly(FakeSource):
        def read(self):
            sum(range(300_000))
            return super().read()

    source = Costly()
    with following(source, interval_s=0.001, clock_ns=lambda: 0) as follower:
        follower.begin()
        assert follower.settle(LONG_S)
        follower.end()
        assert follower.settle(LONG_S)
        assert follower._next_ns > 100 * 0.001 * NS  # a hundred intervals, for a millisecond


def test_a_source_that_raises_is_dropped_with_the_reason():
    def act(number):
        if number == 2:
            raise RuntimeError("bus\nerror")

    source = FakeSource(act)
    with following(source) as follower:
        follower.begin()
        assert follower.settle(LONG_S)
        follower.end()
        assert follower.settle(LONG_S)
        log = follower.taken()
        assert (list(log.values[0]), log.fault) == ([1.0], "RuntimeError: bus error")
        assert source.closed.wait(LONG_S)
        follower.begin()  # of the next case: it is not asked again
        assert follower.settle(LONG_S)
        assert len(follower.taken().at_ns) == 0
    assert source.reads == 2


def test_a_source_that_hangs_is_given_up_and_nobody_waits_for_it():
    release = threading.Event()

    def act(number):
        if number == 2:
            release.wait(LONG_S)

    source = FakeSource(act)
    with following(source) as follower:
        follower.begin()
        assert follower.settle(LONG_S)
        follower.end()
        assert not follower.settle(0.01)
        log = follower.taken()
        assert len(log.at_ns) == 1
        assert log.fault.startswith("no answer for") and log.fault.endswith("given up")
        follower.begin()
        assert follower.settle(0.0)  # at once
        follower.end()
        assert len(follower.taken().at_ns) == 0
        release.set()
        assert source.closed.wait(LONG_S)
    assert source.reads == 2


def test_a_source_whose_opening_hangs_is_named():
    release = threading.Event()

    def opener():
        release.wait(LONG_S)
        return Opened(FakeSource())

    with following(opener) as follower:
        follower.begin()
        assert not follower.settle(0.01)
        follower.end()
        assert follower.taken() is None
        assert follower.unreadable[0].why.endswith("given up")
        release.set()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Opened(None, (Unreadable("RAPL", "none"),)), "none"),
        (OSError("no bus"), "OSError: no bus"),
    ],
)
def test_a_source_that_is_not_there_says_why(answer, why):
    def opener():
        if isinstance(answer, Exception):
            raise answer
        return answer

    with following(opener) as follower:
        follower.begin()
        assert follower.settle(LONG_S)
        follower.end()
        assert follower.taken() is None
        assert [each.why for each in follower.unreadable] == [why]


def test_a_case_that_begins_before_the_source_is_open_is_read_from_then_on():
    release = threading.Event()

    def opener():
        release.wait(LONG_S)
        return Opened(FakeSource())

    with following(opener) as follower:
        follower.begin()
        release.set()
        assert follower.settle(LONG_S)
        follower.end()
        assert follower.settle(LONG_S)
        assert list(follower.taken().values[0]) == [1.0, 2.0]


def test_a_wrong_number_of_values_is_a_fault():
    source = FakeSource()
    source.read = lambda: [1.0, 2.0]
    with following(source) as follower:
        follower.begin()
        assert follower.settle(LONG_S)
        follower.end()
        assert follower.taken().fault.startswith("ValueError")

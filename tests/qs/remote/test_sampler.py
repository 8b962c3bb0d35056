"""The thread that reads a server beside a case: what is read when, and what becomes of a server
that is slow, gone or back again. Nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qs.remote.sampler import MOST_FAULTS, Sampler, Unread

LONG_S = 60.0


class Fake:
    """Counts its readings; `act` is called in each, with its number from 1."""

    def __init__(self, act: Callable[[int], None] = lambda number: None) -> None:
        self.act, self.reads, self.opened, self.closed = act, 0, 0, 0
        self.many = threading.Event()

    def open(self) -> Fake:
        self.opened += 1
        return self

    def read(self) -> int:
        self.reads += 1
        if self.reads >= 5:
            self.many.set()
        self.act(self.reads)
        return self.reads

    def close(self) -> None:
        self.closed += 1


@contextmanager
def sampling(fake: Fake, interval_s: float = LONG_S) -> Iterator[Sampler[int]]:
    sampler: Sampler[int] = Sampler("fake", fake.open, interval_s)
    try:
        yield sampler
    finally:
        sampler.close()


def case(sampler: Sampler[int]) -> None:
    """One that ends at once."""
    sampler.begin()
    assert sampler.settle(LONG_S)
    sampler.end()
    assert sampler.settle(LONG_S)


def test_it_is_read_before_and_after_each_case_and_opened_once():
    fake = Fake()
    with sampling(fake) as sampler:
        for values in ([1, 2], [3, 4]):
            case(sampler)
            log = sampler.taken()
            assert log.values == values
            assert log.at_ns[0] < log.at_ns[1]
            assert log.faults == {}
            assert log.cpu_ns > 0
    assert (fake.opened, fake.closed) == (1, 1)


def test_it_is_read_again_and_again_between():
    fake = Fake()
    with sampling(fake, 1e-3) as sampler:
        sampler.begin()
        assert fake.many.wait(LONG_S)
        sampler.end()
        assert sampler.settle(LONG_S)
        assert len(sampler.taken().values) >= 5


def test_a_server_that_is_gone_for_a_while_is_asked_again_on_a_new_connection():
    def act(number: int) -> None:
        if number in (2, 3):
            raise Unread("statistics: refused")

    fake = Fake(act)
    with sampling(fake, 1e-3) as sampler:
        sampler.begin()
        assert fake.many.wait(LONG_S)
        sampler.end()
        assert sampler.settle(LONG_S)
        log = sampler.taken()
    assert log.values[:2] == [1, 4]
    assert log.faults == {"statistics: refused": 2}
    assert log.failed == 2
    assert fake.opened == 3


def test_faults_of_many_kinds_are_counted_and_few_are_kept():
    def act(number: int) -> None:
        if number <= 3 * MOST_FAULTS:
            raise RuntimeError(f"\x1b[31m{number}\n" + "x" * 10_000)
        done.set()

    done = threading.Event()
    with sampling(Fake(act), 1e-4) as sampler:
        sampler.begin()
        assert done.wait(LONG_S)
        sampler.end()
        sampler.settle(LONG_S)
        log = sampler.taken()
    assert log.failed == 3 * MOST_FAULTS
    assert len(log.faults) == MOST_FAULTS
    assert all(len(text) < 300 and text.isprintable() for text in log.faults)


def test_a_reading_that_hangs_delays_nobody_and_is_no_part_of_the_next_case():
    hangs, asked = threading.Event(), threading.Event()

    def act(number: int) -> None:
        if number == 1:
            asked.set()
            assert hangs.wait(LONG_S)

    fake = Fake(act)
    with sampling(fake) as sampler:
        sampler.begin()
        assert asked.wait(LONG_S)
        assert not sampler.settle(0.01)
        sampler.end()
        assert not sampler.settle(0.01)
        assert sampler.taken().values == []
        sampler.begin()
        hangs.set()
        assert sampler.settle(LONG_S)
        assert sampler.taken().values == [2]

"""When the collector of garbage runs while requests are made."""

from __future__ import annotations

import gc

import pytest

from qs.engine.machine import collector
from qs.engine.machine.collector import Collector


@pytest.fixture
def keeper(monkeypatch):
    monkeypatch.setattr(collector, "_IN_A_PAUSE", 100)
    monkeypatch.setattr(collector, "_AT_ANY_TIME", 1_000)
    one = Collector()
    one.begin()
    yield one
    one.end()


class Node:
    """What only the collector can free."""

    alive = 0

    def __init__(self):
        self.itself = self
        Node.alive += 1

    def __del__(self):
        Node.alive -= 1


@pytest.mark.parametrize(
    ("objects", "in_a_pause", "collected", "pauses"),
    [(20, True, False, 0), (600, True, True, 0), (300, False, False, 0), (3_000, False, True, 1)],
)
def test_it_collects_what_is_worth_it(keeper, objects, in_a_pause, collected, pauses):
    gc.collect()
    before = keeper.pauses
    Node.alive = 0
    for _ in range(objects):
        Node()
    assert Node.alive == objects
    keeper.collect(in_a_pause)
    assert (Node.alive == 0) == collected
    assert keeper.pauses - before == pauses
    gc.collect()


def test_what_has_become_old_is_collected_as_well(keeper):
    old = [Node() for _ in range(200)]
    gc.collect(1)
    old.clear()
    for _ in range(2 * collector._FULL):
        [Node() for _ in range(200)]
        keeper.collect(in_a_pause=True)
    assert Node.alive == 0

"""Connections are kept: at once while all is well, and ever more slowly while it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from qs.engine.clock import MONOTONIC
from qs.engine.wire.failures import Failure, WireError
from qs.engine.wire.keeping import (
    AT_ONCE,
    FIRST_PAUSE_S,
    GENTLE_PAUSE_S,
    LONGEST_PAUSE_S,
    Keeper,
    open_many,
)
from qs.engine.wire.sweep import EVERY_NS, Sweep
from tests.engine.wire.asking import on_loop


class Pauses:
    """Notes the pauses that are asked of the loop, and ends them at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[float] = []
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(delay: float, callback: Callable[..., object]) -> asyncio.TimerHandle:
            self.asked.append(delay)
            return call_later(0, callback)

        monkeypatch.setattr(loop, "call_later", noted)


async def passes(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_server_that_is_down_is_tried_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = 0
    faults: list[WireError] = []

    async def refused() -> None:
        nonlocal attempts
        attempts += 1
        raise WireError("refused", Failure.REFUSED)

    async def work() -> None:
        pauses = Pauses(monkeypatch)
        keeper = Keeper(refused, faults.append)
        keeper.wanted = 100
        keeper.restore()
        while len(pauses.asked) < 9:
            await asyncio.sleep(0)
        await keeper.close()
        assert pauses.asked[:4] == [FIRST_PAUSE_S * 2**power for power in range(4)]
        assert pauses.asked[7:9] == [LONGEST_PAUSE_S] * 2
        assert AT_ONCE + 8 <= attempts <= AT_ONCE + 10  # many at first, then one at a time
        assert len(faults) == attempts - AT_ONCE + 1  # whoever waits is told once of the many

    on_loop("asyncio", work)


def test_a_server_that_closes_at_once_is_not_pestered(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    async def work() -> None:
        pauses = Pauses(monkeypatch)

        async def connect() -> None:
            nonlocal made
            made += 1
            keeper.made()
            keeper.lost(served=False)

        keeper = Keeper(connect, lambda fault: None)
        keeper.wanted = 1
        keeper.restore()
        while len(pauses.asked) < 9:
            await asyncio.sleep(0)
        await keeper.close()
        assert pauses.asked[7:9] == [LONGEST_PAUSE_S] * 2
        assert made <= 10

    on_loop("asyncio", work)


def test_an_answer_makes_all_well_again(monkeypatch: pytest.MonkeyPatch) -> None:
    well = False

    async def work() -> None:
        pauses = Pauses(monkeypatch)

        async def connect() -> None:
            if not well:
                raise WireError("refused", Failure.REFUSED)
            keeper.made()

        nonlocal well
        keeper = Keeper(connect, lambda fault: None)
        keeper.wanted = 50
        keeper.restore()
        while len(pauses.asked) < 6:
            await asyncio.sleep(0)
        well = True
        while keeper.live < 50:
            await asyncio.sleep(0)
        keeper.healthy()
        pauses.asked.clear()
        for _ in range(3):
            keeper.lost(served=True)
        await passes()
        assert (keeper.live, keeper.opening, pauses.asked) == (50, 0, [])
        keeper.lost(served=False)
        await passes()
        assert pauses.asked == [FIRST_PAUSE_S]
        await keeper.close()

    on_loop("asyncio", work)


def test_connections_that_were_idle_come_back_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        pauses = Pauses(monkeypatch)

        async def connect() -> None:
            keeper.made()

        keeper = Keeper(connect, lambda fault: None)
        keeper.wanted = 6
        keeper.restore()
        await passes()
        assert keeper.live == 6
        for _ in range(4):
            keeper.lost(served=False, idle=True)
        keeper.needed()
        await asyncio.sleep(0)
        assert keeper.live == 3
        while keeper.live < 6:
            await asyncio.sleep(0)
        await passes()
        assert pauses.asked == [GENTLE_PAUSE_S] * 3
        for _ in range(6):  # the last one is missed at once
            keeper.lost(served=True, idle=True)
        await asyncio.sleep(0)
        assert keeper.live == 1
        await passes()
        await keeper.close()

    on_loop("asyncio", work)


def test_many_connections_are_made_a_few_at_a_time() -> None:
    under_way = most = made = 0

    async def connect() -> None:
        nonlocal under_way, most, made
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        made += 1

    async def work() -> None:
        await open_many(connect, 200)
        await open_many(connect, 0)

    on_loop("asyncio", work)
    assert (made, most) == (200, AT_ONCE)


def test_a_sweep_looks_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    next_in_ns = [5, 10**9, None]

    def look(now_ns: int) -> int | None:
        looks.append(now_ns)
        after_ns = next_in_ns.pop(0)
        return None if after_ns is None else now_ns + after_ns

    async def work() -> None:
        pauses = Pauses(monkeypatch)
        before_ns = MONOTONIC.now_ns()
        sweep = Sweep(look)
        sweep.start()
        while next_in_ns:
            await asyncio.sleep(0)
        await passes()
        sweep.stop()
        assert before_ns <= looks[0] < looks[1] < looks[2]
        assert pauses.asked == [EVERY_NS / 1e9, 1.0]

    on_loop("asyncio", work)

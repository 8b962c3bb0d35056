"""What signals do to a run: the first lets it keep what it has, the second ends it."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from qs.base.interrupt import Interrupt, run_on_loop

LIMIT_S = 60.0


@pytest.fixture
def handlers():
    """The handlers of this process, put back afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts(number, handlers, hangups_are_heard):
    interrupt = Interrupt()

    async def work() -> str:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(LIMIT_S)
        except asyncio.CancelledError:
            return "told"
        return "never told"

    assert run_on_loop(work(), interrupt) == "told"
    assert interrupt.requested.is_set()


def test_the_handlers_of_before_are_back_afterwards():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]

    async def work() -> None:
        pass

    run_on_loop(work(), Interrupt())
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_hangup_that_is_ignored_stays_ignored(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    interrupt = Interrupt()

    async def work() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
        return "ended by itself"

    assert run_on_loop(work(), interrupt) == "ended by itself"
    assert not interrupt.requested.is_set()


def test_the_second_signal_ends_the_program_whatever_goes_wrong_then(handlers, monkeypatch):
    left = []
    monkeypatch.setattr("qs.base.interrupt.remove_all", lambda: left.append("folders removed"))
    monkeypatch.setattr("qs.base.interrupt.os._exit", left.append)

    async def work() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.01)

    def at_once() -> None:
        raise ValueError("write to closed file")

    interrupt = Interrupt()
    with interrupt.gently():
        run_on_loop(work(), interrupt, at_once)
    assert left == ["folders removed", 130]


async def slow(ended: list[str]) -> str:
    try:
        await asyncio.sleep(LIMIT_S)
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    return "done"


@pytest.mark.parametrize("early", [True, False])
def test_what_may_be_left_out_is_cancelled_and_the_rest_goes_on(early):
    ended: list[str] = []

    async def work() -> object:
        interrupt = Interrupt()
        interrupt.guard(asyncio.current_task())
        if early:
            with interrupt.gently():
                interrupt.now()
        else:
            asyncio.get_running_loop().call_later(0.01, interrupt.now)
        return await interrupt.unless(slow(ended))

    assert asyncio.run(work()) is None
    assert ended == ([] if early else ["cancelled"])


def test_without_an_interruption_it_is_what_the_work_gives():
    async def fine() -> int:
        return 7

    async def fails() -> None:
        raise ValueError("no")

    async def work() -> None:
        assert await Interrupt().unless(fine()) == 7
        with pytest.raises(ValueError, match="no"):
            await Interrupt().unless(fails())

    asyncio.run(work())


def test_gentle_steps_may_stand_in_each_other():
    async def work() -> str:
        interrupt = Interrupt()
        interrupt.guard(asyncio.current_task())
        with interrupt.gently():
            with interrupt.gently():
                pass
            interrupt.now()
            await asyncio.sleep(0)
            return "kept"

    assert asyncio.run(work()) == "kept"

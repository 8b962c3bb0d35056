"""A driver and nodes that lie, flood, hang or never were nodes: each is cut off with its reason,
and none holds up another.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import time

import pytest

from qs.engine import Factory
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.results.updates import RunOptions
from qs.engine.distributed.talking import link as link_module
from qs.engine.distributed.talking import links as links_module
from qs.engine.distributed.talking.asking import Ask
from qs.engine.distributed.talking.frames import CLOCKS, Kind
from qs.engine.distributed.talking.plain import encoded
from qs.engine.outcome import Ending
from tests.engine.distributed.strangers import (
    LIMIT_S,
    PLAN,
    Stranger,
    lost_by,
    with_links,
    with_node,
)


def clocks_that_were_not_asked_for(stranger: Stranger) -> None:
    for number in range(1_100):
        stranger.tell(Kind.CLOCK, CLOCKS.pack(number, 1, 1))


def small_messages(stranger: Stranger) -> None:
    for _ in range(1_100):
        stranger.tell(Kind.ALIVE)


def update(**changes) -> bytes:
    names = ("now_ns", "start_ns", "began_ns", "told_ns", "completed", "failed", "last_answer_ns")
    return encoded({**dict.fromkeys(names, 1), **changes})


def large_updates(stranger: Stranger) -> None:
    for _ in range(40):
        stranger.tell(Kind.UPDATE, update(nothing=b"x" * 1_000_000))


LIES = {
    "flood of messages, more than 100 a second": [clocks_that_were_not_asked_for, small_messages],
    "flood of bytes": [large_updates],
    "an answer to no question": [
        lambda stranger: stranger.answer(1),
        lambda stranger: stranger.tell(Kind.PART, b"x" * 1_000),
    ],
    "a frame of kind 9": [lambda stranger: stranger.tell(9)],
    "a frame of kind 5": [lambda stranger: stranger.tell(Kind.BYE)],
    "makes no sense": [
        lambda stranger: stranger.tell(Kind.UPDATE, b"x" * 100),
        lambda stranger: stranger.tell(Kind.UPDATE, encoded([])),
        lambda stranger: stranger.tell(Kind.UPDATE, encoded({})),
        lambda stranger: stranger.tell(Kind.UPDATE, update(completed=-1)),
        lambda stranger: stranger.tell(Kind.UPDATE, update(completed=1.5)),
        lambda stranger: stranger.tell(Kind.UPDATE, update(completed=True)),
        lambda stranger: stranger.tell(Kind.UPDATE, update(completed=1 << 70)),
        lambda stranger: stranger.tell(Kind.UPDATE, update(progress={"no_such": 1})),
        lambda stranger: stranger.tell(Kind.UPDATE, update(progress={"phase": 1})),
        lambda stranger: stranger.tell(Kind.UPDATE, update(progress=[])),
        lambda stranger: stranger.tell(Kind.UPDATE, update(intervals=b"xxx")),
        lambda stranger: stranger.tell(Kind.UPDATE, update(snapshot=(1, 2))),
        lambda stranger: stranger.tell(Kind.UPDATE, update(word="x" * 300_000)),
        lambda stranger: stranger.tell(Kind.CLOCK, b"x"),
        lambda stranger: stranger.tell(Kind.ENDED, b"{"),
        lambda stranger: stranger.tell(Kind.ENDED, b'"x"'),
    ],
    "seal is not right": [lambda stranger: stranger.writer.write(b"\1\0\0\0" + b"\3" * 18)],
    "a frame of 4,294,967,295 bytes": [lambda stranger: stranger.writer.write(b"\xff" * 21)],
    "its process ended: signal SIGSEGV": [lambda stranger: stranger.tell(Kind.ENDED, b"-11")],
    "its process ended: exit status 3": [lambda stranger: stranger.tell(Kind.ENDED, b"3")],
    "it closed the connection": [lambda stranger: stranger.writer.close()],
}


@pytest.mark.parametrize(
    ("why", "doing"),
    [(why, each) for why, all_of_it in LIES.items() for each in all_of_it],
)
def test_a_node_that_lies_or_floods_is_lost_with_the_reason_and_no_other_is(why, doing):
    async def work(links, one):
        liar, other = await one(0), await one(1)
        lost, link = [await links.connected(number, LIMIT_S) for number in (0, 1)]
        doing(liar)
        assert why in await lost_by(lost)
        await liar.cut_off()
        with pytest.raises(NodeLost, match="it sent|it closed|ended") as raised:
            await lost.call("anything", 1)
        assert raised.value.why == lost.lost
        calling = asyncio.ensure_future(link.call("say", 30))
        other.answer((await other.asked())[1], "well")
        assert await calling == "well"

    with_links(work)


def test_a_node_that_says_nothing_for_too_long_is_lost(monkeypatch):
    monkeypatch.setattr(links_module, "_BEAT_S", 0.1)

    async def work(links, one):
        silent, other = await one(0), await one(1)
        lost, link = [await links.connected(number, LIMIT_S) for number in (0, 1)]
        answering = asyncio.ensure_future(other.asked())
        calling = asyncio.ensure_future(lost.call("say", 30))
        await silent.asked(alive=False)
        with pytest.raises(NodeLost, match="nothing was heard of it for 0.5 s"):
            await calling
        assert link.lost == ""
        answering.cancel()

    with_links(work, silent_s=0.5)


def test_a_node_that_lives_and_does_not_tell_its_clock_is_lost(monkeypatch):
    monkeypatch.setattr(link_module, "_CLOCK_S", 0.3)

    async def work(link, stranger):
        with pytest.raises(NodeLost, match="it did not tell its clock within 0.3 s"):
            await link.synchronise()

    with_node(work)


def test_a_driver_that_was_held_up_takes_no_node_for_silent(monkeypatch):
    monkeypatch.setattr(links_module, "_BEAT_S", 0.1)

    async def work(link, stranger):
        answering = asyncio.ensure_future(stranger.asked())
        await asyncio.sleep(0.15)
        time.sleep(1.5)
        await asyncio.sleep(0.3)
        assert link.lost == ""
        answering.cancel()

    with_node(work, silent_s=0.8)


def test_a_node_that_reads_nothing_holds_up_nobody():
    """Samples of 64 MB for two nodes, of which one does not read; it still says that it lives."""

    async def work(links, one):
        slow, other = await one(0), await one(1)
        links_of = [await links.connected(number, LIMIT_S) for number in (0, 1)]
        samples = [os.urandom(1 << 20)] * 64
        preparing = [asyncio.ensure_future(each.prepare(PLAN, None, samples)) for each in links_of]
        _, number, _ = await other.asked()
        other.answer(number)
        await preparing[1]
        assert not preparing[0].done() and links_of[0].lost == ""
        # It can be ended all the same, and what it was sent does not stay.
        links_of[0].kill("it reads nothing")
        with pytest.raises(NodeLost, match="reads nothing"):
            await preparing[0]
        await slow.cut_off()

    with_links(work)


def test_samples_are_packed_once_for_all_nodes():
    class Packed(list):
        count = 0

        def __reduce__(self):
            type(self).count += 1
            return list, (list(self),)

    async def work(links, one):
        nodes = [await one(number) for number in range(3)]
        links_of = [await links.connected(number, LIMIT_S) for number in range(3)]
        samples = Packed([1, 2])
        preparing = [asyncio.ensure_future(each.prepare(PLAN, None, samples)) for each in links_of]
        for node in nodes:
            node.answer((await node.asked())[1])
        await asyncio.gather(*preparing)
        assert Packed.count == 1

    with_links(work)


def test_what_cannot_be_packed_is_told_before_anything_is_sent():
    async def work(link, stranger):
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            await link.prepare(PLAN, lambda: 0)
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            await link.prepare(PLAN, Factory("a:b"), [lambda: 0])
        calling = asyncio.ensure_future(link.call("say", 30))
        what, number, _ = await stranger.asked()
        assert what == Ask.CALL
        stranger.answer(number)
        await calling

    with_node(work)


def test_the_word_to_end_overtakes_samples_that_are_still_sent():
    async def work(link, stranger):
        preparing = asyncio.ensure_future(link.prepare(PLAN, None, [b"x" * (32 << 20)]))
        await asyncio.sleep(0)
        link.end(Ending.INTERRUPT)
        assert (await stranger.asked())[0] == Ask.END
        what, number, _ = await stranger.asked()
        assert what == Ask.RUN
        stranger.answer(number)
        await preparing

    with_node(work)


def test_updates_come_in_order_and_belong_to_one_run():
    async def work(link, stranger):
        for many in (1, 2):
            preparing = asyncio.ensure_future(link.prepare(PLAN, None))
            stranger.answer((await stranger.asked())[1])
            await preparing
            for completed in (many, many + 10):
                stranger.tell(Kind.UPDATE, update(completed=completed))
            assert (await link.updates.get()).completed == many
        assert link.updates.qsize() <= 1

    with_node(work)


def test_updates_that_the_driver_does_not_take_do_not_fill_its_memory(monkeypatch):
    monkeypatch.setattr(link_module, "MOST_WAITING_BYTES", 1 << 20)

    async def work(link, stranger):
        for _ in range(4):
            stranger.tell(Kind.UPDATE, update(nothing=b"x" * 1_000_000))
        assert "updates that its driver does not take" in await lost_by(link)

    with_node(work)


@pytest.mark.parametrize(
    "columns",
    [
        {"due_ns": ("<i8", 10**12)},
        {"due_ns": ("<i8", -1)},
        {"due_ns": ("O", 1)},
        {"due_ns": 5},
        {str(n): ("<i8", 10**8) for n in range(10)},
        {"due_ns": ("<i8", 3), "issued_ns": ("<i8", 4)},
    ],
)
def test_columns_that_cannot_be(columns):
    async def work(link, stranger):
        preparing = asyncio.ensure_future(link.prepare(PLAN, None, None, RunOptions(True)))
        stranger.answer((await stranger.asked())[1])
        await preparing
        finishing = asyncio.ensure_future(link.finish())
        stranger.answer((await stranger.asked())[1], {"columns": columns})
        with pytest.raises(NodeLost, match="a result that makes no sense"):
            await finishing

    with_node(work)


@pytest.mark.parametrize("said", [None, {}, {"columns": {}}, {"columns": {}, "completed": 1}])
def test_a_result_that_is_none(said):
    async def work(link, stranger):
        finishing = asyncio.ensure_future(link.finish())
        stranger.answer((await stranger.asked())[1], said)
        with pytest.raises(NodeLost, match="a result that makes no sense"):
            await finishing

    with_node(work)


def test_round_trips_are_made_one_after_the_other():
    async def work(link, stranger):
        answering = asyncio.ensure_future(stranger.asked())
        await asyncio.gather(link.synchronise(8), link.synchronise(8))
        reading = link.clock.reading(time.perf_counter_ns())
        assert reading.round_trips == 16
        assert abs(reading.offset_ns) <= reading.uncertainty_ns
        answering.cancel()

    with_node(work)


def test_what_was_asked_for_is_no_flood():
    async def work(link, stranger):
        answering = asyncio.ensure_future(stranger.asked())
        await link.synchronise(1_500)
        assert link.lost == ""
        answering.cancel()

    with_node(work)


def test_a_node_ends_when_it_is_told_to():
    async def work(link, stranger):
        closing = asyncio.ensure_future(link.close())
        while (await stranger.frame())[0] != Kind.BYE:
            pass
        stranger.tell(Kind.ENDED, b"0")
        await closing
        assert link.lost == "it was ended"

    with_node(work)

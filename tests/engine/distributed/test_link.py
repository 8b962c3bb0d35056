"""A driver and nodes that lie, flood, hang or never were nodes: each is cut off with its reason,
and none holds up another.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from qs.engine import ClosedLoop, Factory, HostDied, HostError, HostTimeout, PlanError, RunPlan
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.results.updates import RunOptions
from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking import link as link_module
from qs.engine.distributed.talking import links as links_module
from qs.engine.distributed.talking.asking import Ask, plain_fault
from qs.engine.distributed.talking.frames import CLOCKS, Kind
from qs.engine.distributed.talking.link import Link
from qs.engine.distributed.talking.links import Links
from qs.engine.distributed.talking.plain import encoded
from qs.engine.outcome import Ending
from tests.engine.distributed.strangers import Stranger, strangers

LIMIT_S = 60.0
PLAN = RunPlan(load=ClosedLoop(clients=1, iterations=10))


def with_links(
    work: Callable[[Links, Callable[..., Awaitable[Stranger]]], Awaitable[None]],
    address: str = "127.0.0.1",
    silent_s: float = 10.0,
) -> None:
    """Run `await work(links, one)`, where `one` makes strangers."""

    async def inside() -> None:
        async with Links(address, silent_s) as links, strangers(links) as one:
            await work(links, one)

    asyncio.run(asyncio.wait_for(inside(), LIMIT_S))


def with_node(work: Callable[[Link, Stranger], Awaitable[None]], **options) -> None:
    """Run `await work(link, stranger)` with a stranger that has become a node."""

    async def inside(links: Links, one: Callable[..., Awaitable[Stranger]]) -> None:
        stranger = await one(0)
        await work(await links.connected(0, LIMIT_S), stranger)

    with_links(inside, **options)


async def lost_by(link: Link) -> str:
    return await asyncio.wait_for(link.until_lost(), LIMIT_S)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_node_that_knows_its_secret_is_let_in(address):
    async def work(links, one):
        stranger = await one(3)
        link = await links.connected(3, LIMIT_S)
        assert link.number == 3 and link.facts["host"] == "h" and link.facts["kernel"] is None
        assert link.lost == ""
        calling = asyncio.ensure_future(link.call("say", 30, word="x"))
        what, number, body = await stranger.asked()
        assert what == Ask.CALL and pickle.loads(body) == ("say", {"word": "x"})
        stranger.answer(number, {"a": (1, b"2")})
        assert await calling == {"a": (1, b"2")}

    with_links(work, address)


def test_only_the_address_it_was_given_is_listened_on():
    async def work(links, one):
        where = links.where_of(0)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.2", where.port)

    with_links(work)


async def garbage(stranger: Stranger) -> None:
    stranger.writer.write(os.urandom(200))


async def web_page(stranger: Stranger) -> None:
    stranger.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"a" * 100)


async def pickled(stranger: Stranger) -> None:
    stranger.writer.write(pickle.dumps(range) * 20)


async def too_much(stranger: Stranger) -> None:
    where = stranger.where
    challenged = await stranger.reader.readexactly(frames.CHALLENGE_BYTES)
    stranger.writer.write(frames.response(challenged, 0, where.secret) + b"!")


async def wrong_secret(stranger: Stranger) -> None:
    challenged = await stranger.reader.readexactly(frames.CHALLENGE_BYTES)
    stranger.writer.write(frames.response(challenged, 0, b"w" * 32))


async def anothers_number(stranger: Stranger) -> None:
    challenged = await stranger.reader.readexactly(frames.CHALLENGE_BYTES)
    stranger.writer.write(frames.response(challenged, 1, stranger.where.secret))


async def nobodys_number(stranger: Stranger) -> None:
    challenged = await stranger.reader.readexactly(frames.CHALLENGE_BYTES)
    stranger.writer.write(frames.response(challenged, 77, stranger.where.secret))


async def no_facts(stranger: Stranger) -> None:
    await stranger.prove(stranger.where, 0)
    stranger.tell(Kind.ALIVE)


async def facts_that_are_none(stranger: Stranger) -> None:
    await stranger.prove(stranger.where, 0)
    stranger.tell(Kind.UPDATE, encoded([1, 2]))


async def too_many_facts(stranger: Stranger) -> None:
    await stranger.prove(stranger.where, 0)
    stranger.tell(Kind.UPDATE, encoded({"host": "h" * 70_000}))


async def half_a_frame(stranger: Stranger) -> None:
    await stranger.prove(stranger.where, 0)
    stranger.writer.write(struct.pack("<IB", 1 << 31, Kind.UPDATE))


@pytest.mark.parametrize(
    "doing",
    [
        garbage,
        web_page,
        pickled,
        too_much,
        wrong_secret,
        anothers_number,
        nobodys_number,
        no_facts,
        facts_that_are_none,
        too_many_facts,
        half_a_frame,
    ],
)
def test_what_is_no_node_is_cut_off_and_the_node_comes_in_after_it(doing):
    async def work(links, one):
        links.where_of(1)
        stranger = await one(prove=False)
        stranger.where = links.where_of(0)
        await doing(stranger)
        await stranger.cut_off()
        await one(0)
        assert (await links.connected(0, LIMIT_S)).lost == ""

    with_links(work)


def test_who_says_nothing_or_half_is_cut_off_in_time(monkeypatch):
    monkeypatch.setattr(links_module, "_HELLO_S", 0.2)

    async def work(links, one):
        silent = await one(prove=False)
        slow = await one(prove=False)
        slow.writer.write(b"1234")
        proven = await one(0, facts=False)  # it knows the secret, and says nothing more
        for stranger in (silent, slow, proven):
            await stranger.cut_off()
        await one(1)
        assert (await links.connected(1, LIMIT_S)).lost == ""

    with_links(work)


def test_many_who_say_nothing_do_not_keep_a_node_out(monkeypatch):
    monkeypatch.setattr(links_module, "_MOST_STRANGERS", 10)

    async def work(links, one):
        first = await one(prove=False)
        for _ in range(30):
            await one(prove=False)
        await first.cut_off()
        await one(0)
        assert (await links.connected(0, LIMIT_S)).lost == ""

    with_links(work)


def test_a_number_is_one_nodes():
    async def work(links, one):
        await one(0)
        link = await links.connected(0, LIMIT_S)
        second = await one(prove=False)
        challenged = await second.reader.readexactly(frames.CHALLENGE_BYTES)
        second.writer.write(frames.response(challenged, 0, links.where_of(0).secret))
        await second.cut_off()
        assert link.lost == ""

    with_links(work)


def test_of_two_that_say_the_same_number_at_the_same_time_one_comes_in():
    async def work(links, one):
        pair = [await one(0, facts=False) for _ in range(2)]
        pair[1].say_facts(host="second")
        link = await links.connected(0, LIMIT_S)
        pair[0].say_facts(host="first")
        await pair[0].cut_off()
        assert link.facts["host"] == "second" and link.lost == ""

    with_links(work)


def test_a_node_that_comes_too_late_stays_out():
    async def work(links, one):
        with pytest.raises(NodeLost, match="did not connect within 0.01 s"):
            await links.connected(0, 0.01)
        late = await one(prove=False)
        challenged = await late.reader.readexactly(frames.CHALLENGE_BYTES)
        late.writer.write(frames.response(challenged, 0, links.where_of(0).secret))
        await late.cut_off()

    with_links(work)


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


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        (1,),
        (99, "ok", 1),
        ("1", "ok", 1),
        ([], "ok", 1),
        (1, "error", None),
        (1, "error", {"kind": 1, "message": "", "traceback": "", "classes": ()}),
        (1, "error", {"kind": "", "message": "", "traceback": "", "classes": 5}),
        (1, "error", {**plain_fault(ValueError("x")), "died": 5}),
        (1, "error", {**plain_fault(ValueError("x")), "timeout": ("x", "y", "z")}),
    ],
)
def test_an_answer_that_makes_no_sense(said):
    async def work(link, stranger):
        calling = asyncio.ensure_future(link.call("say", 30))
        await stranger.asked()
        stranger.tell(Kind.MESSAGE, encoded(said))
        with pytest.raises(NodeLost, match="makes no sense"):
            await calling

    with_node(work)


def test_an_answer_without_an_end(monkeypatch):
    async def work(link, stranger):
        calling = asyncio.ensure_future(link.call("say", 30))
        await stranger.asked()
        try:
            for _ in range(100):
                stranger.tell(Kind.PART, b"x" * (1 << 20))
                await stranger.writer.drain()
        except ConnectionError:
            pass
        with pytest.raises(NodeLost, match="a message of more than 67,108,864 bytes"):
            await calling

    with_node(work)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (ValueError("no"), lambda found: isinstance(found, HostError) and found.is_a(ValueError)),
        (SystemExit(3), lambda found: isinstance(found, HostError) and found.kind == "SystemExit"),
        (PlanError(["a", "b"]), lambda found: found.faults == ["a", "b"]),
        (HostTimeout("it", 3.0, "tail"), lambda found: (found.what, found.limit_s) == ("it", 3.0)),
        (
            HostDied("signal SIGSEGV", "tail", signal="SIGSEGV"),
            lambda found: (
                (found.exit, found.signal, found.status, found.log_tail)
                == ("signal SIGSEGV", "SIGSEGV", None, "tail")
            ),
        ),
        (HostDied("exit status 3", status=3), lambda found: found.status == 3),
    ],
)
def test_what_is_raised_on_a_node_is_raised_here(fault, seen):
    async def work(link, stranger):
        preparing = asyncio.ensure_future(link.prepare(PLAN, Factory("a:b")))
        what, number, _ = await stranger.asked()
        assert what == Ask.RUN
        stranger.tell(Kind.MESSAGE, encoded((number, "error", plain_fault(fault))))
        with pytest.raises((HostError, HostTimeout, HostDied, PlanError)) as raised:
            await preparing
        assert type(raised.value).__name__ in (type(fault).__name__, "HostError")
        assert seen(raised.value)
        assert link.lost == ""

    with_node(work)


def test_a_call_that_ends_when_it_is_told_to_leaves_the_node_as_it_was():
    async def work(link, stranger):
        calling = asyncio.ensure_future(link.call("say", 0.05))
        _, number, _ = await stranger.asked()
        assert (await stranger.asked())[:2] == (Ask.CANCEL, number)
        stranger.tell(Kind.MESSAGE, encoded((number, "error", plain_fault(KeyError()))))
        with pytest.raises(HostTimeout, match="say did not end within 0.05 s"):
            await calling
        assert link.lost == ""
        calling = asyncio.ensure_future(link.call("say", 30))
        _, number, _ = await stranger.asked()
        calling.cancel()
        assert (await stranger.asked())[:2] == (Ask.CANCEL, number)
        stranger.answer(number)  # too late, and no lie
        calling = asyncio.ensure_future(link.call("say", 30))
        stranger.answer((await stranger.asked())[1], 5)
        assert await calling == 5

    with_node(work)


def test_a_call_that_does_not_end_when_it_is_told_to_loses_the_node(monkeypatch):
    monkeypatch.setattr(link_module, "_CANCEL_S", 0.1)

    async def work(link, stranger):
        calling = asyncio.ensure_future(link.call("say", 0.05))
        await stranger.asked()
        with pytest.raises(HostTimeout):
            await calling
        assert await lost_by(link) == "say did not end when it was told to"

    with_node(work)


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


def test_where_nodes_connect_to_is_closed_in_the_end():
    async def work():
        async with Links("127.0.0.1") as links:
            where = links.where_of(0)
            stranger = await Stranger.connect(where)
        await stranger.cut_off()
        await stranger.close()
        with pytest.raises(OSError):
            await asyncio.open_connection(where.host, where.port)

    asyncio.run(asyncio.wait_for(work(), LIMIT_S))


def test_the_secrets_of_nodes_differ():
    async def work(links, one):
        secrets = {links.where_of(number).secret for number in range(10)}
        assert len(secrets) == 10 and all(len(each) == 32 for each in secrets)
        assert replace(links.where_of(1), port=0) == replace(links.where_of(1), port=0)

    with_links(work)

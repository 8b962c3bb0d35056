"""Where nodes connect to: who is let in, and who is not."""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
from dataclasses import replace

import pytest

from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking import links as links_module
from qs.engine.distributed.talking.asking import Ask
from qs.engine.distributed.talking.frames import Kind
from qs.engine.distributed.talking.links import Links
from qs.engine.distributed.talking.plain import encoded
from tests.engine.distributed.strangers import LIMIT_S, Stranger, with_links


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

"""What a node answers to a call, and calls that do not end."""

from __future__ import annotations

import asyncio

import pytest

from qs.engine import Factory, HostDied, HostError, HostTimeout, PlanError
from qs.engine.distributed.errors import NodeLost
from qs.engine.distributed.talking import link as link_module
from qs.engine.distributed.talking.asking import Ask, plain_fault
from qs.engine.distributed.talking.frames import Kind
from qs.engine.distributed.talking.plain import encoded
from tests.engine.distributed.strangers import (
    PLAN,
    lost_by,
    with_node,
)


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

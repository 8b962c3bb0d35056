"""What connects to a driver in a node's place: it does as a node does as far as a test wants, and
then lies, floods or is silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from qs.engine import ClosedLoop, RunPlan
from qs.engine.distributed.places.places import Where
from qs.engine.distributed.talking import frames
from qs.engine.distributed.talking.asking import Ask, read
from qs.engine.distributed.talking.frames import CLOCKS, Assembler, Kind, Opener, Sealer
from qs.engine.distributed.talking.link import Link
from qs.engine.distributed.talking.links import Links
from qs.engine.distributed.talking.plain import encoded

LIMIT_S = 60.0
PLAN = RunPlan(load=ClosedLoop(clients=1, iterations=10))


class Stranger:
    """A connection to a driver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer
        self.closed = False
        self._waiting: list[tuple[int, bytes]] = []

    @classmethod
    async def connect(cls, where: Where) -> Stranger:
        return cls(*await asyncio.open_connection(where.host, where.port, limit=1 << 24))

    async def prove(self, where: Where, number: int) -> Stranger:
        """Go through the handshake."""
        challenged = await self.reader.readexactly(frames.CHALLENGE_BYTES)
        answered = frames.response(challenged, number, where.secret)
        self.writer.write(answered)
        welcomed = await self.reader.readexactly(frames.WELCOME_BYTES)
        frames.check_welcome(welcomed, challenged, answered, where.secret)
        down, up = frames.keys(challenged, answered, where.secret)
        self.sealer, self.opener = Sealer(up), Opener(down)
        self.assembler = Assembler(1 << 30)
        return self

    def tell(self, kind: int, body: bytes = b"") -> None:
        self.writer.write(self.sealer.frame(kind, body))

    def say_facts(self, **facts: Any) -> Stranger:
        self.tell(Kind.UPDATE, encoded(facts))
        return self

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of the driver. Raises EOFError at its end."""
        while not self._waiting:
            data = await self.reader.read(1 << 16)
            if not data:
                raise EOFError
            self._waiting += self.opener.frames(data)
        return self._waiting.pop(0)

    async def asked(self, *, alive: bool = True) -> tuple[int, int, bytes]:
        """The next question; clocks, and signs of life, are answered meanwhile."""
        while True:
            kind, body = await self.frame()
            if kind == Kind.CLOCK and alive:
                number = int.from_bytes(body, "little")
                self.tell(kind, CLOCKS.pack(number, time.perf_counter_ns(), time.time_ns()))
            elif kind == Kind.ALIVE and alive:
                self.tell(kind)
            elif kind in (Kind.MESSAGE, Kind.PART):
                message = self.assembler.add(kind, body)
                if message is not None:
                    what, number, rest = read(message)
                    if what != Ask.SAMPLES:
                        return what, number, bytes(rest)
            elif kind == Kind.SHORT:
                what, number, rest = read(body)
                return what, number, bytes(rest)

    def answer(self, number: int, value: Any = None) -> None:
        for frame in self.sealer.message(encoded((number, "ok", value))):
            self.writer.write(frame)

    async def cut_off(self) -> None:
        """Wait until the driver has closed the connection."""
        try:
            while await self.reader.read(1 << 16):
                pass
        except ConnectionError:
            pass

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def strangers(links: Links):
    """A function that makes them; all are closed in the end."""
    made: list[Stranger] = []

    async def one(number: int = 0, *, facts: bool = True, prove: bool = True) -> Stranger:
        where = links.where_of(number)
        stranger = await Stranger.connect(where)
        made.append(stranger)
        if prove:
            await stranger.prove(where, number)
            if facts:
                stranger.say_facts(host="h")
        return stranger

    try:
        yield one
    finally:
        for each in made:
            await each.close()


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

"""Places whose node processes reach their driver through a door that counts what passes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from qs.engine.distributed import Placed, ProcessPlaces, Where


class Counting:
    """As the places that it is given; `to_bytes` and `from_bytes` are what nodes were sent and
    sent.
    """

    def __init__(self, places: ProcessPlaces):
        self._places = places
        self.address = places.address
        self.to_bytes = 0
        self.from_bytes = 0
        self._doors: list[asyncio.Server] = []
        self._passing: set[asyncio.Task[None]] = set()

    async def open(self) -> list[Placed]:
        return await self._places.open()

    async def start(self, placed: Placed, where: Where) -> None:
        async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            to_reader, to_writer = await asyncio.open_connection(where.host, where.port)
            for task in (
                asyncio.create_task(self._pass(reader, to_writer, "from_bytes")),
                asyncio.create_task(self._pass(to_reader, writer, "to_bytes")),
            ):
                self._passing.add(task)
                task.add_done_callback(self._passing.discard)

        door = await asyncio.start_server(enter, self.address, 0)
        self._doors.append(door)
        port = door.sockets[0].getsockname()[1]
        await self._places.start(placed, replace(where, port=port))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: str
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                setattr(self, counted, getattr(self, counted) + len(data))
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def lost(self) -> tuple[int, str]:
        return await self._places.lost()

    async def spare(self, but: Collection[int]) -> Placed | None:
        return await self._places.spare(but)

    async def end(self, number: int) -> None:
        await self._places.end(number)

    async def close(self) -> None:
        await self._places.close()
        for door in self._doors:
            door.close()
        while self._passing:
            await asyncio.wait(self._passing)

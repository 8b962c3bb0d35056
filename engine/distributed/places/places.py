"""Where node processes run: what a place is, what a node process is told, and places on this
machine that need no Ray.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places.node_process import NodeProcess, import_path, machine_id


@dataclass(frozen=True)
class Where:
    """How a node process reaches its driver, and the secret that both prove to know."""

    host: str
    port: int
    secret: bytes = field(repr=False)

    def line(self, number: int) -> bytes:
        """What a node process reads from its standard input: one line of JSON."""
        told = {
            "number": number,
            "host": self.host,
            "port": self.port,
            "secret": self.secret.hex(),
        }
        return json.dumps(told).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes | str) -> tuple[int, Where]:
        """The node's number and its driver, from such a line."""
        told = json.loads(line)
        where = cls(told["host"], told["port"], bytes.fromhex(told["secret"]))
        return told["number"], where


@dataclass(frozen=True)
class Placed:
    """A place where a node process can be started.

    `about` is plain data; "machine" in it is equal for places on one machine.
    """

    number: int
    name: str
    address: str
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shipped:
    """What nodes need of ours besides the program: folders of packages to import, a folder to work
    in, and environment variables.
    """

    modules: tuple[Path, ...] = ()
    folder: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    # a command that clears up on this machine after a driver that was killed
    when_killed: tuple[str, ...] = ()


class Places(Protocol):
    """Where node processes are started, watched and ended."""

    # of this driver, as nodes reach it
    address: str

    async def open(self) -> list[Placed]:
        """The places asked for. Raises NodesError."""
        ...

    async def start(self, placed: Placed, where: Where) -> None:
        """Start a node process: it connects to the driver and says its number. Raises
        NodesError.
        """
        ...

    async def lost(self) -> tuple[int, str]:
        """Wait for the next node process that ended without `end` or `close`: its number, and how
        it ended in words.
        """
        ...

    async def spare(self, but: Collection[int]) -> Placed | None:
        """A place, with a number of its own, for what a lost node was to do: another machine than
        those numbered in `but` if there is one, else one of theirs that is alive.
        """
        ...

    async def end(self, number: int) -> None:
        """Kill a node process and what it has started."""
        ...

    async def close(self) -> None:
        """End all of them and what was started for them."""
        ...


class ProcessPlaces:
    """Node processes as children of this one, without Ray.

    Number i is started with the words of `prefixes[i]` before its command (such as "taskset", "-c",
    "0") and `environments[i]` laid over its environment, as far as there are that many; `address`
    is where the nodes reach this process.
    """

    def __init__(
        self,
        count: int,
        shipped: Shipped | None = None,
        prefixes: Sequence[Sequence[str]] = (),
        environments: Sequence[Mapping[str, str]] = (),
        address: str = "127.0.0.1",
    ):
        self.address = address
        self._count = count
        self._shipped = shipped or Shipped()
        self._prefixes = prefixes
        self._environments = environments
        self._next = count
        self._running: dict[int, NodeProcess] = {}
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._lost: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    async def open(self) -> list[Placed]:
        return [self._placed(number) for number in range(self._count)]

    async def start(self, placed: Placed, where: Where) -> None:
        number = placed.number
        like = number % max(self._count, 1)  # a spare one is as the first ones were
        try:
            process = NodeProcess(
                where.line(number),
                prefix=self._prefixes[like] if like < len(self._prefixes) else (),
                environment={
                    **os.environ,
                    **self._shipped.variables,
                    **(self._environments[like] if like < len(self._environments) else {}),
                },
                path=import_path(self._shipped.modules),
                folder=self._shipped.folder,
            )
        except OSError as fault:
            raise NodesError(f"node {number + 1} cannot be started: {fault}") from fault
        self._running[number] = process
        self._watches[number] = asyncio.create_task(self._watch(number, process))

    async def lost(self) -> tuple[int, str]:
        return await self._lost.get()

    async def spare(self, but: Collection[int]) -> Placed | None:
        number = max([self._next, *(each + 1 for each in but)])
        self._next = number + 1
        return self._placed(number)

    async def end(self, number: int) -> None:
        watch = self._watches.pop(number, None)
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])
        process = self._running.pop(number, None)
        if process is not None:
            process.kill()
            process.close()

    async def close(self) -> None:
        for number in list(self._running):
            await self.end(number)

    def _placed(self, number: int) -> Placed:
        return Placed(number, socket.gethostname(), self.address, {"machine": machine_id()})

    async def _watch(self, number: int, process: NodeProcess) -> None:
        await process.ended()
        self._lost.put_nowait((number, process.how()))

"""What the clients that `remote.py` compares share: what is asked of each, and what it found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from qs.engine.hosts.loops import new_loop
from qs.engine.wire.grpc_requests import grpc_request
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings

METHOD = "/null.Service/Call"


@dataclass(frozen=True)
class Turn:
    """One client in one round: CPU time of its process for one request, and what it saw."""

    cpu_us: float
    per_s: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Work:
    """What is asked: requests with `up` bytes to this port, so many at a time, for so long."""

    port: int
    clients: int
    up: int
    for_s: float

    def settings(self, kind: str) -> ClientSettings:
        """Over gRPC all requests share one connection, as they do in a channel."""
        if kind == "grpc":
            return ClientSettings("127.0.0.1", self.port, connections=1, streams=self.clients)
        return ClientSettings("127.0.0.1", self.port)

    @property
    def http(self) -> bytes:
        return http_request("POST", "/", f"127.0.0.1:{self.port}", body=bytes(self.up))

    @property
    def grpc(self):
        return grpc_request(METHOD, f"127.0.0.1:{self.port}", {}, bytes(self.up))


class Clocked:
    """CPU and wall time of this process from its making to `turn`."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def turn(self, took_ns: list[int]) -> Turn:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        p50, p99 = np.percentile(np.array(took_ns), [50, 99]) / 1e3
        return Turn(cpu / len(took_ns) * 1e6, len(took_ns) / wall, p50, p99)


async def awaiting(work: Work, ask: Callable[[], Awaitable[object]]) -> Turn:
    """As many coroutines as are to be in flight, each asking again and again."""
    took: list[int] = []
    now_ns = time.perf_counter_ns

    async def client(until: int) -> None:
        while (began := now_ns()) < until:
            await ask()
            took.append(now_ns() - began)

    await ask()
    clocked, until = Clocked(), now_ns() + round(work.for_s * 1e9)
    await asyncio.gather(*(client(until) for _ in range(work.clients)))
    return clocked.turn(took)


def on_loop(whole: Callable[[], Awaitable[Turn]]) -> Turn:
    loop = new_loop()
    try:
        return loop.run_until_complete(whole())
    finally:
        loop.close()

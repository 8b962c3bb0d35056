"""Our clients, and the engine over them, for `remote.py`: each keeps a number of requests in flight
against a null server for a while, and says what that cost this process. Any client runs in a
process of its own (`own_process`).

Every client sends the same bytes: a POST with a body of `up` bytes, or a unary call with such a
message.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from remote_peers import aiohttp, grpc_aio, wrk
from remote_work import Clocked, Turn, Work, awaiting, on_loop

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run
from qs.engine.wire.blocking import BlockingHttp
from qs.engine.wire.grpc import GrpcClient
from qs.engine.wire.http import HttpClient


def callbacks(kind: str, work: Work) -> Turn:
    """The bare client, each answer's callback starting the next request."""
    return on_loop(lambda: _callbacks(kind, work))


async def _callbacks(kind: str, work: Work) -> Turn:
    client, request = ours(kind, work)
    await client.open(work.clients)
    took: list[int] = []
    ended = asyncio.get_running_loop().create_future()
    clocked, until = Clocked(), time.perf_counter_ns() + round(work.for_s * 1e9)
    running = work.clients

    def done(call) -> None:
        nonlocal running
        if call.failure is not None:
            ended.set_exception(RuntimeError(f"{call.failure}: {call.detail}"))
        took.append(call.last_ns - call.sent_ns)
        if call.last_ns < until:
            client.start(request, done)
            return
        running -= 1
        if not running:
            ended.set_result(clocked.turn(took))

    for _ in range(work.clients):
        client.start(request, done)
    try:
        return await ended
    finally:
        await client.close()


def futures(kind: str, work: Work) -> Turn:
    """The bare client, awaited by a coroutine for each that is in flight."""

    async def whole() -> Turn:
        client, request = ours(kind, work)
        await client.open(work.clients)

        async def ask() -> None:
            call = await client.call(request)
            if call.failure is not None:
                raise RuntimeError(f"{call.failure}: {call.detail}")

        try:
            return await awaiting(work, ask)
        finally:
            await client.close()

    return on_loop(whole)


def engine(kind: str, work: Work) -> Turn:
    """The same client under the engine, closed loop: recorded, counted, stopped by its rules."""
    client, request = ours(kind, work)
    plan = RunPlan(
        load=ClosedLoop(work.clients),
        stop=Stop(duration_s=work.for_s),
        pool=Pool("async"),
        calibrate=False,
    )
    result = run(plan, client, [request])
    if result.errors:
        raise RuntimeError(f"{result.errors_by_kind}: {result.first_fault}")
    response = result.response
    return Turn(
        result.worker_cpu_s / result.completed * 1e6,
        result.queries_per_s,
        response.percentile_ns(50) / 1e3,
        response.percentile_ns(99) / 1e3,
    )


@dataclass(frozen=True)
class OpenTurn:
    """One run of open loop. Times in us: how late requests were issued, how long they took from
    when they were due.
    """

    offered_per_s: float
    answered_per_s: float
    late_p50_us: float
    late_p99_us: float
    response_p50_us: float
    response_p99_us: float
    cpu_us: float
    opened: int  # connections, while measuring


def poisson(kind: str, work: Work, rate_per_s: float, seed: int) -> OpenTurn:
    """The engine in open loop, over as many connections as the client opens by default."""
    client, request = ours(kind, work)
    plan = RunPlan(
        load=Poisson(rate_per_s, seed),
        stop=Stop(duration_s=work.for_s),
        pool=Pool("async"),
        warmup_iterations=200,
        drain_s=1.0,
        calibrate=False,
    )
    result = run(plan, client, [request])
    late, response = result.lateness, result.response
    return OpenTurn(
        result.offered_per_s or rate_per_s,
        result.completed / max(result.wall_s, work.for_s),
        *(late.percentile_ns(rank) / 1e3 for rank in (50, 99)),
        *(response.percentile_ns(rank) / 1e3 for rank in (50, 99)),
        result.worker_cpu_s / max(result.completed, 1) * 1e6,
        result.counts.get("opened while measuring", 0),
    )


def stamps(kind: str, work: Work) -> tuple[float, float]:
    """How much longer a request took than between its bytes at the socket, p50 in us: as the engine
    recorded it, and as seen by a coroutine that awaited it.
    """
    client, request = ours(kind, work)
    at_socket: list[int] = []

    class Noting:
        open, close = client.open, client.close

        def start(self, request, done):
            def noted(call) -> None:
                at_socket.append(call.last_ns - call.sent_ns)
                done(call)

            return client.start(request, noted)

    plan = RunPlan(ClosedLoop(work.clients), Stop(duration_s=work.for_s), Pool("async"))
    result = run(replace(plan, calibrate=False), Noting(), [request])
    recorded = result.service.percentile_ns(50) - float(np.median(at_socket))

    async def whole() -> float:
        client, request = ours(kind, work)
        await client.open(work.clients)
        late: list[int] = []

        async def ask() -> None:
            call = await client.call(request)
            late.append(time.perf_counter_ns() - call.last_ns)

        try:
            await awaiting(work, ask)
        finally:
            await client.close()
        return float(np.median(late))

    return recorded / 1e3, on_loop(whole) / 1e3


def ours(kind: str, work: Work):
    """The client and its request."""
    if kind == "http":
        return HttpClient(work.settings(kind)), work.http
    return GrpcClient(work.settings(kind)), work.grpc


def threads(kind: str, work: Work) -> Turn:
    """A blocking socket for each that is in flight, in a thread of its own. HTTP only."""
    client, request = BlockingHttp(work.settings(kind)), work.http
    until = time.perf_counter_ns() + round(work.for_s * 1e9)
    took: list[list[int]] = [[] for _ in range(work.clients)]

    def ask(mine: list[int]) -> None:
        while time.perf_counter_ns() < until:
            call = client.ask(request)
            mine.append(call.last_ns - call.sent_ns)

    workers = [threading.Thread(target=ask, args=(mine,)) for mine in took]
    clocked = Clocked()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return clocked.turn([one for mine in took for one in mine])


CLIENTS: dict[str, Callable[[str, Work], Turn]] = {
    "callbacks": callbacks,
    "Future a request": futures,
    "engine": engine,
    "blocking threads": threads,
    "wrk": wrk,
    "aiohttp": aiohttp,
    "grpc.aio": grpc_aio,
}


def own_process(function: str, *arguments: object) -> Any:
    """Call a function of this module in a process of its own, as wrk is one. A Work is given field
    by field.
    """
    plain = [vars(each) if isinstance(each, Work) else each for each in arguments]
    done = subprocess.run(
        [sys.executable, __file__, function, json.dumps(plain)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if done.returncode:
        raise RuntimeError(f"{function} {plain}: {done.stderr[-2_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def closed(name: str, kind: str, work: Work) -> Turn:
    return CLIENTS[name](kind, work)


def main(function: str, plain: str) -> None:
    arguments = [Work(**each) if isinstance(each, dict) else each for each in json.loads(plain)]
    answer = {"closed": closed, "poisson": poisson, "stamps": stamps}[function](*arguments)
    print(json.dumps(answer if isinstance(answer, tuple) else vars(answer)))


if __name__ == "__main__":
    main(*sys.argv[1:])

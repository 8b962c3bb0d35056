"""Coroutines that yield once, 64 clients on one event loop: the engine against the same coroutines
without any recording.

Both run on the same kind of loop (uvloop where it is installed), interleaved in one run. Each bare
client awaits the same coroutine in a plain loop: no clock is read, nothing is stored.

    python bench/async_clients.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from functools import partial

from compare import Report, Say, command, interleaved, pairwise
from targets import yield_once

from qs.engine import ClosedLoop, Pool, RunPlan, run
from qs.engine.hosts.loops import new_loop

CLIENTS = 64
BARE, ENGINE = "bare coroutines", "engine, async"


async def bare_client(iterations: int) -> None:
    for _ in range(iterations):
        await yield_once(None)


def bare_queries_per_s(iterations: int) -> float:
    async def all_clients() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(bare_client(iterations) for _ in range(CLIENTS)))
        return time.perf_counter() - began

    loop = new_loop()
    try:
        return CLIENTS * iterations / loop.run_until_complete(all_clients())
    finally:
        loop.close()


def engine_queries_per_s(iterations: int) -> float:
    result = run(RunPlan(load=ClosedLoop(CLIENTS, iterations), pool=Pool("async")), yield_once)
    if result.completed != CLIENTS * iterations:
        raise RuntimeError(
            f"{result.completed} of {CLIENTS * iterations} requests completed: {result.reasons}"
        )
    return result.queries_per_s


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    iterations = 1_000 if options.quick else 30_000
    sides = {
        BARE: partial(bare_queries_per_s, iterations),
        ENGINE: partial(engine_queries_per_s, iterations),
    }
    found = interleaved(sides, options.rounds, say)
    for name, values in found.items():
        report.figure(name, "queries/s", values)
    report.goal(
        "queries/s of the engine / bare coroutines",
        ">=",
        0.5,
        pairwise(found[ENGINE], found[BARE]),
        "x",
    )


if __name__ == "__main__":
    command("async_clients", __doc__, measure, rounds=9)

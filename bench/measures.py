"""What it costs to keep requests for the plan's measures: closed loop, 64 clients, a target that
answers in the loop's next pass with 10 kB that came in 50 reads.

Compared, interleaved in one run: no measures; requests kept in memory; requests written to a file
from the first on, as they are beyond keeping.MOST_BYTES. CPU is the worker's in the measured phase,
the collector's included. What counting takes afterwards is told beside it, of one measure a request
and one of 50 values, for a reader that has them at hand.

    python bench/measures.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from compare import Report, Say, command, interleaved

from qs.engine import ClosedLoop, Measure, Pool, Reading, RunPlan, run
from qs.engine.measures import keeping
from qs.engine.wire.calls import WireCall

CLIENTS, EVENTS, BYTES = 64, 50, 10_000
MEASURES = (Measure("first"), Measure("gap", many=True))
NONE, MEMORY, FILE = "no measures", "kept in memory", "kept in a file"
# Of which new memory of 10 kB for each request takes the most.
GOALS = {MEMORY: 8.0, FILE: 25.0}


class Streaming:
    """Is answered in the loop's next pass."""

    def __init__(self) -> None:
        self.began_s = 0.0
        self._view = memoryview(bytes(BYTES))
        self._marks = array("q", range(2 * EVENTS))
        self._gaps = np.arange(EVENTS)

    async def open(self, clients: int) -> None:
        self._soon = asyncio.get_running_loop().call_soon

    def start(self, request: Any, done: Callable[[Any], None]) -> WireCall:
        call = WireCall(request, done, None)
        call.issued_ns = call.sent_ns = time.perf_counter_ns()
        self._soon(self._end, call)
        return call

    def _end(self, call: WireCall) -> None:
        call.body, call.marks = bytes(self._view), self._marks[:]
        call.first_ns = call.last_ns = time.perf_counter_ns()
        call.done(call)

    def read(self, ended: Any) -> Reading:
        self.began_s = self.began_s or time.perf_counter()
        first = np.array([each.call.first_ns - each.call.sent_ns for each in ended])
        last = np.repeat(np.array([each.call.last_ns for each in ended]), EVENTS)
        return Reading({"first": first}, {"gap": (np.tile(self._gaps, len(ended)), last)})


def side(iterations: int, kept: bool, in_memory: bool = True) -> tuple[float, float]:
    """CPU us a request in the measured phase, and us a request of reading."""
    target = Streaming()
    plan = RunPlan(
        ClosedLoop(CLIENTS, iterations),
        pool=Pool("async"),
        measures=MEASURES if kept else (),
        calibrate=False,
    )
    most = keeping.MOST_BYTES
    keeping.MOST_BYTES = most if in_memory else 0
    try:
        result = run(plan, target)
    finally:
        keeping.MOST_BYTES = most
    if result.completed != CLIENTS * iterations or result.unread:
        raise RuntimeError(f"{result.completed} completed, {result.unread} unread")
    read_s = time.perf_counter() - target.began_s if kept else 0.0
    return tuple(seconds / result.completed * 1e6 for seconds in (result.worker_cpu_s, read_s))


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    iterations = 100 if options.quick else 300
    sides = {
        NONE: partial(side, iterations, False),
        MEMORY: partial(side, iterations, True),
        FILE: partial(side, iterations, True, False),
    }
    found = interleaved(sides, options.rounds, say)
    cpu = {name: [each[0] for each in values] for name, values in found.items()}
    for name, values in cpu.items():
        report.figure(name, "us CPU/request", values)
    for name in (MEMORY, FILE):
        more = [kept - none for kept, none in zip(cpu[name], cpu[NONE])]
        report.goal(f"{name}, more than with {NONE}", "<=", GOALS[name], more, "us CPU/request")
        report.figure(f"read and counted, {name}", "us/request", [each[1] for each in found[name]])


if __name__ == "__main__":
    command("measures", __doc__, measure, rounds=15)

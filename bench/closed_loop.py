"""Cost of one request in closed loop: the engine, one client, a target that does nothing.

Compared in one run, interleaved, with
- the plainest loop that measures anything: read the clock, call, read the clock, store the
  difference;
- MLPerf LoadGen's SingleStream with a system under test that does nothing, plain and fast.

    python bench/closed_loop.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import time
from array import array
from functools import partial

import loadgen
from compare import Report, Say, command, interleaved, pairwise
from targets import no_op

from qs.engine import ClosedLoop, Pool, RunPlan, run

ROWS = 16_384
BARE, INLINE, THREAD = (
    "bare loop, two clock reads and one store",
    "engine, inline",
    "engine, one thread",
)
PLAIN, FAST = "LoadGen SingleStream", "LoadGen SingleStream, fast system under test"


def bare_loop(requests: int) -> float:
    """ns a request over about `requests` of them."""
    now_ns, call = time.perf_counter_ns, no_op
    column = memoryview(array("q", bytes(8 * ROWS)))
    blocks = max(requests // ROWS, 1)
    began = now_ns()
    for _ in range(blocks):
        for row in range(ROWS):
            start = now_ns()
            call(None)
            column[row] = now_ns() - start
    return (now_ns() - began) / (blocks * ROWS)


def engine_loop(kind: str, requests: int) -> float:
    """ns a request, counting into histograms included."""
    result = run(RunPlan(load=ClosedLoop(iterations=requests), pool=Pool(kind)), no_op)
    if result.completed != requests:
        raise RuntimeError(f"{result.completed} of {requests} requests completed: {result.reasons}")
    return result.wall_s * 1e9 / requests


def loadgen_loop(duration_s: float, fast: bool) -> float:
    return 1e9 / loadgen.single_stream(duration_s, fast).queries_per_s


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    # Many short rounds: the speed of a shared machine changes within seconds, and a ratio wants
    # both sides within one mood of it.
    requests = 200_000 if options.quick else 500_000
    sides = {
        BARE: partial(bare_loop, requests),
        INLINE: partial(engine_loop, "inline", requests),
        THREAD: partial(engine_loop, "thread", requests),
    }
    if loadgen.available():
        for name, fast in ((PLAIN, False), (FAST, True)):
            sides[name] = partial(loadgen_loop, 0.2 if options.quick else 0.4, fast)
    else:
        report.note(loadgen.MISSING)
    found = interleaved(sides, options.rounds, say)
    for name in (BARE, INLINE, THREAD, PLAIN, FAST):
        report.figure(name, "ns/request", found.get(name))
    report.goal("engine inline / bare loop", "<=", 1.3, pairwise(found[INLINE], found[BARE]), "x")
    for name in (PLAIN, FAST):
        times = pairwise(found[name], found[INLINE]) if name in found else None
        report.goal(f"queries/s of engine inline / {name}", ">=", 10, times, "x")


if __name__ == "__main__":
    command("closed_loop", __doc__, measure, rounds=31)

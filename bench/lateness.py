"""How late requests are issued after their due times, and what the pacing costs: Poisson at 1,000
and 10,000 requests/s.

One worker, a target that does nothing. Compared, interleaved in one run, with
- MLPerf LoadGen's Server scenario: its latency of a system under test that does nothing, counted
  from the scheduled time;
- the plain way: one coroutine that awaits asyncio.sleep until each due time;
- the machine itself: a loop that never sleeps and does nothing but look at the clock. What makes it
  late is not the pacing.

CPU is the whole process's time over the wall time of the call, the conductor's part and the end of
the run included; the null run that the engine makes once a layout to know its own cost is switched
off.

    python bench/lateness.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from functools import partial

import loadgen
import numpy as np
from compare import Report, Say, command, interleaved
from targets import no_op

from qs.engine import Poisson, Pool, RunPlan, Stop, run

PERCENTILES = (50.0, 99.0, 99.9)
# rate/s: the goals for p50 and p99 in us and for CPU in percent
GOALS = {1_000: (25, 100, 5), 10_000: (3, 80, 40)}
NO_BOUND_NS = 10**9

Row = tuple[float, float, float, float]  # us at the three percentiles, CPU percent


def with_cpu(send: Callable[[], list[float]]) -> Row:
    """What `send` says of its lateness, and the CPU that went into it."""
    cpu_s, began = time.process_time(), time.perf_counter()
    late_us = send()
    spent_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - began
    return (*late_us, spent_s / wall_s * 100)


def engine_send(rate: int, duration_s: float) -> list[float]:
    plan = RunPlan(
        load=Poisson(rate),
        stop=Stop(duration_s=duration_s),
        pool=Pool("thread", workers=1),
        calibrate=False,
    )
    lateness = run(plan, no_op).lateness
    return [lateness.percentile_ns(percentile) / 1e3 for percentile in PERCENTILES]


def loadgen_send(rate: int, duration_s: float) -> list[float]:
    latency_ns = loadgen.server(rate, duration_s, NO_BOUND_NS).latency_ns
    return [latency_ns[percentile] / 1e3 for percentile in PERCENTILES]


def asyncio_send(rate: int, duration_s: float) -> list[float]:
    due_s = np.cumsum(
        np.random.default_rng(0).exponential(1 / rate, int(rate * duration_s))
    ).tolist()
    late_s = []

    async def send() -> None:
        start = time.perf_counter()
        for due in due_s:
            early = start + due - time.perf_counter()
            if early > 0:
                await asyncio.sleep(early)
            late_s.append(time.perf_counter() - start - due)

    asyncio.run(send())
    return (np.percentile(late_s, PERCENTILES) * 1e6).tolist()


def spinning_send(rate: int, duration_s: float) -> list[float]:
    due_ns = (
        np.cumsum(np.random.default_rng(0).exponential(1e9 / rate, int(rate * duration_s)))
        .astype(np.int64)
        .tolist()
    )
    late_ns, start = [], time.perf_counter_ns()
    for due in due_ns:
        while (now := time.perf_counter_ns() - start) < due:
            pass
        late_ns.append(now - due)
    return (np.percentile(late_ns, PERCENTILES) / 1e3).tolist()


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    duration_s = 0.5 if options.quick else 10.0
    senders = {
        "engine": engine_send,
        "LoadGen Server": loadgen_send,
        "asyncio.sleep": asyncio_send,
        "never sleeping": spinning_send,
    }
    if not loadgen.available():
        del senders["LoadGen Server"]
        report.note(loadgen.MISSING)
    sides = {
        f"{sender}, {rate:,}/s": partial(with_cpu, partial(send, rate, duration_s))
        for rate in GOALS
        for sender, send in senders.items()
    }
    found = {
        name: list(zip(*rows)) for name, rows in interleaved(sides, options.rounds, say).items()
    }
    for name, (p50, p99, p999, cpu) in found.items():
        for percentile, values in (("p50", p50), ("p99", p99), ("p99.9", p999)):
            report.figure(f"{name}: lateness {percentile}", "us", values)
        report.figure(f"{name}: CPU", "%", cpu)
    for rate, (p50_us, p99_us, cpu_percent) in GOALS.items():
        p50, p99, _, cpu = found[f"engine, {rate:,}/s"]
        report.goal(f"lateness p50 at {rate:,}/s", "<=", p50_us, p50, "us")
        report.goal(f"lateness p99 at {rate:,}/s", "<=", p99_us, p99, "us")
        report.goal(f"CPU at {rate:,}/s", "<=", cpu_percent, cpu, "%")


if __name__ == "__main__":
    command("lateness", __doc__, measure, rounds=5)

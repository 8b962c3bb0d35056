"""Does a long run cost more than a short one? Resident memory and cost per request over many
requests.

Closed loop and open loop, each in a process of its own on a target that does nothing. Memory is
compared with what it was after the first million requests of the same run; cost per request is
compared between the first and the last quarter of the run (in open loop the rate is given and CPU
time is not known by quarter, so response time p50 is compared).

    python bench/memory.py [--json] [--quick | --full]

--full makes the 10^8 requests of closed loop and the 10^7 of open loop; without it a tenth of them
and half of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import psutil
from compare import Report, Say, command
from targets import no_op

from qs.engine import ClosedLoop, IntervalRow, Poisson, Pool, Progress, RunPlan, Stop, run

FIRST = 1_000_000
OPEN_RATE = 500_000.0
LIMIT_MB = 16.0
FLAT = 1.1


class Watch:
    """Resident memory as the run's progress goes by."""

    def __init__(self, baseline: int):
        self._process = psutil.Process()
        self._baseline = baseline
        self.first: int | None = None
        self.most = 0

    def __call__(self, progress: Progress) -> None:
        if progress.completed >= self._baseline:
            now = self._process.memory_info().rss
            self.first = now if self.first is None else self.first
            self.most = max(self.most, now)

    def growth_mb(self) -> float:
        """Call it when the run has ended: the memory of its result counts as well."""
        if self.first is None:
            raise RuntimeError("the run ended before its memory could be looked at")
        return (max(self.most, self._process.memory_info().rss) - self.first) / 2**20


def quarters(costs: Sequence[float]) -> float:
    """Median of the last quarter over that of the first; the first and the last interval are left
    out if there are others.
    """
    inner = list(costs[1:-1]) or list(costs)
    part = max(len(inner) // 4, 1)
    return median(inner[-part:]) / median(inner[:part])


def closed_loop(requests: int, baseline: int, interval_s: float) -> tuple[float, float]:
    """Growth in MB, and cost of the last quarter over that of the first."""
    watch = Watch(baseline)
    plan = RunPlan(load=ClosedLoop(iterations=requests), pool=Pool("thread"), interval_s=interval_s)
    result = run(plan, no_op, on_progress=watch)
    if result.completed != requests:
        raise RuntimeError(f"{result.completed} of {requests} requests completed: {result.reasons}")
    return watch.growth_mb(), quarters(
        [row.length_s / row.completed for row in filled(result.intervals)]
    )


def open_loop(requests: int, baseline: int, interval_s: float) -> tuple[float, float]:
    watch = Watch(baseline)
    plan = RunPlan(
        load=Poisson(OPEN_RATE),
        stop=Stop(iterations=requests),
        pool=Pool("thread", workers=1),
        interval_s=interval_s,
    )
    result = run(plan, no_op, on_progress=watch)
    if result.completed != requests:
        raise RuntimeError(f"{result.completed} of {requests} requests completed: {result.reasons}")
    return watch.growth_mb(), quarters([row.p50_ns or 1 for row in filled(result.intervals)])


def filled(rows: Sequence[IntervalRow]) -> list[IntervalRow]:
    return [row for row in rows if row.completed]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--full", action="store_true", help="10^8 requests in closed loop and 10^7 in open loop"
    )


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    closed, opened = (10**8, 10**7) if options.full else (10**7, 5 * 10**6)
    baseline = FIRST
    # Quarters of a short run need finer intervals; a full run has those of an ordinary one.
    interval_s = 1.0 if options.full else 0.25
    if options.quick:
        closed, opened, baseline, interval_s = 10**6, 2 * 10**5, 5 * 10**4, 0.1
        report.note(f"quick: memory is compared with that after {baseline:,} requests")
    cases = {"closed loop": (closed_loop, closed), "open loop": (open_loop, opened)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(options.rounds):
        for name, (case, requests) in cases.items():
            say(f"round {number + 1} of {options.rounds}: {name}, {requests:,} requests")
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                found[name].append(fresh.submit(case, requests, baseline, interval_s).result())
    for name, (_, requests) in cases.items():
        growth, flat = zip(*found[name])
        report.goal(
            f"{name}, {requests:,} requests: growth of resident memory",
            "<",
            LIMIT_MB,
            growth,
            "MB",
        )
        what = "cost per request" if name == "closed loop" else "response p50"
        report.goal(
            f"{name}, {requests:,} requests: {what}, last quarter / first", "<=", FLAT, flat, "x"
        )


if __name__ == "__main__":
    command("memory", __doc__, measure, rounds=1, add_options=add_options)

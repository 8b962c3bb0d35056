"""What a driver of many nodes has to do: hear their checkpoints while they run, and merge their
results at the end. The nodes are synthetic, 1,000 of them, each with 1,000 requests/s for two
minutes; what they tell goes through the real code of both sides, but for the network.

A round is a process of its own, whose memory is looked at when all results are merged.

    python bench/nodes_scale.py [--nodes 1000] [--json] [--quick]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil
from compare import Report, Say, command

from qs.engine import ClosedLoop, Ending, Histogram, RunPlan, RunResult, Stop
from qs.engine.conduct.lead import Moment, Snapshot
from qs.engine.distributed.leading.follower import Follower
from qs.engine.distributed.leading.watching import Whole
from qs.engine.distributed.results.checkpoints import log_of
from qs.engine.distributed.results.merging import merged_result
from qs.engine.distributed.results.plain_result import plain_of, result_of
from qs.engine.distributed.results.updates import plain_update, update_of
from qs.engine.distributed.talking.plain import decoded, encoded
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.result import ClockReading, NodePart, WarmUpResult
from qs.engine.statistics.confidence import PERCENTILES, Evidence

S = 1_000_000_000
RATE = 1_000  # requests/s of a node
KINDS = 4  # of nodes that differ; the others are like one of these


def draw(number: int, requests: int) -> np.ndarray:
    """Response times in ns with a usual spread and a tail."""
    random = np.random.default_rng(number)
    times = random.lognormal(np.log(5e6), 0.4, requests)
    times[random.random(requests) < 0.01] *= 8
    return times.astype(np.int64)


def histogram(times: np.ndarray) -> Histogram:
    found = Histogram()
    found.record(times)
    return found


def plan_of(nodes: int, seconds: int) -> RunPlan:
    return RunPlan(ClosedLoop(clients=4 * nodes), Stop(duration_s=float(seconds)))


@dataclass
class Synthetic:
    """A node that has measured for so many seconds."""

    plan: RunPlan
    number: int
    seconds: int

    def __post_init__(self) -> None:
        self.times = draw(self.number, RATE * self.seconds)
        per = RATE * self.plan.recorded_ns // S
        self.intervals = []
        for number in range(self.times.size // per):
            one = histogram(self.times[number * per : (number + 1) * per])
            index = np.flatnonzero(one.counts)
            self.intervals.append(Interval.compact(number, index, one.counts[index], 0))

    def updates(self, of: int) -> list[bytes]:
        """What it tells in each second: one checkpoint."""
        per_s, so_far, found = S // self.plan.recorded_ns, Histogram(), []
        for second in range(self.seconds):
            so_far.merge(histogram(self.times[second * RATE : (second + 1) * RATE]))
            now_ns = (second + 1) * S
            snapshot = Snapshot(now_ns, 0, so_far.count, {}, so_far, so_far, Histogram())
            gathered = [(0, one) for one in self.intervals[second * per_s :][:per_s]]
            moment = Moment(
                phase="measure",
                now_ns=now_ns,
                start_ns=0,
                completed=so_far.count,
                failed=0,
                last_answer_ns=now_ns,
                began_ns=1,
                intervals=(),
                progress=None,
                snapshot=lambda told=snapshot: told,  # type: ignore[misc]
            )
            found.append(encoded(plain_update(moment, 1, gathered)))
        return found

    def result(self) -> RunResult:
        length_s = self.plan.recorded_ns / 1e9
        log = IntervalLog(length_s, self.plan.recorded_per_interval)
        evidence = Evidence(length_s, PERCENTILES)
        log.add((0, one) for one in self.intervals)
        evidence.add((0, one) for one in self.intervals)
        response = histogram(self.times)
        return RunResult(
            completed=response.count,
            errors_by_kind={},
            wall_s=float(self.seconds),
            response=response,
            service=response,
            lateness=Histogram(),
            intervals=log.rows(np.zeros(0, np.int64), float(self.seconds), lost=False),
            warmup=WarmUpResult(),
            planned=None,
            first_ns=1,
            open_loop=False,
            pool="thread",
            workers=4,
            clients=4,
            started_at=0.0,
            ended_by=Ending.DURATION,
            confidence=evidence.confidence(float(self.seconds)),
            evidence=evidence,
            evidence_s=float(self.seconds),
        )


def one_round(nodes: int, seconds: int, heard_s: int) -> dict[str, float]:
    """A run of so many nodes and seconds, of which the last `heard_s` are timed."""
    plan = plan_of(nodes, seconds)
    kinds = [Synthetic(plan, number, seconds) for number in range(KINDS)]
    told = [each.updates(nodes) for each in kinds]
    results = [encoded(plain_of(each.result(), nodes)) for each in kinds]
    expected = sum(kinds[number % KINDS].times.size for number in range(nodes))
    del kinds
    process = psutil.Process()
    before = process.memory_info().rss
    link = SimpleNamespace(heard_ns=0)
    followers = [
        Follower(cast(Any, SimpleNamespace(name=f"n{n}", link=link)), plan, n, log_of(plan, nodes))
        for n in range(nodes)
    ]
    whole = Whole(plan, watched=True)
    heard_ns = 0
    for second in range(seconds):
        began = time.perf_counter_ns()
        for follower in followers:
            body = told[follower.index % KINDS][second]
            whole.hear(follower, update_of(decoded(body), 1 << 40))
        whole.progress(followers, (second + 1) * S, 0, False)
        if second >= seconds - heard_s:
            heard_ns += time.perf_counter_ns() - began
    began = time.perf_counter_ns()
    for follower in followers:
        follower.result = result_of(decoded(results[follower.index % KINDS]))
    taken_ns = time.perf_counter_ns() - began
    clock = ClockReading(0, 100_000, 0.0, 100, 50_000)
    parts = [
        NodePart(each.node.name, "", "", each.result, clock, 0, facts={"machine": str(each.index)})
        for each in followers
    ]
    began = time.perf_counter_ns()
    result = merged_result(plan, parts, start_ns=0, started_at=0.0, union=whole.union)
    merged_ns = time.perf_counter_ns() - began
    if (result.completed, result.response.count) != (expected, expected):
        raise AssertionError("the whole is not the sum of its parts")
    if sum(row.completed for row in result.intervals) != expected:
        raise AssertionError("the whole's intervals are not those of its parts")
    return {
        "hear": heard_ns / 1e9 / heard_s,
        "take": taken_ns / 1e9,
        "merge": merged_ns / 1e9,
        "memory": (process.memory_info().rss - before) / 1e6,
        "traffic": nodes * float(np.mean([len(each[-1]) for each in told])) / 1e6,
        "results": sum(len(results[n % KINDS]) for n in range(nodes)) / 1e6,
    }


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    nodes, seconds, heard_s = options.nodes, options.seconds, 10
    if options.quick:
        nodes, seconds, heard_s = min(nodes, 50), 20, 5
    found: dict[str, list[float]] = {}
    context = multiprocessing.get_context("spawn")
    for number in range(options.rounds):
        with ProcessPoolExecutor(1, context) as pool:
            one = pool.submit(one_round, nodes, seconds, heard_s).result()
        say(f"round {number + 1}: {one}")
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    of = f"of {nodes:,} nodes"
    report.figure(f"results taken in, {of}", "s", found["take"])
    report.figure(f"results, {of}", "MB", found["results"])
    report.figure(f"checkpoints, {of}", "MB/s", found["traffic"])
    report.goal(f"merge {of}", "<=", 2, found["merge"], "s")
    report.goal(f"driver's memory, {of}", "<=", 1_000, found["memory"], "MB")
    report.goal(f"checkpoints heard, {of}", "<=", 1, found["hear"], "s of CPU/s")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=120)


if __name__ == "__main__":
    command("nodes_scale", "synthetic nodes through the driver's own code", measure, 1, add_options)

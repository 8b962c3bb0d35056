"""Is the engine a queue? Response times of a target of fixed service time, against an exact
simulation of a FIFO queue.

The target sleeps a fixed time behind 1, 2 or 4 workers, under Poisson arrivals at 50, 70 and 90 %
of what they can serve: in threads, in processes, and through the wire, where a server of that many
workers (`queue_server.py`) answers over HTTP on loopback. Due times are the engine's own, so
nothing of the difference is sampling error. The simulation is made twice for each run: with the
nominal service time, which also shows every late wake-up of the system's sleep as it piles up in
the queue; and with the service times that the target really took, request by request, which leaves
the engine's own error alone (through the wire: also the network's).

    python bench/queue_model.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import heapq
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from compare import Report, Say, command

from qs.engine import Factory, Poisson, Pool, RunPlan, RunResult, Stop, run
from qs.engine.wire.http import HttpClient
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings

SERVER = Path(__file__).parent / "queue_server.py"
WORKERS = (1, 2, 4)
LOADS = (0.5, 0.7, 0.9)
POOLS = ("thread", "process", "wire")
NOMINAL, MEASURED = "nominal service times", "measured service times"
PERCENTILES = (50.0, 99.0)


class Case(NamedTuple):
    pool: str
    workers: int
    load: float

    def __str__(self) -> str:
        return f"{self.pool} x {self.workers}, {self.load:.0%} load"


def fifo_responses(due_ns: Sequence[int], service_ns: Iterable[int], servers: int) -> np.ndarray:
    """Response times (int64 ns) of a first-come, first-served queue before `servers` equal servers.

    Exact for any due times and service times (both in order of arrival): each request goes to the
    server that is free first.
    """
    free = [0] * servers
    responses = []
    for due, service in zip(due_ns, service_ns):
        end = max(due, free[0]) + service
        heapq.heapreplace(free, end)
        responses.append(end - due)
    return np.array(responses, np.int64)


class Measured(NamedTuple):
    """One run: what the engine says, and the due times (ns) in order with the time that each
    request was really served.
    """

    result: RunResult
    due_ns: np.ndarray
    service_ns: np.ndarray


def run_case(case: Case, service_s: float, duration_s: float, seed: int) -> Measured:
    load = Poisson(case.load * case.workers / service_s, seed)
    stop = Stop(duration_s=duration_s)
    if case.pool == "wire":
        return over_the_wire(case, RunPlan(load=load, stop=stop, pool=Pool("async")), service_s)
    plan = RunPlan(load=load, stop=stop, pool=Pool(case.pool, workers=case.workers))
    target = Factory("targets:Sleeper", {"service_s": service_s})
    columns = (result := valid(case, run(plan, target, keep_columns=True))).columns
    order = np.argsort(columns["due_ns"], kind="stable")
    took = columns["completed_ns"] - columns["issued_ns"]
    return Measured(result, columns["due_ns"][order], took[order])


def over_the_wire(case: Case, plan: RunPlan, service_s: float) -> Measured:
    """The same of a server, which says at its end how long it served each request."""
    command = [sys.executable, str(SERVER), str(case.workers), str(service_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        port = int(server.stdout.readline())
        client = HttpClient(ClientSettings("127.0.0.1", port))
        request = http_request("GET", "/", f"127.0.0.1:{port}")
        result = valid(case, run(plan, client, [request], keep_columns=True))
        served, _ = server.communicate()
    due = np.sort(result.columns["due_ns"])
    return Measured(result, due, np.array(json.loads(served)[-due.size :], np.int64))


def valid(case: Case, result: RunResult) -> RunResult:
    if result.verdict != "VALID":
        raise RuntimeError(f"{case}: {result.reasons}")
    return result


def ratios(case: Case, service_s: float, duration_s: float, seed: int) -> dict[str, list[float]]:
    """Engine / simulation at the percentiles, for both kinds of service times."""
    result, due, took = run_case(case, service_s, duration_s, seed)
    found = {}
    for name, times in {
        NOMINAL: np.full(due.size, round(service_s * 1e9)),
        MEASURED: took,
    }.items():
        simulated = fifo_responses(due.tolist(), times.tolist(), case.workers)
        found[name] = [
            result.response.percentile_ns(percentile)
            / float(np.percentile(simulated, percentile, method="inverted_cdf"))
            for percentile in PERCENTILES
        ]
    return found


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    service_s, duration_s = (0.002, 0.25) if options.quick else (0.005, 5.0)
    loads = LOADS[1:2] if options.quick else LOADS
    cases = [Case(pool, workers, load) for pool in POOLS for workers in WORKERS for load in loads]
    found: dict[Case, list[dict[str, list[float]]]] = {case: [] for case in cases}
    for seed in range(options.rounds):
        for case in cases:
            say(f"round {seed + 1} of {options.rounds}: {case}")
            found[case].append(ratios(case, service_s, duration_s, seed))
    for kind in (NOMINAL, MEASURED):
        worst = dict.fromkeys(PERCENTILES, 1.0)
        for case, rounds in found.items():
            for at, percentile in enumerate(PERCENTILES):
                values = [one[kind][at] for one in rounds]
                report.figure(f"{case}: p{percentile:g} / simulation, {kind}", "x", values)
                worst[percentile] = max(worst[percentile], np.median(values), 1 / np.median(values))
        for percentile, ratio in worst.items():
            what = f"p{percentile:g} against the simulation, worst case, {kind}"
            report.goal(what, "<=", 1.1, [float(ratio)], "x")
    report.note(
        f"service time {service_s * 1e3:g} ms, {duration_s:g} s a run; "
        f"the worst case is that of the {len(cases)} medians"
    )


if __name__ == "__main__":
    command("queue_model", __doc__, measure, rounds=3)

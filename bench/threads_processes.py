"""What more workers give on a target that does nothing: four threads against one, two processes
against one.

Threads share one interpreter lock, so four of them can at best keep the rate of one; the goal is
that they do not lose it to each other. Two processes share nothing, so they should do the work of
two. Compared with the same engine at one worker, interleaved in one run.

    python bench/threads_processes.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
from functools import partial

from compare import Report, Say, command, interleaved, pairwise
from targets import no_op

from qs.engine import ClosedLoop, Pool, RunPlan, Stop, run

LAYOUTS = {
    "1 thread": ("thread", 1),
    "4 threads": ("thread", 4),
    "1 process": ("process", 1),
    "2 processes": ("process", 2),
}


def queries_per_s(kind: str, clients: int, duration_s: float) -> float:
    plan = RunPlan(load=ClosedLoop(clients), stop=Stop(duration_s=duration_s), pool=Pool(kind))
    result = run(plan, no_op)
    if result.verdict != "VALID":
        raise RuntimeError(f"{clients} x {kind}: {result.reasons}")
    return result.queries_per_s


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    duration_s = 0.3 if options.quick else 2.0
    sides = {name: partial(queries_per_s, *layout, duration_s) for name, layout in LAYOUTS.items()}
    found = interleaved(sides, options.rounds, say)
    for name, values in found.items():
        report.figure(name, "queries/s", values)
    report.goal(
        "4 threads / 1 thread", ">=", 0.9, pairwise(found["4 threads"], found["1 thread"]), "x"
    )
    report.goal(
        "2 processes / 1 process",
        ">=",
        1.8,
        pairwise(found["2 processes"], found["1 process"]),
        "x",
    )


if __name__ == "__main__":
    command("threads_processes", __doc__, measure, rounds=9)

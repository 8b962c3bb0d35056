"""What does looking at answers cost? Against the same target unwatched: what `qs` makes of predict,
verified not at all, by sample, and all.

Off, the worker calls the very function that it called before the feature was there: the goal on it
says that the two cannot be told apart.

    python bench/verify.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from compare import Report, Say, command, interleaved, pairwise

from qs.engine import ClosedLoop, Pool, RunPlan, Target, run
from qs.inside.targets import target_of
from qs.inside.verifying import ALL, SAMPLE, Verifier

OUTPUT = np.zeros((1, 1000), np.float32)
BATCHES = [{"x": np.full(4, float(number), np.float32)} for number in range(64)]


def answer(batch: object) -> dict:
    return {"y": OUTPUT}


def before(predict: Callable[[object], dict]) -> Callable[[object], dict]:
    """What target_of makes, written out: a function that calls predict."""

    def call(batch: object) -> dict:
        return predict(batch)

    return call


def cost_ns(mode: str | None, iterations: int, verifiable: bool = True) -> float:
    """Mean service time of a request."""
    with tempfile.TemporaryDirectory() as folder:
        verifier = None
        if mode is not None:
            verifier = Verifier(mode, 0, folder, 0, ["y"])
            verifier.knows(BATCHES)
        target = Target(target_of(answer, verifier=verifier) if verifiable else before(answer))
        if verifier is not None:
            target = replace(
                target,
                begin_measuring=verifier.begin_measuring,
                end_measuring=verifier.end_measuring,
            )
        plan = RunPlan(load=ClosedLoop(1, iterations), pool=Pool("inline"), warmup_iterations=1000)
        return run(plan, target, samples=BATCHES).service.mean_ns


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    count = 20_000 if options.quick else 200_000
    sides = {
        "without the feature": partial(cost_ns, None, count, verifiable=False),
        "off": partial(cost_ns, None, count),
        SAMPLE: partial(cost_ns, SAMPLE, count),
        ALL: partial(cost_ns, ALL, count),
    }
    found = interleaved(sides, options.rounds, say)
    for name, values in found.items():
        report.figure(f"service time of a request, {name}", "ns", values)
    for name in (SAMPLE, ALL):
        added = [one - other for one, other in zip(found[name], found["off"], strict=True)]
        report.figure(f"{name} adds to a request with an answer of 4 kB", "ns", added)
    report.goal(
        "off / without the feature",
        "<=",
        1.05,
        pairwise(found["off"], found["without the feature"]),
        "x",
    )


if __name__ == "__main__":
    command("verify", __doc__, measure, rounds=9)

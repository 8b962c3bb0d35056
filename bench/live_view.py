"""Does watching disturb what is watched: a run with the live panel against the same run without a
view.

The panel draws on a terminal of its own (a pseudo-terminal that is read and thrown away), four
times a second, as in `qs run`. Compared in one run, interleaved: throughput of a no-op in closed
loop in a thread, response p99 of Poisson arrivals, and the CPU of the thread that conducts and
draws.

    python bench/live_view.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import os
import pty
import threading
import time
from functools import partial
from typing import NamedTuple

from compare import Report, Say, command, interleaved, pairwise
from targets import no_op

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run
from qs.watch.terminal import Rich

RATE_PER_S = 1_000.0
WITHOUT, WITH = "without a view", "with the panel"


class Seen(NamedTuple):
    queries_per_s: float
    cpu: float  # of the conducting thread, in cores
    p99_us: float


def measure_once(load: ClosedLoop | Poisson, seconds: float, shown: bool) -> Seen:
    plan = RunPlan(
        load=load, stop=Stop(duration_s=seconds), pool=Pool("thread", workers=1), calibrate=False
    )
    if not shown:
        return _run(plan, None)
    ours, theirs = pty.openpty()
    reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
    reader.start()
    with (
        os.fdopen(theirs, "w", buffering=1) as stream,
        Rich(stream).case("bench", seconds) as update,
    ):
        seen = _run(plan, update)
    reader.join(5)
    return seen


def _run(plan: RunPlan, update) -> Seen:
    began, own = time.perf_counter(), time.thread_time()
    result = run(plan, no_op, on_progress=update)
    cpu = (time.thread_time() - own) / (time.perf_counter() - began)
    return Seen(result.queries_per_s, cpu, result.response.percentile_ns(99) / 1e3)


def _drain(end: int) -> None:
    try:
        while os.read(end, 65536):
            pass
    except OSError:
        pass  # the other end has closed
    finally:
        os.close(end)


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    seconds = 0.6 if options.quick else 3.0
    for name, load in (
        ("closed loop", ClosedLoop()),
        (f"Poisson {RATE_PER_S:,.0f}/s", Poisson(RATE_PER_S, 0)),
    ):
        sides = {
            side: partial(measure_once, load, seconds, side == WITH) for side in (WITHOUT, WITH)
        }
        found = interleaved(sides, options.rounds, lambda text, name=name: say(f"{name}, {text}"))
        for side in (WITHOUT, WITH):
            report.figure(
                f"{name}, {side}: conducting thread",
                "% of a core",
                [100 * each.cpu for each in found[side]],
            )
            report.figure(
                f"{name}, {side}: response p99", "us", [each.p99_us for each in found[side]]
            )
        cost = [100 * (shown.cpu - bare.cpu) for shown, bare in zip(found[WITH], found[WITHOUT])]
        report.goal(f"{name}: what the panel costs", "<", 1.0, cost, "% of a core")
        rates = pairwise(
            *([each.queries_per_s for each in found[side]] for side in (WITH, WITHOUT))
        )
        report.goal(f"{name}: queries/s {WITH} / {WITHOUT}", ">=", 0.98, rates, "x")


if __name__ == "__main__":
    command("live_view", __doc__, measure, rounds=9)

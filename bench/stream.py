"""What does an event of a stream cost the client, and when is it stamped? Our client, and the
engine over it, against aiohttp, the openai client and AIPerf on the same server.

The server is a language model in C that does nothing (`null_servers/sse.c`), on the other core:
streams of 64 events of 202 B, each with the instant of its own sending. Every client is a process
of its own; what it costs is its CPU time by events, and how late it stamps is the stamp less the
server's. The floor is a protocol on the same loop that only receives.

- alone: 64 streams of 100 events/s, one event a read. All on one tick, as batching servers send
  them (the client wakes up once for all); and spread, so that each event wakes the client up.
- together: the 64 events of a stream in one send.
- most: 256 streams of 400 events/s, one event a read: more than a client can take.
- thousand: 1,000 streams of 20 events/s.
- json: stamps where answers are dropped, and where all are kept and their JSON is read in the end;
  and of the engine without measures, and with all those of a language model.
- stream: what a stream of one event costs.
- aiperf: AIPerf and ours on the same server; its CPU time is that of all its processes, between
  two numbers of requests, since its start costs more than many events.

    python bench/stream.py [--json] [--quick] [--only alone,together,...] [--peers PYTHON]
                           [--tokenizer FOLDER] [--first]

`--peers` is the Python of an environment that has aiohttp, openai, uvloop and aiperf, if this one
has not. AIPerf wants a tokenizer, and looks for one on the internet: `--tokenizer` is the folder of
one here (else one is made with the `transformers` of that environment). `--first` has server and
clients go before all else on this machine (SCHED_FIFO, which needs the right to it), so that the
stamps tell of them and not of their neighbours; AIPerf's processes do not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from compare import Report, Say, command, interleaved, pairwise
from null_server import MISSING, compiler, null_server
from stream_aiperf import aiperf, aiperf_missing
from stream_work import StreamTurn, StreamWork, own_process

FOLDER = Path(__file__).resolve().parent
EVENTS = 64
OURS = ("ours", "ours, dropped", "engine", "engine, read", "floor")
PEERS = ("aiohttp", "openai")
FIGURES = {
    "cpu_us": "us of CPU an event",
    "events_per_s": "events/s",
    "late_p50_us": "us late p50",
    "late_p99_us": "us late p99",
}


@dataclass(frozen=True)
class Goal:
    """A figure of one client, or its ratio to another's (`below`)."""

    figure: str
    above: str
    relation: str
    limit: float
    below: str | None = None


@dataclass(frozen=True)
class Case:
    """One server and number of streams, with the clients that take turns there."""

    name: str
    server: tuple[int, int, int, int]  # events a stream, us between them, events a send, tick
    streams: int
    sides: tuple[str, ...]
    goals: tuple[Goal, ...] = ()
    figures: tuple[str, ...] = tuple(FIGURES)
    others: Mapping[str, str] = field(default_factory=dict)


TICK = (EVENTS, 10_000, 1, 1)
SPREAD = (EVENTS, 10_000, 1, 0)
CASES = {
    "alone": (
        Case("alone, on a tick, 64 streams", TICK, 64,
             ("ours", "engine", "engine, read", "floor", *PEERS),
             (Goal("cpu_us", "ours", "<=", 12), Goal("cpu_us", "engine, read", "<=", 12),
              Goal("cpu_us", "ours", "<=", 0.5, "aiohttp"))),
        Case("alone, spread, 64 streams", SPREAD, 64, ("ours", "floor", *PEERS)),
        Case("alone, 1 stream", SPREAD, 1, ("ours", *PEERS)),
    ),
    "together": (
        Case("together, 64 streams", (EVENTS, 0, 1, 0), 64, ("ours", *PEERS),
             (Goal("cpu_us", "ours", "<=", 3), Goal("events_per_s", "ours", ">=", 50_000)),
             ("cpu_us", "events_per_s")),
    ),
    "most": (
        Case("most, one event a read, 256 streams", (EVENTS, 2_500, 1, 0), 256, ("ours", "aiohttp"),
             (Goal("events_per_s", "ours", ">=", 50_000),)),
    ),
    "thousand": (
        Case("1,000 streams, spread", (EVENTS, 50_000, 1, 0), 1_000, ("ours", "engine, read"),
             (Goal("late_p99_us", "ours", "<=", 1_000),
              Goal("late_p99_us", "engine, read", "<=", 1_000))),
        Case("1,000 streams, on a tick", (EVENTS, 50_000, 1, 1), 1_000, ("ours",)),
    ),
    "json": (
        Case("JSON read, 64 streams", TICK, 64,
             ("ours", "ours, dropped", "engine", "engine, read"),
             (Goal("late_p50_us", "ours", "<=", 1.1, "ours, dropped"),
              Goal("late_p50_us", "engine, read", "<=", 1.1, "engine"))),
    ),
    "stream": (
        Case("a stream of one event, 64 streams", (1, 0, 1, 0), 64, ("ours", *PEERS), (),
             ("stream_cpu_us",), {"stream_cpu_us": "us of CPU a stream"}),
    ),
}  # fmt: skip
PARTS = (*CASES, "aiperf")


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    if compiler() is None:
        report.note(MISSING)
        report.goal("CPU of an event that arrives alone", "<=", 12, None, "us")
        return
    for_s = 0.5 if options.quick else 2.0
    if options.first:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        report.note("before all else on this machine (--first)")
    pythons = environments(options, report)
    for part in options.only.split(",") if options.only else PARTS:
        if part == "aiperf":
            if options.first:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            beside_aiperf(options, for_s, report, say)
            continue
        for case in CASES[part][:1] if options.quick else CASES[part]:
            one(case, pythons, for_s, options.rounds, report, say)


def environments(options: argparse.Namespace, report: Report) -> dict[str, str]:
    """By which Python each side runs; peers that are not installed are left out, with a note."""
    found = dict.fromkeys(OURS, sys.executable)
    for peer in PEERS:
        python = options.peers or sys.executable
        if subprocess.run([python, "-c", f"import {peer}"], capture_output=True).returncode:
            report.note(f"{peer}: not installed (pip install {peer}; --peers takes its Python)")
        else:
            found[peer] = python
    return found


def one(
    case: Case, pythons: Mapping[str, str], for_s: float, rounds: int, report: Report, say: Say
) -> None:
    sides: dict[str, Callable[[], StreamTurn]] = {}
    with null_server("sse", *case.server) as port:
        work = StreamWork(port, case.streams, for_s)
        for name in case.sides:
            if name in pythons:
                script = FOLDER / ("stream_peers.py" if name in PEERS else "stream_clients.py")
                sides[name] = partial(own_process, pythons[name], script, name, work)
        found = interleaved(sides, rounds, lambda text: say(f"{case.name}: {text}"))
    for name, turns in found.items():
        for figure in case.figures:
            if name == "floor" and figure.startswith("late"):
                continue
            unit = {**FIGURES, **case.others}[figure]
            report.figure(f"{case.name}: {name}", unit, [getattr(turn, figure) for turn in turns])
    for goal in case.goals:
        judge(case, goal, found, report)


def judge(case: Case, goal: Goal, found: dict[str, list[StreamTurn]], report: Report) -> None:
    what = f"{case.name}: {FIGURES[goal.figure]}, {goal.above}"
    above = [getattr(turn, goal.figure) for turn in found[goal.above]]
    if goal.below is None:
        report.goal(what, goal.relation, goal.limit, above)
        return
    below = found.get(goal.below)
    ratio = pairwise(above, [getattr(turn, goal.figure) for turn in below]) if below else None
    report.goal(f"{what} / {goal.below}", goal.relation, goal.limit, ratio, "x")


def beside_aiperf(options: argparse.Namespace, for_s: float, report: Report, say: Say) -> None:
    """The whole program on the same server as ours, with as many streams."""
    python = options.peers or sys.executable
    named = "spread, 64 streams of 100 events/s"
    goal = f"{named}: CPU an event, ours / AIPerf", "<=", 0.25
    why = aiperf_missing(python)
    if why is not None:
        report.note(why)
        report.goal(*goal, None, "x")
        return
    script = FOLDER / "stream_clients.py"
    with null_server("sse", *SPREAD) as port:
        work = StreamWork(port, EVENTS, for_s)
        found = interleaved(
            {
                "ours": partial(own_process, sys.executable, script, "ours", work),
                "AIPerf": partial(aiperf, python, work, EVENTS, options.tokenizer),
            },
            1 if options.quick else min(options.rounds, 3),
            lambda text: say(f"aiperf: {text}"),
        )
    for name, turns in found.items():
        report.figure(f"{named}: {name}", FIGURES["cpu_us"], [turn.cpu_us for turn in turns])
        firsts = [turn.ttft_p50_ms for turn in turns]
        report.figure(f"{named}: {name}", "ms to first token p50 (the server's: 15)", firsts)
    cpu = pairwise(*([turn.cpu_us for turn in found[name]] for name in ("ours", "AIPerf")))
    report.goal(*goal, cpu, "x")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--peers", help="the Python of an environment that has the peers")
    parser.add_argument("--first", action="store_true", help="go before all else on this machine")
    parser.add_argument("--tokenizer", help="the folder of a tokenizer for AIPerf")


if __name__ == "__main__":
    command("stream", __doc__, measure, rounds=5, add_options=add_options)

"""What does a request to a server cost the client, and when is it sent? Our clients and the engine
over them, against wrk (C), aiohttp and grpc.aio.

The servers are null servers in C on loopback (`null_servers/`), on the other core; every client is
a process of its own and sends the same bytes. Closed loop: small requests (64 B up and down) with
1, 4 and 64 in flight, 602,112 B up or down with 4. Open loop: Poisson arrivals at 1 to 20 k/s, the
highest rate held, and twice that.

    python bench/remote.py [--json] [--quick] [--only http,large,grpc,stamps,open]

On loopback a sender's `send` runs the receiver's TCP work too, so the CPU of a client holds some of
the server's, for every client alike. wrk measures no shorter than 1 s.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from compare import Report, Say, command, interleaved, pairwise
from null_server import MISSING, compiler, null_server
from remote_clients import OpenTurn, own_process
from remote_peers import missing
from remote_work import Turn, Work

SMALL, LARGE = 64, 602_112
RATES = (1_000, 5_000, 10_000, 20_000)
MOST_CPU_US = {5_000: 45.0, 10_000: 40.0, 20_000: 30.0}
FIRST_RATE, STEP = 20_000.0, 1.2
BOUND_US = 10_000  # of the p99 of the response time at a rate that is held
PARTS = ("http", "large", "grpc", "stamps", "open")
OURS = ("callbacks", "Future a request", "engine")


@dataclass(frozen=True)
class Goal:
    """A ratio of two clients' figures, or one client's figure alone (`below` None)."""

    figure: str
    above: str
    below: str | None
    relation: str
    limit: float


@dataclass(frozen=True)
class Case:
    """One server and one concurrency, with the clients that take turns there."""

    kind: str
    up: int
    down: int
    clients: int
    sides: tuple[str, ...]
    goals: tuple[Goal, ...]

    def __str__(self) -> str:
        size = "small" if self.up == self.down == SMALL else f"{max(self.up, self.down):,} B"
        way = "" if size == "small" else " up" if self.up > self.down else " down"
        return f"{self.kind} {size}{way}, {self.clients} in flight"


def http_cases() -> list[Case]:
    sides = (*OURS, "blocking threads", "wrk", "aiohttp")
    found = []
    for clients in (1, 4, 64):
        goals = [Goal("cpu_us", "Future a request", "aiohttp", "<=", 0.25)]
        if clients == 1:
            goals.append(Goal("p50_us", "callbacks", "wrk", "<=", 1.5))
        else:
            goals.append(Goal("cpu_us", "callbacks", "wrk", "<=", 1.4))
            goals.append(Goal("cpu_us", "Future a request", "wrk", "<=", 1.8))
        if clients == 64:
            goals.append(Goal("cpu_us", "engine", "callbacks", "<=", 1.3))
            goals.append(Goal("per_s", "callbacks", None, ">=", 60_000))
            goals.append(Goal("per_s", "engine", None, ">=", 40_000))
        found.append(Case("http", SMALL, SMALL, clients, sides, tuple(goals)))
    return found


def large_cases() -> list[Case]:
    sides = ("callbacks", "engine", "blocking threads", "wrk", "aiohttp")
    goals = (Goal("cpu_us", "callbacks", "wrk", "<=", 1.2),)
    grpc_goals = (Goal("cpu_us", "callbacks", "grpc.aio", "<=", 0.5),)
    sizes = ((LARGE, SMALL), (SMALL, LARGE))
    return [Case("http", up, down, 4, sides, goals) for up, down in sizes] + [
        Case("grpc", up, down, 4, ("callbacks", "grpc.aio"), grpc_goals) for up, down in sizes
    ]


def grpc_cases() -> list[Case]:
    found = []
    for clients in (1, 4, 64):
        goals = [Goal("cpu_us", "callbacks", "grpc.aio", "<=", 1 / 3)]
        if clients == 1:
            goals.append(Goal("p50_us", "callbacks", "grpc.aio", "<=", 0.5))
        if clients == 64:
            goals.append(Goal("per_s", "callbacks", None, ">=", 50_000))
        found.append(Case("grpc", SMALL, SMALL, clients, (*OURS, "grpc.aio"), tuple(goals)))
    return found


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    if compiler() is None:
        report.note(MISSING)
        report.goal("a request's CPU against wrk", "<=", 1.8, None, "x")
        return
    for_s = 0.2 if options.quick else 1.0
    chosen = options.only.split(",") if options.only else PARTS
    made = {"http": http_cases, "large": large_cases, "grpc": grpc_cases}
    for part in chosen:
        if part in made:
            cases = made[part]()
            for case in cases[1:2] if options.quick else cases:
                closed_loop(case, for_s, options.rounds, report, say)
    if "stamps" in chosen:
        socket_stamps(for_s, options.rounds, report, say)
    if "open" in chosen:
        rates = RATES[1:2] if options.quick else RATES
        open_loop(rates, for_s * 2, options.rounds, report, say)
        overload(for_s, 1 if options.quick else options.rounds, report, say)


def closed_loop(case: Case, for_s: float, rounds: int, report: Report, say: Say) -> None:
    sides: dict[str, Callable[[], Turn]] = {}
    with null_server(case.kind, case.down) as port:
        work = Work(port, case.clients, case.up, for_s)
        for name in case.sides:
            why = missing(name)
            if why is not None:
                report.note(why)
                continue
            sides[name] = partial(_closed, name, case.kind, work)
        found = interleaved(sides, rounds, lambda text: say(f"{case}: {text}"))
    for name, turns in found.items():
        for figure, unit in (
            ("cpu_us", "us of CPU"),
            ("per_s", "requests/s"),
            ("p50_us", "us p50"),
        ):
            values = [getattr(turn, figure) for turn in turns]
            report.figure(f"{case}: {name}", unit, values)
    for goal in case.goals:
        judge(case, goal, found, report)


def _closed(name: str, kind: str, work: Work) -> Turn:
    return Turn(**own_process("closed", name, kind, work))


def judge(case: Case, goal: Goal, found: dict[str, list[Turn]], report: Report) -> None:
    named = {"cpu_us": "CPU a request", "per_s": "requests/s", "p50_us": "p50"}[goal.figure]
    what = f"{case}: {named}, {goal.above}"
    above = [getattr(turn, goal.figure) for turn in found[goal.above]]
    if goal.below is None:
        report.goal(what, goal.relation, goal.limit, above, "requests/s")
        return
    ratio = None
    if goal.below in found:
        ratio = pairwise(above, [getattr(turn, goal.figure) for turn in found[goal.below]])
    report.goal(f"{what} / {goal.below}", goal.relation, goal.limit, ratio, "x")


def socket_stamps(for_s: float, rounds: int, report: Report, say: Say) -> None:
    """Stamps of the engine and of a coroutine against those at the socket, 64 in flight."""
    with null_server("http", SMALL) as port:
        work = Work(port, 64, SMALL, for_s)
        sides = {"both": partial(own_process, "stamps", "http", work)}
        found = interleaved(sides, rounds, lambda text: say(f"stamps: {text}"))["both"]
    recorded, awaited = zip(*found, strict=True)
    report.figure("64 in flight: a stamp after await, later than the socket's", "us", awaited)
    what = "64 in flight: service time as the engine recorded it, longer than at the socket"
    report.goal(what, "<=", 5, recorded, "us")


def open_loop(rates: Sequence[float], for_s: float, rounds: int, report: Report, say: Say) -> None:
    with null_server("http", SMALL) as port:
        work = Work(port, 1, SMALL, for_s)
        found: dict[float, list[OpenTurn]] = {rate: [] for rate in rates}
        for seed in range(rounds):
            for rate in rates:
                say(f"open loop: round {seed + 1} of {rounds}: {rate:,.0f}/s")
                found[rate].append(_poisson(work, rate, seed))
    for rate, turns in found.items():
        named = f"open loop, {rate:,.0f}/s"
        held = [turn.answered_per_s / turn.offered_per_s for turn in turns]
        report.figure(f"{named}: answered / asked", "x", held)
        for figure in ("response_p50_us", "response_p99_us"):
            values = [getattr(turn, figure) for turn in turns]
            report.figure(f"{named}: {figure[:-3].replace('_', ' ')}", "us", values)
        for figure, most in (("late_p50_us", 50), ("late_p99_us", 300)):
            values = [getattr(turn, figure) for turn in turns]
            report.goal(f"{named}: {figure[:-3].replace('_', ' ')}", "<=", most, values, "us")
        cpu = [turn.cpu_us for turn in turns]
        if rate in MOST_CPU_US:
            report.goal(f"{named}: CPU a request", "<=", MOST_CPU_US[rate], cpu, "us")
        else:
            report.figure(f"{named}: CPU a request", "us", cpu)


def overload(for_s: float, rounds: int, report: Report, say: Say) -> None:
    """The highest Poisson rate held, and what is answered at twice that."""
    highest, ratios, opened = [], [], []
    with null_server("http", SMALL) as port:
        work = Work(port, 1, SMALL, for_s)
        for seed in range(rounds):
            held, rate = 0.0, FIRST_RATE
            best = 0.0
            while True:
                turn = _poisson(work, rate, seed)
                kept = (
                    turn.answered_per_s >= 0.98 * turn.offered_per_s
                    and turn.response_p99_us < 10_000
                )
                say(f"highest rate: round {seed + 1}: {rate:,.0f}/s {'held' if kept else 'not'}")
                opened.append(turn.opened)
                if not kept:
                    break
                held, best, rate = rate, turn.answered_per_s, rate * STEP
            highest.append(held)
            if held:
                twice = _poisson(work, 2 * held, seed)
                opened.append(twice.opened)
                ratios.append(twice.answered_per_s / best)
    report.goal("highest Poisson rate held by one process", ">=", 35_000, highest, "requests/s")
    what = "at twice that rate: answered / answered at the highest held"
    report.goal(what, ">=", 0.9, ratios or None, "x")
    report.goal("connections opened while measuring", "<=", 0, opened, "")


def _poisson(work: Work, rate: float, seed: int) -> OpenTurn:
    return OpenTurn(**own_process("poisson", "http", work, rate, seed))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help=f"parts, of {','.join(PARTS)}")


if __name__ == "__main__":
    command("remote", __doc__, measure, rounds=5, add_options=add_options)

"""The highest Poisson rate that one worker holds on a target that does nothing: three of three runs
with response p99 <= 10 ms.

Compared with MLPerf LoadGen's Server scenario on its fast system under test, and with the same
while LoadGen may hand over several due queries at once. Each side climbs its own ladder of rates
(steps of half as much again until one is not held, then halving the gap between held and not held);
the tries of all sides are interleaved, and every try draws new due times.

    python bench/poisson_rate.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial

import loadgen
from compare import Report, Say, command, pairwise
from targets import no_op

from qs.engine import Poisson, Pool, RunPlan, Stop, run

BOUND_NS = 10_000_000
TRIES = 3
STEP = 1.5
# A side that breaks at this part of its first rate is on a machine where nothing can be said.
FLOOR = 1 / 50
ENGINE, INLINE = "engine, one thread", "engine, inline"
FAST, COALESCED = "LoadGen Server, fast", "LoadGen Server, fast, coalescing"


class Climb:
    """The search of one side: try `rate`, then `tell` it how that went. `held` is the highest rate
    held so far, or 0.
    """

    def __init__(self, first: float, precision: float):
        self.rate = first
        self.held = 0.0
        self._broken: float | None = None
        self._precision = precision
        self._floor = first * FLOOR
        self._tries = 0

    @property
    def done(self) -> bool:
        if self._broken is None:
            return False
        return self._broken <= self._floor or self._broken <= self.held * self._precision

    def tell(self, kept: bool) -> None:
        """One failed try breaks a rate; TRIES kept ones hold it."""
        self._tries += 1
        if kept and self._tries < TRIES:
            return
        self._tries = 0
        if kept:
            self.held = self.rate
        else:
            self._broken = self.rate
        if self._broken is None:
            self.rate = self.held * STEP
        elif not self.held:
            self.rate = self._broken / STEP
        else:
            self.rate = (self.held * self._broken) ** 0.5


def climb_all(
    tries: Mapping[str, Callable[[float, int], bool]],
    first: Mapping[str, float],
    precision: float,
    seed: int,
    say: Say,
) -> dict[str, float]:
    """The highest rate each side held; the sides take turns, one try each."""
    climbs = {name: Climb(first[name], precision) for name in tries}
    while any(not climb.done for climb in climbs.values()):
        seed += 1
        for name, climb in climbs.items():
            if not climb.done:
                rate = climb.rate
                kept = tries[name](rate, seed)
                climb.tell(kept)
                say(f"{name}: {rate:,.0f}/s {'kept' if kept else 'not kept'}")
    return {name: climb.held for name, climb in climbs.items()}


def engine_keeps(kind: str, duration_s: float, rate: float, seed: int) -> bool:
    """Whether every request due in about `duration_s` was answered, and 99 % of them within the
    bound.
    """
    requests = round(rate * duration_s)
    plan = RunPlan(
        load=Poisson(rate, seed), stop=Stop(iterations=requests), pool=Pool(kind, workers=1)
    )
    result = run(plan, no_op)
    return result.completed == requests and result.response.percentile_ns(99) <= BOUND_NS


def loadgen_keeps(coalesce: bool, duration_s: float, rate: float, seed: int) -> bool:
    """The same of LoadGen, which runs on until every scheduled query is answered."""
    return loadgen.server(rate, duration_s, BOUND_NS, coalesce).latency_ns[99.0] <= BOUND_NS


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    duration_s, precision = (0.1, 1.5) if options.quick else (1.0, 1.05)
    tries = {
        ENGINE: partial(engine_keeps, "thread", duration_s),
        INLINE: partial(engine_keeps, "inline", duration_s),
    }
    first = {ENGINE: 1_000_000.0, INLINE: 1_000_000.0}
    if loadgen.available():
        tries[FAST] = partial(loadgen_keeps, False, duration_s)
        tries[COALESCED] = partial(loadgen_keeps, True, duration_s)
        first |= {FAST: 300_000.0, COALESCED: 300_000.0}
    else:
        report.note(loadgen.MISSING)
    found: dict[str, list[float]] = {name: [] for name in tries}
    for number in range(options.rounds):
        for name, rate in climb_all(tries, first, precision, 1_000 * number, say).items():
            found[name].append(rate)
    for name in (ENGINE, INLINE, FAST, COALESCED):
        report.figure(name, "queries/s", found.get(name))
    report.goal(f"highest rate held, {ENGINE}", ">=", 1.5e6, found[ENGINE], "queries/s")
    for name in (FAST, COALESCED):
        ratio = pairwise(found[ENGINE], found[name]) if name in found and all(found[name]) else None
        report.goal(f"{ENGINE} / {name}", ">=", 3, ratio, "x")
    if any(0 in rates for rates in found.values()):
        report.note(
            "a rate of 0 stands for a side that held nothing: "
            "this machine is too busy for this benchmark"
        )
    report.note(
        f"a try lasts {duration_s:g} s; rates are searched to within {(precision - 1) * 100:.0f} %"
    )


if __name__ == "__main__":
    command("poisson_rate", __doc__, measure, rounds=3)

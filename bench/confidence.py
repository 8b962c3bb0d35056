"""Do stated confidences hold? The engine's 95 % intervals, and what a run that ends as stable has,
against closed forms.

The engine runs on a virtual clock, so nothing of the machine is in the figures: its target takes
exponential service times (1,000 a second) under Poisson arrivals: M/M/1, whose response time is
exponential with rate mu - lambda (L. Kleinrock, "Queueing Systems", volume 1, 1975), so the
percentile p is -ln(1 - p) / (mu - lambda). In closed loop, service times are lognormal and follow
an AR(1) process of 0.99, so neighbours within some hundred requests resemble each other; their
percentile is that of the lognormal distribution. Counted is how often an interval holds the truth,
of the runs that state one; the others say that they cannot tell. --rounds is the number of
simulated runs.

    python bench/confidence.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import math
from statistics import NormalDist, median

import numpy as np
from compare import Report, Say, command

from qs.engine import Poisson, Pool, RunPlan, RunResult, Stop, run
from qs.engine.conduct.stopping import Seen, StopRules
from qs.engine.record.histogram import indices_of
from qs.engine.record.intervals import Interval
from qs.engine.statistics import Confidence
from qs.engine.statistics.confidence import Evidence

SERVED_PER_S = 1_000.0
LOADS = (0.5, 0.8, 0.9)
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
SIGMA, MEMORY, UNTIL, TICK_S = 0.5, 0.99, 0.2, 0.2


class Clock:
    """Time passes only by sleeping, and in the target."""

    def __init__(self) -> None:
        self.time_ns = 1_000_000_000

    def now_ns(self) -> int:
        return self.time_ns

    def sleep_ns(self, duration_ns: int) -> None:
        self.time_ns += int(duration_ns)


def simulated(plan: RunPlan, services_ns: list[int]) -> RunResult:
    """A run in which the requests take these times, over and over."""
    clock, taken = Clock(), iter(range(1 << 62))

    def target(sample: object) -> None:
        clock.time_ns += services_ns[next(taken) % len(services_ns)]

    return run(plan, target, clock=clock)


def queue(load: float, duration_s: float, seed: int) -> RunResult:
    rate = load * SERVED_PER_S
    random = np.random.default_rng((seed, 1))
    services = random.exponential(1e9 / SERVED_PER_S, int(1.2 * rate * duration_s) + 1_000)
    plan = RunPlan(
        load=Poisson(rate, seed=seed),
        stop=Stop(duration_s=duration_s),
        pool=Pool("inline"),
        calibrate=False,
        drain_s=1e5,
    )
    return simulated(plan, services.astype(np.int64).tolist())


def correlated(count: int, random: np.random.Generator) -> np.ndarray:
    """Lognormal service times in s, on average 1 / SERVED_PER_S, that follow each other slowly."""
    noise = random.standard_normal(count) * math.sqrt(1 - MEMORY**2)
    state, found = float(random.standard_normal()), np.empty(count)
    for at, each in enumerate(noise.tolist()):
        state = MEMORY * state + each
        found[at] = state
    return np.exp(SIGMA * found - SIGMA**2 / 2) / SERVED_PER_S


def ended_stable(longest_s: float, seed: int) -> tuple[float, Confidence] | None:
    """When a closed loop of one client is stable, and what it then knows; None if it never is. The
    engine's rules and evidence are told what a run would have shown them, tick by tick.
    """
    took = correlated(int(1.2 * longest_s * SERVED_PER_S), np.random.default_rng((seed, 2)))
    end = np.cumsum(took)
    key, counts = np.unique(
        (end / TICK_S).astype(np.int64) << 20 | indices_of((took * 1e9).astype(np.int64)),
        return_counts=True,
    )
    edges = np.searchsorted(key >> 20, np.arange(int(longest_s / TICK_S) + 1))
    evidence = Evidence(TICK_S, (99.0,))
    rules = StopRules(Stop(until_stable=UNTIL, max_duration_s=longest_s))
    done = 0
    for tick, (first, last) in enumerate(zip(edges, edges[1:])):
        index, found = key[first:last] & ((1 << 20) - 1), counts[first:last]
        evidence.add([(0, Interval.compact(tick, index, found, 0))])
        done += int(found.sum())
        now_s = (tick + 1) * TICK_S
        seen = Seen(now_s, now_s, done, 0)
        rules.ended_by(seen, lambda: evidence.confidence(evidence.complete_s(1)))
        if rules.reached is not None:
            return now_s, rules.reached
    return None


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    duration_s, longest_s = (5.0, 10.0) if options.quick else (60.0, 300.0)
    for load in LOADS[1:2] if options.quick else LOADS:
        found = []
        for seed in range(options.rounds):
            if seed % 20 == 0:
                say(f"{load:.0%} load: run {seed + 1} of {options.rounds}")
            found.append(queue(load, duration_s, seed).confidence)
        truths = {p: -math.log(1 - p / 100) / (1 - load) / SERVED_PER_S * 1e9 for p in PERCENTILES}
        for percentile, truth in truths.items():
            told = [each.response[percentile] for each in found]
            _covered(report, f"M/M/1 at {load:.0%} load, p{percentile:g}", told, truth)
        told = [each.throughput for each in found]
        _covered(report, f"M/M/1 at {load:.0%} load, throughput", told, load * SERVED_PER_S)
    reached = []
    for seed in range(options.rounds):
        if seed % 20 == 0:
            say(f"until stable: run {seed + 1} of {options.rounds}")
        reached.append(ended_stable(longest_s, seed))
    ended = [each for each in reached if each is not None]
    name = f"AR({MEMORY:g}), until_stable={UNTIL:g}"
    report.figure(f"{name}: ended as stable", "%", _share(len(ended), len(reached)))
    report.figure(f"{name}: duration", "s", [at_s for at_s, _ in ended] or None)
    truth = math.exp(SIGMA * NormalDist().inv_cdf(0.99) - SIGMA**2 / 2) / SERVED_PER_S * 1e9
    told = [found.response[99.0] for _, found in ended]
    _covered(report, f"{name}, p99", told, truth)
    near = [100.0 * (abs(each.value / truth - 1) <= UNTIL) for each in told]
    report.goal(f"{name}: p99 as near as asked for", ">=", 90, _mean(near), "% of runs")
    _covered(report, f"{name}, throughput", [found.throughput for _, found in ended], SERVED_PER_S)
    report.note(
        f"compared with closed forms; {duration_s:g} s a run, {options.rounds} runs each; "
        "n/a: no run stated an interval, since all were too short for their autocorrelation"
    )


def _covered(report: Report, name: str, told: list, truth: float) -> None:
    stated = [each for each in told if each.half_width is not None]
    held = [100.0 * (abs(each.value - truth) <= each.half_width) for each in stated]
    report.figure(f"{name}: runs that state an interval", "%", _share(len(stated), len(told)))
    if stated:
        width = 100 * median(each.half_width / each.value for each in stated)
        report.figure(f"{name}: half-width", "% of the value", [width])
    report.goal(f"{name}: 95 % interval holds the truth", ">=", 90, _mean(held), "% of runs")


def _share(part: int, of: int) -> list[float] | None:
    return [100.0 * part / of] if of else None


def _mean(values: list[float]) -> list[float] | None:
    return [sum(values) / len(values)] if values else None


if __name__ == "__main__":
    command("confidence", __doc__, measure, rounds=200)

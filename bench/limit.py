"""Does the confidence of a limit hold? Searches for the highest rate within p99=50ms, against a
closed form.

Each trial is the engine's run on a virtual clock, so nothing of the machine is in the figures. The
target takes exponential service times (200 a second) one after the other: M/M/1, whose response
time is exponential with rate mu - lambda (L. Kleinrock, "Queueing Systems", volume 1, 1975), so p99
is 50 ms at lambda = mu - ln(100) / 50 ms = 107.9/s. Counted is how often a search ends above that,
by what it says: at 95 % one in twenty may, and where it says less, the stated share. --rounds is
the number of searches for each budget.

    python bench/limit.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Awaitable, Callable

import numpy as np
from compare import Report, Say, command
from confidence import Clock

from qs.engine import Poisson, Pool, RunPlan, Stop, run_async
from qs.limit import Limit, LimitSettings, Trial, TrialPlan, find_limit, parse_goals

SERVED_PER_S, BOUND_S = 200.0, 0.05
TRUE_PER_S = SERVED_PER_S - math.log(100) / BOUND_S
BUDGETS_S = (120.0, 600.0)
# By what a search says, in steps.
STEPS = (0.95, 0.9, 0.8, 0.5)


def trials(seed: int) -> Callable[[TrialPlan], Awaitable[Trial]]:
    async def trial(plan: TrialPlan) -> Trial:
        clock, random = Clock(), np.random.default_rng((seed, plan.seed))
        count = int(2 * plan.rate_per_s * plan.duration_s) + 1_000
        services = iter(random.exponential(1e9 / SERVED_PER_S, count).astype(np.int64).tolist())

        def target(sample: object) -> None:
            clock.time_ns += next(services)

        run_plan = RunPlan(
            load=Poisson(plan.rate_per_s, plan.seed),
            stop=Stop(duration_s=plan.duration_s),
            pool=Pool("inline"),
            drain_s=plan.drain_s,
            interval_s=plan.interval_s,
            calibrate=False,
        )
        return Trial.of(plan, await run_async(run_plan, target, clock=clock))

    return trial


def search(budget_s: float, seed: int) -> Limit:
    settings = LimitSettings(hint_per_s=SERVED_PER_S, budget_s=budget_s, seed=seed, curve=False)
    return asyncio.run(find_limit(parse_goals(["p99=50ms"]), trials(seed), settings))


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    for budget_s in (20.0,) if options.quick else BUDGETS_S:
        found = []
        for seed in range(options.rounds):
            if seed % 10 == 0:
                say(f"{budget_s:g} s: search {seed + 1} of {options.rounds}")
            found.append(search(budget_s, seed))
        _judge(report, f"{budget_s:g} s", found)
    report.note(f"compared with the closed form, {TRUE_PER_S:.1f}/s; one server, p99=50ms")


def _judge(report: Report, name: str, found: list[Limit]) -> None:
    rates = [each for each in found if each.rate_per_s is not None]
    confirmed = [each for each in rates if each.confirmed]
    share = [100 * len(confirmed) / len(found)]
    report.figure(f"{name}: searches that confirm a rate", "%", share)
    part = [100 * each.rate_per_s / TRUE_PER_S for each in confirmed] or None
    report.figure(f"{name}: confirmed rate", "% of the true limit", part)
    for high, step in zip((1.0, *STEPS), STEPS):
        said = [each for each in rates if step - 1e-9 <= (each.confidence or 0) < high - 1e-9]
        above = [100.0 * (each.rate_per_s > TRUE_PER_S) for each in said]
        allowed = 100 * (1 - sum(each.confidence or 0 for each in said) / len(said)) if said else 0
        at = f"{step:.0%}" if step == STEPS[0] else f"{step:.0%} to {high:.0%}"
        value = [sum(above) / len(above)] if above else None
        report.goal(f"{name}: above the true limit, stated {at}", "<=", allowed, value, "%")
        report.figure(f"{name}: searches that state {at}", "%", [100 * len(said) / len(found)])
    below = sum(each.confirmed and (each.confidence or 0) < 0.95 for each in found)
    report.goal(f"{name}: confirmed below the stated confidence", "<=", 0, [float(below)])


if __name__ == "__main__":
    command("limit", __doc__, measure, rounds=200)

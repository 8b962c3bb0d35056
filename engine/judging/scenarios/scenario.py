"""What MLPerf calls a scenario: a way to issue queries, and the rules that decide whether the
result counts.

The rules are those of MLCommons' "MLPerf Inference Rules", section "Scenarios" and appendix "Early
Stopping Criterion", as LoadGen applies them: minimum duration, minimum number of queries, early
stopping, and for Server the bound. The defaults are the rules' own: 600 s, p90 for SingleStream,
p99 for MultiStream (8 samples a query) and Server, 24,576 samples for Offline.

Left out: LoadGen's accuracy mode (an evaluation, not a load), its find-peak mode (a search over
runs, not a run), token latencies, and drawing samples at random: here samples are cycled in order.
"""

from __future__ import annotations

from typing import Any, Protocol

from qs.engine.checks import Check, count, rate, seconds
from qs.engine.judge import Judge
from qs.engine.judging.rules import at_least
from qs.engine.outcome import Cause, Ending
from qs.engine.plan import RunPlan
from qs.engine.result import RunResult
from qs.engine.ruling import Rule


class Scenario(Judge, Protocol):
    """`qs.engine.run(scenario, target, samples)` runs `plan()`; run `plan(pool=...,
    warmup_iterations=...)` to set more.

    A plan remembers the scenario that made it, so its result is judged whichever way it is run.
    """

    def faults(self) -> list[str]:
        """Every reason why the parameters cannot be used."""
        ...

    def plan(self, **fields: Any) -> RunPlan:
        """The load and the stop rule, with further fields of a RunPlan. Raises PlanError with all
        faults.
        """
        ...


def minimum_duration(needed_s: float, result: RunResult, advice: str) -> Rule:
    return at_least(
        Cause.MINIMUM_DURATION, "minimum duration", needed_s, result.wall_s, "s", advice
    )


def minimum_queries(needed: int, result: RunResult) -> Rule:
    advice = (
        "raise max_duration_s, or leave it out"
        if result.ended_by == Ending.TIME_LIMIT
        else "let the run go on to its end"
    )
    code, completed = Cause.MINIMUM_QUERIES, result.completed
    return at_least(code, "minimum queries", needed, completed, "queries", advice)


def above_0(values: object, *names: str, optional: bool = False) -> list[Check]:
    """Checks that these attributes are above 0: times (`..._s`), rates (`..._per_s`) and counts.
    An `optional` one may be None.
    """
    found = []
    for name in names:
        value = getattr(values, name)
        if value is None and optional:
            continue
        if name.endswith("_per_s"):
            found.append(rate(name, value))
        elif name.endswith("_s"):
            found.append(seconds(name, value, above_0=True))
        else:
            found.append(count(name, value))
    return found

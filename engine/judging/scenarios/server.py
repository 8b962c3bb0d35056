"""MLPerf's Server: queries of one sample arrive as a Poisson process; the result is valid if p99 of
the response time is within a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qs.engine.checks import faults_of, percentile, seed
from qs.engine.errors import PlanError
from qs.engine.judging.rules import at_least, at_most
from qs.engine.judging.scenarios.early_stopping import count_over, queries_needed
from qs.engine.judging.scenarios.scenario import above_0, minimum_duration, minimum_queries
from qs.engine.load import Poisson
from qs.engine.outcome import Cause
from qs.engine.plan import RunPlan, Stop
from qs.engine.result import RunResult
from qs.engine.ruling import Metric, Rule
from qs.engine.words import number

# So many due times are drawn in a second or less. A longer schedule ends at a time instead.
MOST_DRAWN = 10_000_000


@dataclass(frozen=True)
class Server:
    """`rate_per_s` queries per second; the `percentile` of their response time must be at most
    `bound_s`.
    """

    name: ClassVar[str] = "Server"

    rate_per_s: float
    # None: any response time will do, only the minimums decide
    bound_s: float | None = None
    percentile: float = 99.0
    min_duration_s: float = 600.0
    # None: as many as early stopping needs if none is over the bound, 459 for p99
    min_queries: int | None = None
    max_duration_s: float | None = None
    # of the arrivals; None draws one, which the result names
    seed: int | None = 0

    def faults(self) -> list[str]:
        return faults_of(
            percentile("percentile", self.percentile),
            *above_0(self, "rate_per_s", "min_duration_s"),
            *above_0(self, "bound_s", "min_queries", "max_duration_s", optional=True),
            seed("seed", self.seed),
        )

    def plan(self, **fields: Any) -> RunPlan:
        if self.faults():
            raise PlanError(self.faults())
        load = Poisson(self.rate_per_s, self.seed).seeded()
        longest_s = self._longest_s()
        if longest_s * self.rate_per_s > MOST_DRAWN:
            stop = Stop(duration_s=longest_s, max_duration_s=self.max_duration_s)
            return RunPlan(load=load, stop=stop, scenario=self, **fields)
        count, last_ns = self._schedule(load)
        # As LoadGen does, the schedule ends with the first query due after both minimums: known
        # beforehand, so no query that is due is left out, however far the target is behind. One
        # microsecond covers the rounding to seconds.
        stop = Stop(
            iterations=count, duration_s=(last_ns + 1_000) / 1e9, max_duration_s=self.max_duration_s
        )
        return RunPlan(load=load, stop=stop, scenario=self, **fields)

    def _longest_s(self) -> float:
        """A time by which both minimums are reached: the number of arrivals until then is Poisson,
        and eight standard deviations below its mean (1e-15) it is still as many as are needed.
        """
        least = self.least_queries()
        needed = max(self.rate_per_s * self.min_duration_s, least + 8 * math.sqrt(least))
        return (needed + 50) / self.rate_per_s

    def _schedule(self, load: Poisson) -> tuple[int, int]:
        """How many queries until both minimums are reached, and when the last of them is due."""
        before, least, until_ns = 0, self.least_queries(), int(self.min_duration_s * 1e9)
        for block in load.blocks():
            inside = max(int(np.searchsorted(block, until_ns, "left")) + 1, least - before)
            if inside <= block.size:
                return before + inside, int(block[inside - 1])
            before += block.size
        raise AssertionError("a Poisson process has no end")

    def least_queries(self) -> int:
        return queries_needed(0, self.percentile) if self.min_queries is None else self.min_queries

    def rules(self, result: RunResult) -> list[Rule]:
        """Failed requests count as over the bound."""
        minimums = [
            minimum_duration(self.min_duration_s, result, "raise max_duration_s, or leave it out"),
            minimum_queries(self.least_queries(), result),
        ]
        return (
            minimums if self.bound_s is None else minimums + self._bound_rules(self.bound_s, result)
        )

    def _bound_rules(self, bound_s: float, result: RunResult) -> list[Rule]:
        name, response = f"p{self.percentile:g}", result.response
        queries = result.completed + result.errors
        over = count_over(response, round(bound_s * 1e9)) + result.errors
        needed = queries_needed(over, self.percentile)
        return [
            at_most(
                Cause.BOUND,
                f"{name} of the response time",
                bound_s * 1e9,
                response.percentile_ns(self.percentile) if response.count else None,
                "ns",
                f"lower rate_per_s below {number(self.rate_per_s)}, or raise bound_s",
            ),
            at_least(
                Cause.EARLY_STOPPING,
                f"early stopping of {name} with {over} over the bound",
                needed,
                queries,
                "queries",
                self._advice(over, queries, needed),
            ),
        ]

    def _advice(self, over: int, queries: int, needed: int) -> str:
        if over >= queries * (1.0 - self.percentile / 100.0):
            return f"lower rate_per_s below {number(self.rate_per_s)}: more queries will not help"
        return (
            f"run at least {needed - queries} queries more (set min_queries={needed}), "
            "all within the bound, or lower rate_per_s"
        )

    def metric(self, result: RunResult) -> Metric:
        return Metric(
            f"completed queries/s of a Poisson load of {number(self.rate_per_s)}/s",
            result.queries_per_s,
            "queries/s",
        )

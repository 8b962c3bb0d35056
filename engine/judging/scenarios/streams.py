"""MLPerf's SingleStream and MultiStream: the next query when the last is answered, judged by an
estimate of a high percentile of the query's response time.

SingleStream sends one sample per query and is compared by p90. MultiStream calls the target with a
list of `samples_per_query` consecutive samples and is compared by p99; all its times are a query's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from qs.engine.checks import faults_of, percentile
from qs.engine.errors import PlanError
from qs.engine.judging.rules import at_least
from qs.engine.judging.scenarios.early_stopping import estimate_ns, queries_needed
from qs.engine.judging.scenarios.scenario import above_0, minimum_duration, minimum_queries
from qs.engine.load import ClosedLoop
from qs.engine.outcome import Cause
from qs.engine.plan import RunPlan, Stop
from qs.engine.result import RunResult
from qs.engine.ruling import Metric, Rule


@dataclass(frozen=True)
class SingleStream:
    """One sample per query."""

    name: ClassVar[str] = "SingleStream"

    percentile: float = 90.0
    min_duration_s: float = 600.0
    # None: as many as early stopping needs, 64 for p90
    min_queries: int | None = None
    # ends the run in any case
    max_duration_s: float | None = None

    def faults(self) -> list[str]:
        return faults_of(
            percentile("percentile", self.percentile),
            *above_0(self, "min_duration_s"),
            *above_0(self, "min_queries", "max_duration_s", optional=True),
        )

    def plan(self, **fields: Any) -> RunPlan:
        if self.faults():
            raise PlanError(self.faults())
        stop = Stop(
            min_duration_s=self.min_duration_s,
            min_queries=_least_queries(self.min_queries, self.percentile),
            max_duration_s=self.max_duration_s,
        )
        return RunPlan(load=ClosedLoop(clients=1), stop=stop, scenario=self, **fields)

    def rules(self, result: RunResult) -> list[Rule]:
        return _stream_rules(result, self.percentile, self.min_duration_s, self.min_queries)

    def metric(self, result: RunResult) -> Metric:
        return _stream_metric(result, self.percentile)


@dataclass(frozen=True)
class MultiStream:
    """`samples_per_query` samples per query."""

    name: ClassVar[str] = "MultiStream"

    samples_per_query: int = 8
    percentile: float = 99.0
    min_duration_s: float = 600.0
    # None: as many as early stopping needs, 662 for p99
    min_queries: int | None = None
    # ends the run in any case
    max_duration_s: float | None = None

    def faults(self) -> list[str]:
        return faults_of(
            percentile("percentile", self.percentile),
            *above_0(self, "samples_per_query", "min_duration_s"),
            *above_0(self, "min_queries", "max_duration_s", optional=True),
        )

    def plan(self, **fields: Any) -> RunPlan:
        if self.faults():
            raise PlanError(self.faults())
        stop = Stop(
            min_duration_s=self.min_duration_s,
            min_queries=_least_queries(self.min_queries, self.percentile),
            max_duration_s=self.max_duration_s,
        )
        return RunPlan(
            load=ClosedLoop(clients=1),
            stop=stop,
            scenario=self,
            samples_per_query=self.samples_per_query,
            **fields,
        )

    def rules(self, result: RunResult) -> list[Rule]:
        return _stream_rules(result, self.percentile, self.min_duration_s, self.min_queries)

    def metric(self, result: RunResult) -> Metric:
        return _stream_metric(result, self.percentile)


def _least_queries(min_queries: int | None, percentile: float) -> int:
    """The number asked for, or else the least that early stopping needs for an estimate (one query
    may be over: the rules' step 3).
    """
    return queries_needed(1, percentile) if min_queries is None else min_queries


def _stream_rules(
    result: RunResult, percentile: float, min_duration_s: float, min_queries: int | None
) -> list[Rule]:
    early = queries_needed(1, percentile)
    return [
        minimum_duration(min_duration_s, result, "raise max_duration_s, or leave it out"),
        minimum_queries(_least_queries(min_queries, percentile), result),
        at_least(
            Cause.EARLY_STOPPING,
            f"early stopping of p{percentile:g}",
            early,
            result.completed,
            "queries",
            f"run at least {early} queries: set min_queries={early}",
        ),
    ]


def _stream_metric(result: RunResult, percentile: float) -> Metric:
    return Metric(
        f"early-stopping estimate of the p{percentile:g} response time",
        estimate_ns(result.response, percentile, result.errors),
        "ns",
    )

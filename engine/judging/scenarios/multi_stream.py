"""MLPerf's MultiStream: N samples a query, the next query when the last is answered; compared by
p99 of the queries.

The target is called with a list of `samples_per_query` samples, consecutive ones of those given.
All the result's times are a query's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from qs.engine.errors import PlanError
from qs.engine.judging.scenarios.scenario import percentile_faults, positive
from qs.engine.judging.scenarios.streams import least_queries, stream_metric, stream_rules
from qs.engine.load import ClosedLoop
from qs.engine.plan import RunPlan, Stop
from qs.engine.result import Metric, Rule, RunResult


@dataclass(frozen=True)
class MultiStream:
    """`min_queries` None: as many as early stopping needs, 662 for p99. `max_duration_s` ends the
    run in any case.
    """

    name: ClassVar[str] = "MultiStream"

    samples_per_query: int = 8
    percentile: float = 99.0
    min_duration_s: float = 600.0
    min_queries: int | None = None
    max_duration_s: float | None = None

    def faults(self) -> list[str]:
        return percentile_faults(self.percentile) + positive(
            samples_per_query=self.samples_per_query,
            min_duration_s=self.min_duration_s,
            min_queries=self.min_queries,
            max_duration_s=self.max_duration_s,
        )

    def plan(self, **fields: Any) -> RunPlan:
        if self.faults():
            raise PlanError(self.faults())
        stop = Stop(
            min_duration_s=self.min_duration_s,
            min_queries=least_queries(self.min_queries, self.percentile),
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
        return stream_rules(result, self.percentile, self.min_duration_s, self.min_queries)

    def metric(self, result: RunResult) -> Metric:
        return stream_metric(result, self.percentile)

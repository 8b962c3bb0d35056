"""MLPerf's Offline: every sample is due at the start; compared by samples/s.

LoadGen hands all samples over in one query, and the target batches them as it likes. Here the
workers take them one after the other, or `samples_per_query` at a time in a list: the batch belongs
to the plan and shows in the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from qs.engine.checks import faults_of
from qs.engine.errors import PlanError
from qs.engine.judging.rules import at_least
from qs.engine.judging.scenarios.scenario import above_0, minimum_duration
from qs.engine.load.all_at_once import AllAtOnce
from qs.engine.outcome import Cause
from qs.engine.plan import RunPlan, Stop
from qs.engine.result import RunResult
from qs.engine.ruling import Metric, Rule

# LoadGen issues a tenth more than it expects to need for the minimum duration (kSlack in
# test_settings_internal.cc).
SLACK = 1.1


@dataclass(frozen=True)
class Offline:
    """At least `min_samples`, and if `expected_samples_per_s` is given, enough for
    `min_duration_s` at that rate.
    """

    name: ClassVar[str] = "Offline"
    percentile: ClassVar[None] = None  # judged by its rate alone

    expected_samples_per_s: float | None = None
    min_samples: int = 24_576
    min_duration_s: float = 600.0
    max_duration_s: float | None = None
    # call the target with a list of this many samples; None: with one sample
    samples_per_query: int | None = None
    # how long after `max_duration_s` samples may still be taken and answered before the rest counts
    # as not issued
    drain_s: float = 5.0

    def faults(self) -> list[str]:
        optional = "expected_samples_per_s", "max_duration_s", "samples_per_query"
        return faults_of(
            *above_0(self, "min_samples", "min_duration_s", "drain_s"),
            *above_0(self, *optional, optional=True),
        )

    @property
    def queries(self) -> int:
        """How many calls of the target the scenario makes."""
        expected = SLACK * self.min_duration_s * (self.expected_samples_per_s or 0.0)
        return math.ceil(max(self.min_samples, expected) / (self.samples_per_query or 1))

    def plan(self, **fields: Any) -> RunPlan:
        if self.faults():
            raise PlanError(self.faults())
        fields = {"drain_s": self.drain_s, **fields}
        return RunPlan(
            load=AllAtOnce(self.queries),
            stop=Stop(max_duration_s=self.max_duration_s),
            scenario=self,
            samples_per_query=self.samples_per_query,
            **fields,
        )

    def rules(self, result: RunResult) -> list[Rule]:
        enough = (
            f"set expected_samples_per_s to at least {math.ceil(result.samples_per_s)}, "
            "so that more samples are made"
        )
        samples = result.completed * result.samples_per_query
        return [
            minimum_duration(
                self.min_duration_s, result, "raise max_duration_s" if result.not_issued else enough
            ),
            at_least(
                Cause.MINIMUM_SAMPLES,
                "minimum samples",
                self.min_samples,
                samples,
                "samples",
                "raise max_duration_s, or leave it out",
            ),
        ]

    def metric(self, result: RunResult) -> Metric:
        return Metric("samples/s", result.samples_per_s, "samples/s")

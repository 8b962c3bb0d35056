"""What a run measured: counts, histograms, a row per interval, and a verdict with its reasons.
Plain values, no behaviour but output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qs.engine.judging.rules import Metric, Rule
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import IntervalRow

if TYPE_CHECKING:
    from qs.engine.conduct.calibrate import EngineCost
    from qs.engine.judging.caveats import Caveat
    from qs.engine.machine.watch import CpuUse
    from qs.engine.statistics.confidence import Confidence

REPORTED = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)


@dataclass(frozen=True)
class WarmUpResult:
    """The warm-up, which is in no other figure. `mean_ns` is the mean service time, `wall_s` the
    longest worker's.
    """

    completed: int = 0
    errors: int = 0
    wall_s: float = 0.0
    mean_ns: float = 0.0


@dataclass
class RunResult:
    """The outcome of a run.

    completed        requests answered without a fault within the time-out; only these are in the
                     histograms
    errors           all others that were issued or due, by kind in errors_by_kind (a raised
                     exception's class name; "timeout": came back too late; "hung": never came back;
                     "died": lost with its process; "dropped": backlog over its cap; "cut off": not
                     back when the drain limit ended; "not issued": due, but the run was cut short
                     before its turn came)
    wall_s           from the common start to the last completion; queries_per_s = completed /
                     wall_s
    response         completed - due in open loop; in closed loop, which has no due times, the same
                     as service
    service          completed - issued          lateness: issued - due, open loop only
    planned          how many requests the plan asked for, None when time decided
    batches          calls of the target where dynamic batching was on; completed / batches is the
                     mean batch size
    first_ns         service time of the first call of all, warm-up included
    ended_by         "plan", "duration", "time limit", "minimums reached", "stable", "error budget"
                     or "interrupt"
    confidence       intervals of throughput and of percentiles of the response time; when "stable"
                     ended the run, those it then had
    rules            what the scenario, or the stop rule, needed and what was measured
    scenario, metric the scenario that made the plan, and the number that its results are compared
    by
    samples_per_query  samples in a request; samples_per_s = queries_per_s * samples_per_query
    seed             of the due times, also where the plan left it to be drawn; None where nothing
                     was drawn
    engine_cost      what the engine itself costs in this layout; None where it was not measured
    cpu              what the run and the rest of the machine used of the CPUs; None on another
                     clock than the machine's
    pacing           open loop: lateness of requests that found a worker free, so that nothing but
                     the engine delayed them (of many requests a sample); None where that cannot be
                     told
    rates            completions per second over the run, as finely as the workers recorded them: at
                     most about a hundred values
    caveats          what could have moved the result, for programs; `warnings` has them in words,
                     beside the run's own notes
    verdict          "VALID", or "INVALID" for the named reasons
    """

    completed: int
    errors_by_kind: dict[str, int]
    wall_s: float
    response: Histogram
    service: Histogram
    lateness: Histogram
    intervals: list[IntervalRow]
    warmup: WarmUpResult
    planned: int | None
    first_ns: int
    open_loop: bool
    pool: str
    workers: int
    clients: int | None
    started_at: float
    interrupted: bool = False
    ended_by: str = "plan"
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    first_fault: str | None = None
    worker_cpu_s: float = 0.0
    batches: int | None = None
    engine_cost: EngineCost | None = None
    cpu: CpuUse | None = None
    pacing: Histogram | None = field(repr=False, default=None)
    caveats: list[Caveat] = field(default_factory=list)
    rates: list[float] = field(repr=False, default_factory=list)
    columns: dict[str, np.ndarray] | None = field(repr=False, default=None)
    # (worker, first issued, last completed, requests) by slice, ns from the start; empty unless the
    # run kept them (`keep_slices`)
    slices: list[tuple[int, int, int, int]] = field(repr=False, default_factory=list)
    confidence: Confidence | None = None
    rules: list[Rule] = field(default_factory=list)
    scenario: str | None = None
    metric: Metric | None = None
    samples_per_query: int = 1
    seed: int | None = None

    @property
    def warning_codes(self) -> list[str]:
        """The caveats by their codes."""
        return [caveat.code for caveat in self.caveats]

    @property
    def errors(self) -> int:
        return sum(self.errors_by_kind.values())

    @property
    def queries_per_s(self) -> float:
        return self.completed / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def samples_per_s(self) -> float:
        return self.queries_per_s * self.samples_per_query

    @property
    def dropped(self) -> int:
        """Due requests that were not issued because too many others waited (`max_backlog`)."""
        return self.errors_by_kind.get("dropped", 0)

    @property
    def not_issued(self) -> int:
        """Requests that were due and had not had their turn when the run was cut short."""
        return self.errors_by_kind.get("not issued", 0)

    @property
    def verdict(self) -> str:
        return "INVALID" if self.reasons else "VALID"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: everything but the histograms' counts and the raw columns."""
        return {
            "verdict": self.verdict,
            "reasons": self.reasons,
            "warnings": self.warnings,
            "warning_codes": self.warning_codes,
            "completed": self.completed,
            "planned": self.planned,
            "errors": self.errors,
            "errors_by_kind": self.errors_by_kind,
            "first_fault": self.first_fault,
            "wall_s": self.wall_s,
            "queries_per_s": self.queries_per_s,
            "samples_per_query": self.samples_per_query,
            "samples_per_s": self.samples_per_s,
            "confidence": None if self.confidence is None else self.confidence.to_dict(),
            "scenario": self.scenario,
            "metric": None if self.metric is None else self.metric.to_dict(),
            "rules": [rule.to_dict() for rule in self.rules],
            "dropped": self.dropped,
            "not_issued": self.not_issued,
            "seed": self.seed,
            "response": summary(self.response),
            "service": summary(self.service),
            "lateness": summary(self.lateness) if self.open_loop else None,
            "pacing": None if self.pacing is None else summary(self.pacing),
            "engine_cost": None if self.engine_cost is None else vars(self.engine_cost).copy(),
            "cpu": None if self.cpu is None else self.cpu.to_dict(),
            "first_ns": self.first_ns,
            "batches": self.batches,
            "warmup": vars(self.warmup).copy(),
            "open_loop": self.open_loop,
            "pool": self.pool,
            "workers": self.workers,
            "clients": self.clients,
            "started_at": self.started_at,
            "interrupted": self.interrupted,
            "ended_by": self.ended_by,
            "intervals": [
                {
                    name: getattr(row, name)
                    for name in ("start_s", "completed", "errors", "p50_ns", "p99_ns", "in_flight")
                }
                for row in self.intervals
            ],
        }

    def write_columns(self, path: str | Path) -> None:
        """Write the raw columns to a .npz or .parquet file; ValueError when the run kept none
        (`keep_columns`).
        """
        from qs.engine.record.columns import write_columns

        if self.columns is None:
            raise ValueError("this run kept no columns; run it with keep_columns=True")
        write_columns(self.columns, Path(path))

    def write_hlog(self, path: str | Path) -> None:
        """Write the response times, interval by interval, as an HdrHistogram log that any
        HdrHistogram tool reads (unit: ns).
        """
        from qs.engine.record.hlog import write_hlog

        write_hlog(Path(path), self.intervals, self.started_at)


def summary(histogram: Histogram) -> dict[str, Any]:
    """Count, minimum, mean, maximum and percentiles in ns; a percentile the count does not support
    is None.
    """
    return {
        "count": histogram.count,
        "min_ns": histogram.min_ns,
        "mean_ns": histogram.mean_ns,
        "max_ns": histogram.max_ns,
        **{f"p{percentile:g}_ns": histogram.reported_ns(percentile) for percentile in REPORTED},
        "out_of_range": histogram.out_of_range,
    }

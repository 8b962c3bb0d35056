"""What a run measured: counts, histograms, a row per interval, and a verdict with its reasons.
Plain values; the only behaviour is output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.engine.files import NS_PER_MS, write_columns, write_hlog
from qs.engine.machine.watch import CpuUse
from qs.engine.measures.measure import Measure
from qs.engine.outcome import Ending, ErrorKind, Loss
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import IntervalRow
from qs.engine.ruling import Caveat, Metric, Reason, Rule
from qs.engine.statistics.confidence import Evidence
from qs.engine.statistics.estimate import Confidence, Estimate


@dataclass(frozen=True)
class EngineCost:
    """What the engine itself costs in a layout, measured with a target that does nothing."""

    ns_per_request: float  # CPU time of a worker
    service_ns: int  # median service time: this much of every service time is the engine's
    requests: int  # how many requests it was measured on


@dataclass(frozen=True)
class WarmUpResult:
    """The warm-up, which is in no other figure. `mean_ns` is the mean service time, `wall_s` the
    longest worker's; `timed_out` are those of the errors that took longer than `timeout_s`.
    """

    completed: int = 0
    errors: int = 0
    wall_s: float = 0.0
    mean_ns: float = 0.0
    timed_out: int = 0


@dataclass
class Measured:
    """One of the plan's measures, over all requests that were completed. Values are as recorded:
    `measure.scale` of them are one of `measure.unit`.
    """

    measure: Measure
    histogram: Histogram
    # as the result's own, but for their counts: here of this measure
    intervals: list[IntervalRow] = field(repr=False, default_factory=list)
    # 95 % intervals by percentile, in the same unit, and what they were computed from
    confidence: dict[float, Estimate] = field(default_factory=dict)
    evidence: Evidence | None = field(repr=False, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: everything but the counts."""
        return {
            "unit": self.measure.unit,
            "scale": self.measure.scale,
            "summary": self.histogram.summary(),
            "confidence": {
                f"p{percentile:g}": estimate.to_dict()
                for percentile, estimate in self.confidence.items()
            },
        }


@dataclass(frozen=True)
class ClockReading:
    """How a node's clock stands to the driver's, from round trips: its time is the driver's plus
    `offset_ns`, give or take `uncertainty_ns`, at the common start.
    """

    offset_ns: int
    uncertainty_ns: int  # at most this much wrong, at any time of the run
    drift_ppm: float  # how much faster it runs, in millionths
    round_trips: int
    least_round_trip_ns: int


@dataclass
class NodePart:
    """What one node did of a run over several."""

    name: str  # of its host; with a number behind it where several have the same
    address: str
    # which part of the plan it had, in words: "clients 1 to 4 of 8", "part 2 of 3"
    share: str
    # what it measured by itself, judged by its own share; until its last checkpoint where it was
    # lost; None: nothing was measured
    result: RunResult | None = None
    clock: ClockReading | None = None  # None: it was lost before its clock was read
    # how long after the common start its workers were let go, on the driver's clock; known to
    # within clock.uncertainty_ns; None: it never started
    start_skew_ns: int | None = None
    lost: str = ""  # why it was lost; "": it lived to the end
    lost_at_s: float | None = None  # when that was seen, from the common start
    kept_until_s: float | None = None  # what it had measured until then is kept
    replaces: str = ""  # the name of the node whose share it took over
    # what it told of itself and of the environment that it ran in: see distributed/talking/facts.py
    facts: dict[str, Any] = field(default_factory=dict)
    log: str = ""  # the end of what its processes printed


@dataclass
class RunResult:
    """The outcome of a run."""

    # requests answered without a fault within the time-out; only these are in the histograms
    completed: int
    # all others that were issued or due, by ErrorKind, or by the class name of what the target
    # raised
    errors_by_kind: dict[str, int]
    # from the common start to the last answer of any kind, and at least to the end of the load
    wall_s: float
    # completed - due in open loop; equal to `service` in closed loop, which has no due times
    response: Histogram
    # completed - issued
    service: Histogram
    # issued - due, open loop only
    lateness: Histogram
    intervals: list[IntervalRow]
    warmup: WarmUpResult
    # how many requests the plan asked for; None: time decided
    planned: int | None
    # service time of the very first call, warm-up included
    first_ns: int
    open_loop: bool
    pool: str
    workers: int
    clients: int | None
    started_at: float
    # the common start on the run's clock
    start_ns: int = 0
    interrupted: bool = False
    ended_by: Ending = Ending.PLAN
    # why the result is INVALID
    causes: list[Reason] = field(default_factory=list)
    # the run's own notes, and every caveat in words
    warnings: list[str] = field(default_factory=list)
    first_fault: str | None = None
    # workers and processes that were lost on the way
    losses: list[Loss] = field(default_factory=list)
    worker_cpu_s: float = 0.0
    # calls of the target if dynamic batching was on; completed / batches is the mean batch size
    batches: int | None = None
    # None: not measured
    engine_cost: EngineCost | None = None
    # None: the run had another clock than the machine's
    cpu: CpuUse | None = None
    # open loop: lateness of requests that found a worker free, so that only the engine delayed them
    # (a sample, if there are many); None: unknown
    pacing: Histogram | None = field(repr=False, default=None)
    # by the names of the plan's parts: how long each took (ns), of the completed requests whose
    # calls told it
    parts: dict[str, Histogram] = field(default_factory=dict)
    # what the target counted by itself (`counts`), summed over all processes
    counts: dict[str, int] = field(default_factory=dict)
    # by name: the plan's measures
    measures: dict[str, Measured] = field(default_factory=dict)
    # what became of the requests, in the reader's words
    outcomes: dict[str, int] = field(default_factory=dict)
    # requests that were read and kept all of the plan's bounds, and the 95 % interval of how many a
    # second; None: the plan has none, or one of a measure that was misread
    good: int | None = None
    good_per_s: Estimate | None = None
    # how many of them were completed in each of `intervals`
    good_by_interval: list[int] = field(repr=False, default_factory=list)
    good_evidence: Evidence | None = field(repr=False, default=None)
    # what happened in each HAPPENED_NS from the start, by name
    happened: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    # what the reader counted
    read: dict[str, int] = field(default_factory=dict)
    # completed requests that are in no measure since they were not read; by `Unread`, why, and what
    # the reader raised ("" if nothing)
    unread: int = 0
    unread_why: dict[str, str] = field(default_factory=dict)
    # of kept requests that were written to a file while others were made, and the longest that this
    # took at once
    written_bytes: int = 0
    longest_write_ns: int = 0
    # measures, and other parts of readings, that are missing since the reader told them wrongly,
    # and how
    misread: dict[str, str] = field(default_factory=dict)
    # columns of `sample_requests` of the requests, evenly over the run: as `columns`, with a column
    # for each measure without `many`
    sampled: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    # event loops: how often and for how long at most garbage collection made requests wait
    collections: int = 0
    longest_collection_ns: int = 0
    # what could have moved the result
    caveats: list[Caveat] = field(default_factory=list)
    # completions per second over the run, as finely as the workers recorded them: at most about a
    # hundred values
    rates: list[float] = field(repr=False, default_factory=list)
    columns: dict[str, np.ndarray] | None = field(repr=False, default=None)
    # (worker, first issued, last completed, requests) by slice, ns from the start; empty unless the
    # run kept them (`keep_slices`)
    slices: list[tuple[int, int, int, int]] = field(repr=False, default_factory=list)
    # of throughput and of percentiles of the response time; when Ending.STABLE ended the run, those
    # that it had at that moment
    confidence: Confidence | None = None
    # what that was computed from, and until when: None: not known any more
    evidence: Evidence | None = field(repr=False, default=None)
    evidence_s: float = 0.0
    # what the scenario or the stop rule needed, and what was measured
    rules: list[Rule] = field(default_factory=list)
    # the scenario that made the plan
    scenario: str | None = None
    metric: Metric | None = None
    samples_per_query: int = 1
    # of the due times, also if the plan left it to be drawn; None: nothing was drawn
    seed: int | None = None
    # for how long requests fell due; None: no schedule sets their pace
    offered_s: float | None = None
    # what each node did, where it ran on several; its times are on the driver's clock
    nodes: list[NodePart] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Why the result is INVALID, in words."""
        return [str(cause) for cause in self.causes]

    @property
    def warning_codes(self) -> list[str]:
        """The caveats by their codes."""
        return [str(caveat.code) for caveat in self.caveats]

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
    def offered_per_s(self) -> float | None:
        """Requests that fell due per second, answered or not; None without a schedule that sets
        their pace.
        """
        due = self.completed + self.errors
        return due / self.offered_s if self.offered_s else None

    @property
    def dropped(self) -> int:
        """Due requests that were not issued because too many others waited (`max_backlog`)."""
        return self.errors_by_kind.get(ErrorKind.DROPPED, 0)

    @property
    def not_issued(self) -> int:
        """Requests that were due and had not had their turn when the run was cut short."""
        return self.errors_by_kind.get(ErrorKind.NOT_ISSUED, 0)

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
            "offered_per_s": self.offered_per_s,
            "confidence": None if self.confidence is None else self.confidence.to_dict(),
            "scenario": self.scenario,
            "metric": None if self.metric is None else self.metric.to_dict(),
            "rules": [rule.to_dict() for rule in self.rules],
            "dropped": self.dropped,
            "not_issued": self.not_issued,
            "seed": self.seed,
            "response": self.response.summary(),
            "service": self.service.summary(),
            "lateness": self.lateness.summary() if self.open_loop else None,
            "parts": {name: part.summary() for name, part in self.parts.items()},
            "counts": self.counts,
            "measures": {name: each.to_dict() for name, each in self.measures.items()},
            "outcomes": self.outcomes,
            "good": self.good,
            "good_per_s": None if self.good_per_s is None else self.good_per_s.to_dict(),
            "read": self.read,
            "unread": self.unread,
            "unread_why": self.unread_why,
            "misread": self.misread,
            "written_bytes": self.written_bytes,
            "longest_write_ns": self.longest_write_ns,
            "collections": self.collections,
            "longest_collection_ns": self.longest_collection_ns,
            "pacing": None if self.pacing is None else self.pacing.summary(),
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
            "ended_by": str(self.ended_by),
            "intervals": [
                {
                    name: getattr(row, name)
                    for name in ("start_s", "completed", "errors", "p50_ns", "p99_ns", "in_flight")
                }
                for row in self.intervals
            ],
        }

    def write_columns(self, path: str | Path) -> None:
        """Write the raw columns to a .npz or .parquet file. Raises ValueError if the run kept none
        (`keep_columns`).
        """
        if self.columns is None:
            raise ValueError("this run kept no columns; run it with keep_columns=True")
        write_columns(self.columns, Path(path))

    def write_hlog(self, path: str | Path, measure: str | None = None) -> None:
        """Write the response times (unit: ns), or a measure's values as they were recorded,
        interval by interval, as an HdrHistogram log that any HdrHistogram tool reads. Raises
        ValueError for a measure that the run does not have.
        """
        if measure is None:
            write_hlog(Path(path), self.intervals, self.started_at)
            return
        if measure not in self.measures:
            have = ", ".join(self.measures) or "none"
            raise ValueError(f"this run has no measure {measure!r}; it has {have}")
        found = self.measures[measure]
        unit, scale = found.measure.unit, found.measure.scale
        what = f"{measure} in {unit}" if scale == 1 else f"{measure} in 1/{scale} {unit}"
        ratio = (NS_PER_MS if unit == "ns" else 1.0) * scale
        write_hlog(Path(path), found.intervals, self.started_at, what, ratio)

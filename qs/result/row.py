"""One row of the report's `Performance`: ByteMLPerf's keys, and what one needs to judge them.

Latencies are in ms, unrounded; a percentile that the number of samples does not support is null. In
closed loop a query has no due time, so its response time is its service time and `AVG Latency`
means both. BS x Completed / Wall Time is QPS, in items per second. qs.evaluate fills rows,
everything else reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import model_validator

from qs.base.scenarios import OPEN_LOOP, SCHEDULED
from qs.result.confidence_entry import ConfidenceEntry, EstimateEntry
from qs.result.cost_entry import CpuUseEntry, EngineCostEntry
from qs.result.measure_entry import MeasureEntry
from qs.result.nodes_entry import NodeEntry
from qs.result.part import Count, Number, Part, Word, key
from qs.result.scenario_entry import MetricEntry, RuleEntry, ScenarioEntry
from qs.result.server_entry import ClientEntry, PartTimes, ServerEntry
from qs.result.telemetry_entry import TelemetryEntry
from qs.result.tokens_entry import GoodputEntry, TokensEntry
from qs.result.verdict import TOO_SHORT, DoubtEntry, Tone, Verdict, standing, tone, with_doubts
from qs.result.verification_entry import VerificationEntry

CLOSED_LOOP = "closed loop"
# Doubts by which another run may differ by more than the intervals say.
DISTURBING = frozenset({"other_load", "steal", "throttled", "drift"})


class Outcome(Word):
    """How measuring a case ended."""

    DONE = "done"
    RAISED = "raised"
    EXITED = "exited"
    CRASHED = "crashed"
    TIMED_OUT = "timed out"
    NO_ROOM = "does not fit"


class Mode(Word):
    """Who measured: our engine, the backend itself, or both side by side."""

    QS = "QS"
    VENDOR = "vendor"
    AUDIT = "audit"


class WarmUpEntry(Part):
    """The warm-up's own figures; they are in no other number."""

    completed: Count = key("Completed", None)
    errors: Count = key("Errors", None)
    wall_s: Number = key("Wall Time", None)
    mean_ms: Number = key("AVG Latency", None)


class IntervalEntry(Part):
    """One interval of the measured phase: a second, less in short runs."""

    start_s: Number = key("Start", None)
    completed: Count = key("Completed", None)
    errors: Count = key("Errors", None)
    p50_ms: Number = key("P50 Latency", None)
    p99_ms: Number = key("P99 Latency", None)
    in_flight: Count = key("In Flight", None)


class Times(Part):
    """The summary of a histogram in ns; a percentile that the count does not support is null."""

    count: Count = None
    min_ns: Number = None
    mean_ns: Number = None
    max_ns: Number = None
    p50_ns: Number = None
    p90_ns: Number = None
    p95_ns: Number = None
    p99_ns: Number = None
    p99_9_ns: Number = key("p99.9_ns", None)
    p99_99_ns: Number = key("p99.99_ns", None)
    out_of_range: Count = None


class BatchingEntry(Part):
    """How queries shared calls."""

    max_batch_size: Count = None
    max_delay_us: Number = None
    calls: Count = None
    mean_batch_size: Number = None


class SamplesEntry(Part):
    """What was submitted."""

    name: str | None = None
    items: Count = None
    kind: str | None = None
    why: str | None = None
    seed: Count = None
    distinct_batches: Count = None
    items_per_batch: Count = None
    bytes: Count = None
    shapes: dict[str, list[int]] | None = None
    """What one call was fed, by input."""


class Figures(Part):
    """The numbers by which backends are compared, whoever measured them."""

    batch_size: Count = key("BS", None)
    items_per_s: Number = key("QPS", None)
    mean_ms: Number = key("AVG Latency", None)
    min_ms: Number = key("Min Latency", None)
    p50_ms: Number = key("P50 Latency", None)
    p90_ms: Number = key("P90 Latency", None)
    p95_ms: Number = key("P95 Latency", None)
    p99_ms: Number = key("P99 Latency", None)
    p99_9_ms: Number = key("P99.9 Latency", None)
    max_ms: Number = key("Max Latency", None)


class VendorPart(Figures):
    """The backend's own numbers, beside ours."""

    clients: Count = key("Clients", None)
    iterations: Count = key("Iterations", None)
    completed: Count = key("Completed", None)
    not_measured: str | None = key("Not Measured", None)
    queries_in_flight: Number = key("Queries In Flight", None)
    flags: list[str] = key("Flags", [])
    reasons: list[str] = key("Reasons", [])
    warnings: list[str] = key("Warnings", [])
    vendor_answer: dict[str, Any] | None = key("Vendor Answer", None)


class Row(Figures):
    """One measured case. Latencies are in ms, QPS counts items; null: not measured, or too few
    samples to tell.
    """

    batch_size: Count = key("BS")
    items_per_s: Number = key("QPS")
    mean_ms: Number = key("AVG Latency")
    p99_ms: Number = key("P99 Latency")
    requested_batch_size: Count = key("Requested BS", None)
    mode: Mode = key("Mode")
    scenario: str | None = key("Scenario", None)
    clients: Count = key("Clients", None)
    iterations: Count = key("Iterations", None)
    duration_s: Number = key("Duration", None)
    time_limit_s: Number = key("Time Limit", None)
    planned: Count = key("Planned", None)
    completed: Count = key("Completed", None)
    errors: Count = key("Errors", None)
    errors_by_kind: dict[str, int] = key("Errors By Kind", {})
    wall_s: Number = key("Wall Time", None)
    queries_per_s: Number = key("Queries Per Second", None)
    # open loop: what fell due per second, answered or not
    offered_per_s: Number = key("Offered Queries Per Second", None)
    warm_up: WarmUpEntry | None = key("Warm-up", None)
    pool: str | None = key("Pool", None)
    instances: Count = key("Instances", None)
    intra_op_threads: Count = key("Intra-op Threads", None)
    affinity: list[list[int]] = key("Affinity", [])
    first_inference_ms: Number = key("First Inference", None)
    intervals: list[IntervalEntry] = key("Intervals", [])
    interrupted: bool | None = key("Interrupted", None)
    ended_by: str | None = key("Ended By", None)
    first_fault: str | None = key("First Fault", None)
    verdict: Verdict = key("Verdict")
    reasons: list[str] = key("Reasons")
    warnings: list[str] = key("Warnings")
    warning_codes: list[str] = key("Warning Codes", [])
    doubts: list[DoubtEntry] = key("Doubts", [])
    confidence: ConfidenceEntry | None = key("Confidence", None)
    engine_cost: EngineCostEntry | None = key("Engine Cost", None)
    cpu_use: CpuUseEntry | None = key("CPU Use", None)
    histogram: str | None = key("Histogram", None)
    histograms: list[str] = key("Histograms", [])
    settings: ScenarioEntry | None = key("Settings", None)
    samples_per_query: Count = key("Samples Per Query", None)
    rules: list[RuleEntry] = key("Rules", [])
    metric: MetricEntry | None = key("Metric", None)
    response: Times | None = key("Response", None)
    service: Times | None = key("Service", None)
    lateness: Times | None = key("Lateness", None)
    seed: Count = key("Seed", None)
    batching: BatchingEntry | None = key("Batching", None)
    load_s: Number = key("Load Time", None)
    samples: SamplesEntry | None = key("Samples", None)
    outcome: Outcome | None = key("Outcome", None)
    verification: VerificationEntry | None = key("Verification", None)
    predict_timeout_s: Number = key("Predict Timeout", None)
    peak_memory_bytes: Count = key("Peak Memory Bytes", None)
    mean_power_w: Number = key("Mean Power", None)
    peak_power_w: Number = key("Peak Power", None)
    energy_per_item_j: Number = key("Energy per Item", None)
    cpu_utilisation_percent: Number = key("CPU Utilisation", None)
    device_utilisation_percent: Number = key("Device Utilisation", None)
    telemetry: TelemetryEntry | None = key("Telemetry", None)
    # of a served model, means of a request in ms: see qs.remote.server_side
    connection_wait_ms: Number = key("Connection Wait", None)
    network_and_client_ms: Number = key("Network and Client", None)
    server_queue_ms: Number = key("Server Queue", None)
    server_compute_ms: Number = key("Server Compute", None)
    # wait (for a connection), first_byte, transfer
    parts: dict[str, PartTimes] | None = key("Parts", None)
    server: ServerEntry | None = key("Server", None)
    client: ClientEntry | None = key("Client", None)
    # connections opened, replaced, requests sent again: as the client counts them
    counts: dict[str, int] | None = key("Counts", None)
    # of a language model: what is measured of its requests beside their response times
    goodput: GoodputEntry | None = key("Goodput", None)
    measures: dict[str, MeasureEntry] | None = key("Measures", None)
    tokens: TokensEntry | None = key("Tokens", None)
    # on how many machines the load was shared out; null: on one, without a driver elsewhere
    node_count: Count = key("Node Count", None)
    nodes_lost: Count = key("Nodes Lost", None)
    # the largest of all nodes: how far from the common start one began, and how well that is known
    start_skew_ms: Number = key("Start Skew", None)
    clock_uncertainty_ms: Number = key("Clock Uncertainty", None)
    nodes: list[NodeEntry] = key("Nodes", [])
    queries_in_flight: Number = key("Queries In Flight", None)
    flags: list[str] = key("Flags", [])
    vendor_answer: dict[str, Any] | None = key("Vendor Answer", None)
    vendor: VendorPart | None = key("Vendor", None)
    difference_percent: dict[str, Number] | None = key("Difference Percent", None)

    @model_validator(mode="after")
    def _doubts_of_older_versions(self) -> Row:
        return with_doubts(self)

    @property
    def valid(self) -> bool:
        return self.verdict is Verdict.VALID

    @property
    def too_short(self) -> bool:
        """Whether it was measured for too short a time to tell how far its figures can be
        trusted.
        """
        return TOO_SHORT in self.warning_codes

    @property
    def disturbed(self) -> bool:
        """Whether the run itself changed, or what else the machine did: its intervals tell how it
        varied, and another run may differ by more.
        """
        return not DISTURBING.isdisjoint(self.warning_codes)

    @property
    def standing(self) -> str:
        """The verdict in words, with how far to trust it."""
        return standing(self.verdict, self.doubts, self.too_short)

    @property
    def tone(self) -> Tone:
        return tone(self.verdict, self.doubts)

    @property
    def open_loop(self) -> bool:
        return self.scenario in OPEN_LOOP

    @property
    def scheduled(self) -> bool:
        """Whether queries fell due by a schedule."""
        return self.scenario in SCHEDULED

    @property
    def measured_s(self) -> float | None:
        """How long it was measured, from the common start to the last answer."""
        return self.wall_s

    @property
    def throughput_interval(self) -> float | None:
        """Half the width of the 95 % interval of the throughput, as a share of it; None: none
        could be computed.
        """
        found = self.confidence.queries_per_s if self.confidence else None
        return _share(found, self.queries_per_s)

    @property
    def p99_interval(self) -> float | None:
        """The same of p99 of the response time."""
        found = self.confidence.p99_ms if self.confidence else None
        return _share(found, self.p99_ms)

    @property
    def served_share(self) -> float | None:
        """Which part of what was offered was served; None in closed loop."""
        if not self.offered_per_s or self.queries_per_s is None:
            return None
        return self.queries_per_s / self.offered_per_s

    @property
    def logs(self) -> Sequence[str]:
        """The histogram logs of its runs, by their names in the report's folder."""
        return self.histograms or ([self.histogram] if self.histogram else [])

    @property
    def good(self) -> GoodputEntry | None:
        """Requests that kept every bound, if each was held to any."""
        return self.goodput or (None if self.tokens is None else self.tokens.goodput)

    @property
    def measure_logs(self) -> Sequence[str]:
        """The same of its measures."""
        return [each.histogram for each in (self.measures or {}).values() if each.histogram]

    def invalid(self, reason: str) -> Row:
        """It does not count, for one more reason."""
        return self.changed(verdict=Verdict.INVALID, reasons=[*self.reasons, reason])

    def doubted(self, *doubts: DoubtEntry) -> Row:
        """With more doubts, after those it has."""
        if not doubts:
            return self
        return self.changed(
            doubts=[*self.doubts, *doubts],
            warnings=[*self.warnings, *map(str, doubts)],
            warning_codes=[*self.warning_codes, *(each.code for each in doubts if each.code)],
        )


def _share(found: EstimateEntry | None, value: float | None) -> float | None:
    if found is None or found.half_width is None or not value:
        return None
    return found.half_width / value

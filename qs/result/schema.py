"""The result JSON as typed models, for readers of it and for its published schema.

What programs may rely on stands here; further keys are allowed everywhere, since data sets name
their metrics and vendors their numbers as they like. A change that breaks a reader raises SCHEMA in
qs.result.result.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from qs.result.result import SCHEMA

Number = float | None
Count = int | None
Verdict = Literal["VALID", "INVALID"]


def _title(name: str) -> str:
    """graph_compile -> "Graph Compile"."""
    return name.replace("_", " ").title()


class Part(BaseModel):
    """A section. Its keys are in the published spelling."""

    model_config = ConfigDict(
        extra="allow", alias_generator=_title, populate_by_name=True, protected_namespaces=()
    )


class GraphCompile(Part):
    """How the model was compiled. Durations are in seconds, the coverage in percent."""

    compile_duration: Number
    compile_precision: str | None
    subgraph_coverage: Number
    optimizations: Any
    compile_status: str | None = None
    segments: Count = None
    fallback_segments: list[Any] = []
    compiled_batch_sizes: list[int] = []
    compiled_from: str | None = None
    artifacts: list[dict[str, Any]] = []


class Accuracy(Part):
    """The data set's metrics, and the agreement with the reference's outputs."""

    data_percent: Number = None
    not_measured: str | None = None
    mean_diff: Number = None
    std_diff: Number = None
    max_diff: Number = None
    max_rel_diff: Number = Field(None, alias="Max Rel-Diff")
    mean_rel_diff: Number = Field(None, alias="Mean Rel-Diff")
    diff_dist: str | None = None
    items: Count = None
    share: dict[str, Any] | None = None
    confidence_intervals: dict[str, list[float]] = {}
    numeric: dict[str, Any] | None = None


class Row(Part):
    """One measured case. Latencies are in ms, QPS counts items; null: not measured, or too few
    samples to tell.
    """

    bs: Count = Field(alias="BS")
    qps: Number = Field(alias="QPS")
    avg_latency: Number = Field(alias="AVG Latency")
    p99_latency: Number = Field(alias="P99 Latency")
    mode: Literal["QS", "vendor", "audit"]
    requested_bs: Count = Field(None, alias="Requested BS")
    outcome: Literal["done", "raised", "exited", "crashed", "timed out", "does not fit"] | None = (
        None
    )
    flags: list[str] = []
    vendor: dict[str, Any] | None = None
    difference_percent: dict[str, Number] | None = None
    scenario: str | None = None
    clients: Count = None
    iterations: Count = None
    planned: Count = None
    completed: Count = None
    errors: Count = None
    errors_by_kind: dict[str, int] = {}
    wall_time: Number = None
    min_latency: Number = None
    p50_latency: Number = Field(None, alias="P50 Latency")
    p90_latency: Number = Field(None, alias="P90 Latency")
    p95_latency: Number = Field(None, alias="P95 Latency")
    p99_9_latency: Number = Field(None, alias="P99.9 Latency")
    max_latency: Number = None
    verification: dict[str, Any] | None = None
    predict_timeout: Number = None
    peak_memory_bytes: Count = None
    verdict: Verdict
    reasons: list[str]
    warnings: list[str]
    histogram: str | None = None


class MachineCheck(BaseModel):
    """What `qs doctor` looks at, before the run; the self-benchmark is the last one of this
    machine.
    """

    summary: str
    findings: list[dict[str, Any]]
    self_benchmark: dict[str, Any] | None = None


class EffectiveValue(BaseModel):
    """One setting that the run really had, and where it came from."""

    value: Any
    origin: str


class Result(Part):
    """result-<precision>.json. Sections that a run did not reach are absent; Status says how far it
    came.
    """

    schema_version: Literal[SCHEMA] = Field(alias="schema_version")  # type: ignore[valid-type]
    model: str
    backend: str
    host_info: str | None
    dataset: str | None = None
    instance_count: Count = None
    device_count: Count = None
    version: str | None
    execution_date: str
    graph_compile: GraphCompile | None = None
    accuracy: Accuracy | None = None
    performance: list[Row] = []
    status: Literal["running", "complete", "compiled", "interrupted", "failed", "refused"]
    verdict: Verdict
    reasons: list[str]
    warnings: list[str]
    failures: list[dict[str, Any]] = []
    task: str
    command: list[str]
    qs_version: str = Field(alias="QS Version")
    started: str
    effective_values: dict[str, EffectiveValue] = {}
    answers: dict[str, Any] = {}
    answer_origins: dict[str, str] = {}
    durations: dict[str, float] = {}
    kind: Literal["run", "load", "sweep", "numeric"] = "run"
    machine_check: MachineCheck | None = None
    sweep: dict[str, Any] | None = None
    artifact: dict[str, Any] | None = None

"""A run's result as typed models: what is written, read back, and published as its JSON schema.

Programs may rely on what is declared here; further keys are allowed everywhere, since data sets
name their metrics and vendors their numbers as they like.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import model_validator

from qs.result.gate import GateEntry
from qs.result.operators import Operators
from qs.result.part import Count, Lenient, Number, Part, Word, key, lenient
from qs.result.row import Row
from qs.result.sections import (
    Environment,
    Finding,
    Host,
    ModelSource,
    Numeric,
    Samples,
    Share,
)
from qs.result.server_entry import ServedEntry
from qs.result.sweep import SweepEntry
from qs.result.verdict import DoubtEntry, Verdict, with_doubts

SCHEMA = 1  # raised by a change that breaks a reader


class Kind(Word):
    """The command that made the result."""

    RUN = "run"
    LOAD = "load"
    SWEEP = "sweep"
    NUMERIC = "numeric"


class Status(Word):
    """How far the run came."""

    RUNNING = "running"
    COMPLETE = "complete"
    COMPILED = "compiled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    REFUSED = "refused"


# Why a verdict of such a run cannot be VALID, whatever its rows show so far.
UNFINISHED = {
    Status.RUNNING: "the run has not ended: it goes on, or it was killed",
    Status.INTERRUPTED: "the run was interrupted before its end",
}


class GraphCompile(Lenient):
    """How the model was compiled. Durations are in seconds, the coverage in percent."""

    compile_s: Number = key("Compile Duration")
    precision: str | None = key("Compile Precision")
    coverage_percent: Number = key("Subgraph Coverage")
    optimizations: Any = key("Optimizations")
    status: str | None = key("Compile Status", None)
    segments: Count = key("Segments", None)
    fallback_segments: list[Any] = key("Fallback Segments", [])
    batch_sizes: list[int] = key("Compiled Batch Sizes", [])
    compiled_from: str | None = key("Compiled From", None)
    artifacts: list[dict[str, Any]] = key("Artifacts", [])
    operators: Annotated[Operators, lenient(Operators)] | None = key("Operators", None)


class Accuracy(Lenient):
    """The data set's metrics, and the agreement with the reference's outputs."""

    data_percent: Number = key("Data Percent", None)
    not_measured: str | None = key("Not Measured", None)
    mean_diff: Number = key("Mean Diff", None)
    std_diff: Number = key("Std Diff", None)
    max_diff: Number = key("Max Diff", None)
    max_rel_diff: Number = key("Max Rel-Diff", None)
    mean_rel_diff: Number = key("Mean Rel-Diff", None)
    diff_dist: str | None = key("Diff Dist", None)
    items: Count = key("Items", None)
    share: Share | None = key("Share", None)
    confidence_intervals: dict[str, list[float]] = key("Confidence Intervals", {})
    numeric: Numeric | None = key("Numeric", None)
    # what the model info pins, if the whole data set was scored
    known_metrics: dict[str, float] = key("Known Metrics", {})


class MachineCheck(Part):
    """What `qs doctor` looks at, before the run; the self-benchmark is the last one of this
    machine.
    """

    summary: str
    findings: list[Finding]
    self_benchmark: dict[str, Any] | None = None


class EffectiveValue(Part):
    """One setting that the run really had, and where it came from."""

    value: Any
    origin: str


class Result(Part):
    """result-<precision>.json. Sections that a run did not reach are absent; Status says how far it
    came.
    """

    model: str = key("Model")
    backend: str = key("Backend")
    host_info: str | None = key("Host Info")
    dataset: str | None = key("Dataset", None)
    instance_count: Count = key("Instance Count", None)
    device_count: Count = key("Device Count", None)
    version: str | None = key("Version")
    execution_date: str = key("Execution Date")
    graph_compile: Annotated[GraphCompile | None, lenient(GraphCompile)] = key(
        "Graph Compile", None
    )
    accuracy: Annotated[Accuracy | None, lenient(Accuracy)] = key("Accuracy", None)
    performance: list[Row] = key("Performance", [])
    schema_version: Literal[SCHEMA]  # type: ignore[valid-type]
    kind: Kind = key("Kind", Kind.RUN)
    status: Status = key("Status")
    verdict: Verdict = key("Verdict")
    reasons: list[str] = key("Reasons")
    warnings: list[str] = key("Warnings")
    doubts: list[DoubtEntry] = key("Doubts", [])
    failures: list[dict[str, Any]] = key("Failures", [])
    task: str = key("Task")
    command: list[str] = key("Command")
    qs_version: str = key("QS Version")
    started: str = key("Started")
    compile_version: str | None = key("Compile Version", None)
    runtime_version: str | None = key("Runtime Version", None)
    host: Host = key("Host", {})
    found_in: dict[str, Any] = key("Found In", {})
    environment: Environment | None = key("Environment", None)
    model_source: ModelSource | None = key("Model Source", None)
    samples: Samples | None = key("Samples", None)
    effective_values: dict[str, EffectiveValue] = key("Effective Values", {})
    answers: dict[str, Any] = key("Answers", {})
    answer_origins: dict[str, str] = key("Answer Origins", {})
    durations: dict[str, float] = key("Durations", {})
    artifact: dict[str, Any] | None = key("Artifact", None)
    machine_check: MachineCheck | None = key("Machine Check", None)
    sweep: SweepEntry | None = key("Sweep", None)
    gates: list[GateEntry] = key("Gates", [])
    served: ServedEntry | None = key("Served", None)

    @model_validator(mode="after")
    def _doubts_of_older_versions(self) -> Result:
        return with_doubts(self)

    @property
    def valid(self) -> bool:
        return self.verdict is Verdict.VALID

    @property
    def own_reasons(self) -> list[str]:
        """The reasons of the run as a whole. `reasons` has those of the rows after them, each with
        its batch size; a sweep's settings may fail, and their reasons are in its table only.
        """
        if self.kind is Kind.SWEEP:
            return self.reasons
        of_rows = sum(len(row.reasons) for row in self.performance)
        return self.reasons[: max(len(self.reasons) - of_rows, 0)]

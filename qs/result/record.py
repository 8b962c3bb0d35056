"""The result JSON: ByteMLPerf's keys exactly, and what a reader needs beside them.

`Record` fills up as the run goes and `to_result` can render it at any time: after every case, and
after an interruption, the same function writes what there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from qs.base.files import SWEEP
from qs.result.result import SCHEMA
from qs.result.row import Row, Verdict


@dataclass
class Record:
    """Everything known about a run so far. Sections that were not reached stay None and are left
    out of the result.
    """

    task: str
    hardware: str
    model: str
    command: list[str]
    qs_version: str
    kind: str = "run"  # run, load, sweep
    artifact: dict[str, Any] | None = (
        None  # what a model file says of itself, where no task names the model
    )
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    host: dict[str, Any] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    answer_origins: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] | None = None
    model_source: dict[str, Any] | None = None
    dataset: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    compile_result: dict[str, Any] | None = None
    compile_s: float | None = None
    compiled_from: str | None = None
    artifacts: list[dict[str, object]] = field(default_factory=list)
    accuracy: dict[str, Any] | None = None
    numeric: dict[str, Any] | None = None
    diff_dist: str | None = None  # the picture's name in the report's folder
    rows: list[Row] = field(default_factory=list)
    durations_s: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    sweep: dict[str, Any] | None = None
    machine_check: dict[str, Any] | None = None  # qs.doctor's
    status: str = "running"

    @property
    def verdict(self) -> Verdict:
        """INVALID as soon as one reason is known; the reasons of the rows count. A sweep finds out
        which settings fail: it is INVALID where all do.
        """
        enough = any if self.kind == SWEEP else all
        counts = not self.reasons and enough(row.valid for row in self.rows)
        return Verdict.VALID if counts else Verdict.INVALID

    def all_reasons(self) -> list[str]:
        """The run's own reasons, then each row's with its batch size; those of a sweep's settings
        stand in its table.
        """
        if self.kind == SWEEP:
            return list(self.reasons)
        return [
            *self.reasons,
            *(f"BS {row.batch_size}: {reason}" for row in self.rows for reason in row.reasons),
        ]


def to_result(record: Record) -> dict[str, Any]:
    """Plain data, published keys first. A section that the run did not reach is missing, `Status`
    says how far it came.
    """
    compiled = record.compile_result or {}
    result: dict[str, Any] = {
        "Model": record.model.upper(),
        "Backend": record.hardware,
        "Host Info": record.host.get("CPU"),
    }
    if record.dataset:
        result["Dataset"] = str(record.dataset["name"]).upper()
    if record.compile_result is not None:
        result["Instance Count"] = compiled.get("instance_count")
        result["Device Count"] = compiled.get("device_count")
    result["Version"] = record.versions.get("runtime")
    result["Execution Date"] = record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if record.compile_result is not None:
        result["Graph Compile"] = graph_compile(compiled, record.compile_s) | {
            "Compiled From": record.compiled_from,
            "Artifacts": record.artifacts,
        }
    if record.accuracy is not None or record.numeric is not None:
        result["Accuracy"] = accuracy(record)
    if record.rows:
        result["Performance"] = [row.to_dict() for row in record.rows]
    result |= {
        "schema_version": SCHEMA,
        "Kind": record.kind,
        "Status": record.status,
        "Verdict": record.verdict,
        "Reasons": record.all_reasons(),
        "Warnings": record.warnings,
        "Failures": record.failures,
        "Task": record.task,
        "Command": record.command,
        "QS Version": record.qs_version,
        "Started": record.started.isoformat(),
        "Compile Version": record.versions.get("compile"),
        "Runtime Version": record.versions.get("runtime"),
        "Host": record.host,
        "Found In": record.found,
        "Environment": record.environment,
        "Model Source": record.model_source,
        "Samples": record.dataset,
        "Effective Values": record.values,
        "Answers": record.answers,
        "Answer Origins": record.answer_origins,
        "Durations": record.durations_s,
    }
    if record.artifact is not None:
        result["Artifact"] = record.artifact
    if record.machine_check is not None:
        result["Machine Check"] = record.machine_check
    if record.sweep is not None:
        result["Sweep"] = record.sweep
    return result


def graph_compile(compiled: dict[str, Any], seconds: float | None) -> dict[str, object]:
    """The published section, with the compile status, the batch sizes, and the subgraphs that fell
    back to the CPU.

    A backend that does not state its coverage has that share of its segments that do not fall back.
    """
    segments = compiled.get("segments") or []
    fallbacks = [
        _number(segment, at) for at, segment in enumerate(segments) if segment.get("is_fallback")
    ]
    coverage = compiled.get("sg_percent")
    if coverage is None and segments:
        coverage = 100.0 * (1 - len(fallbacks) / len(segments))
    sizes = {
        made.get("compiled_bs")
        for segment in segments
        for made in segment.get("compiled_model") or ()
        if made.get("compiled_bs")
    }
    return {
        "Compile Duration": seconds,
        "Compile Precision": compiled.get("compile_precision"),
        "Subgraph Coverage": coverage,
        "Optimizations": compiled.get("optimizations") or {},
        "Compile Status": compiled.get("compile_status"),
        "Segments": len(segments),
        "Fallback Segments": fallbacks,
        "Compiled Batch Sizes": sorted(sizes),
    }


def _number(segment: dict[str, Any], at: int) -> Any:
    number = segment.get("sg_idx")
    return at if number is None else number


def accuracy(record: Record) -> dict[str, Any]:
    """Metrics of the data set's checker, then the agreement with the reference; either may say why
    it was not measured.
    """
    section: dict[str, Any] = dict(record.accuracy or {})
    if record.numeric is not None:
        numeric = dict(record.numeric)
        section |= {
            name: value for name, value in numeric.pop("summary", {}).items() if name != "failed"
        }
        section["Diff Dist"] = record.diff_dist
        section["Numeric"] = numeric
    return section

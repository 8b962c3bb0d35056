"""What is known of a run while it goes on, and the result made of it.

`to_result` can be called at any time: after every case, and after an interruption, the same
function makes a result of what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import Any

from qs.base.storable import storable
from qs.result.gate import GateEntry
from qs.result.operators import operators
from qs.result.result import (
    SCHEMA,
    UNFINISHED,
    Accuracy,
    EffectiveValue,
    GraphCompile,
    Kind,
    Result,
    Status,
)
from qs.result.row import Row
from qs.result.server_entry import ServedEntry
from qs.result.sweep import SweepEntry
from qs.result.verdict import DoubtEntry, Verdict, worst


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
    kind: Kind = Kind.RUN
    # What a model file says of itself, if no task names the model.
    artifact: dict[str, Any] | None = None
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
    # over so many machines; None: on this one
    nodes: int | None = None
    reasons: list[str] = field(default_factory=list)
    doubts: list[DoubtEntry] = field(default_factory=list)
    failures: list[dict[str, object]] = field(default_factory=list)
    sweep: SweepEntry | None = None
    machine_check: dict[str, Any] | None = None  # qs.doctor's
    gates: list[GateEntry] = field(default_factory=list)
    served: ServedEntry | None = None  # which server answered, of a served model
    status: Status = Status.RUNNING

    @property
    def verdict(self) -> Verdict:
        """INVALID as soon as one reason of its own is known, and as long as the run has not ended;
        else the worst of its rows. A sweep finds out which settings fail: it is INVALID where all
        do, and SLO NOT MET where no setting, or no rate, keeps the bounds that were stated.
        """
        if self.own_reasons():
            return Verdict.INVALID
        if self.kind is Kind.SWEEP:
            if not any(row.valid for row in self.rows):
                return Verdict.INVALID
            return Verdict.SLO_NOT_MET if self._refuted else Verdict.VALID
        return worst(row.verdict for row in self.rows)

    @property
    def _refuted(self) -> bool:
        """Whether a sweep showed that its bounds do not hold."""
        return self.sweep is not None and self.sweep.slo_met is False

    def own_reasons(self) -> list[str]:
        """Why the run as a whole is INVALID."""
        # What is on disk must not look like a run that came to its end.
        unfinished = UNFINISHED.get(self.status)
        return [*([] if unfinished is None else [unfinished]), *self.reasons]

    def all_reasons(self) -> list[str]:
        """The run's own reasons, then each row's with its batch size; those of a sweep's settings
        stand in its table.
        """
        if self.kind is Kind.SWEEP:
            answer = [self.sweep.answer] if self.sweep is not None and self._refuted else []
            return [*self.own_reasons(), *answer]
        return [
            *self.own_reasons(),
            *(f"BS {row.batch_size}: {reason}" for row in self.rows for reason in row.reasons),
        ]


def _counts(compiled: Mapping[str, Any], nodes: int | None) -> dict[str, Any]:
    """Machines and devices that ran: as the compile result says of one machine, times the nodes."""
    machines, devices = compiled.get("instance_count"), compiled.get("device_count")
    if nodes is not None:
        machines = (machines or 1) * nodes
        devices = None if devices is None else devices * nodes
    return {"instance_count": machines, "device_count": devices}


def to_result(record: Record) -> Result:
    """The result as far as it is known. A section that the run did not reach is absent, `status`
    says how far it came. Whatever vendors, data sets and the command line gave is made storable
    here.
    """
    typed = ("kind", "started", "status", "rows", "sweep", "gates", "doubts", "served")
    record = replace(
        record,
        **{
            each.name: storable(getattr(record, each.name))
            for each in fields(record)
            if each.name not in typed
        },
    )
    known: dict[str, Any] = {}
    if record.dataset:
        known["dataset"] = str(record.dataset["name"]).upper()
    if record.compile_result is not None:
        compiled = record.compile_result
        known |= _counts(compiled, record.nodes)
        known["graph_compile"] = graph_compile(record, compiled)
    if record.accuracy is not None or record.numeric is not None:
        known["accuracy"] = accuracy(record)
    if record.rows:
        known["performance"] = list(record.rows)
    if record.gates:
        known["gates"] = list(record.gates)
    for section in ("artifact", "machine_check", "sweep", "served"):
        if getattr(record, section) is not None:
            known[section] = getattr(record, section)
    return Result(
        model=record.model.upper(),
        backend=record.hardware,
        host_info=record.host.get("CPU"),
        version=record.versions.get("runtime"),
        execution_date=record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        schema_version=SCHEMA,
        kind=record.kind,
        status=record.status,
        verdict=record.verdict,
        reasons=record.all_reasons(),
        warnings=[str(doubt) for doubt in record.doubts],
        doubts=list(record.doubts),
        failures=list(record.failures),
        task=record.task,
        command=[str(word) for word in record.command],
        qs_version=record.qs_version,
        started=record.started.isoformat(),
        compile_version=record.versions.get("compile"),
        runtime_version=record.versions.get("runtime"),
        host=record.host,
        found_in=record.found,
        environment=record.environment,
        model_source=record.model_source,
        samples=record.dataset,
        effective_values={
            name: EffectiveValue.model_validate(value) for name, value in record.values.items()
        },
        answers=record.answers,
        answer_origins=record.answer_origins,
        durations=dict(record.durations_s),
        **known,
    )


def graph_compile(record: Record, compiled: dict[str, Any]) -> GraphCompile:
    """The published section, with the compile status, the batch sizes, and the subgraphs that fell
    back to the CPU.

    If the backend does not state its coverage, it is the share of segments that do not fall back.
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
    counted = operators(compiled.get("operators"))
    return GraphCompile.lenient(
        ({} if counted is None else {"Operators": counted})
        | {
            "Compile Duration": record.compile_s,
            "Compile Precision": compiled.get("compile_precision"),
            "Subgraph Coverage": coverage,
            "Optimizations": compiled.get("optimizations") or {},
            "Compile Status": compiled.get("compile_status"),
            "Segments": len(segments),
            "Fallback Segments": fallbacks,
            "Compiled Batch Sizes": sorted(sizes),
            "Compiled From": record.compiled_from,
            "Artifacts": record.artifacts,
        }
    )


def _number(segment: dict[str, Any], at: int) -> Any:
    number = segment.get("sg_idx")
    return at if number is None else number


def accuracy(record: Record) -> Accuracy:
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
    return Accuracy.lenient(section)

"""Fills the report's rows from what our engine measured. Rows of a backend's own benchmark are
qs.result.vendor_rows' part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qs import engine
from qs.base.storable import storable, text
from qs.engine import Doubt, Histogram, IntervalRow, RunResult, WarmUpResult
from qs.evaluate.failures import first_fault
from qs.evaluate.judged import judged
from qs.evaluate.node_rows import entries_of, summary_of
from qs.evaluate.slo import held_to
from qs.limit.goals import Goal
from qs.result.confidence_entry import ConfidenceEntry, EstimateEntry
from qs.result.cost_entry import CpuUseEntry, EngineCostEntry
from qs.result.row import (
    CLOSED_LOOP,
    BatchingEntry,
    IntervalEntry,
    Mode,
    Outcome,
    Row,
    SamplesEntry,
    Times,
    WarmUpEntry,
)
from qs.result.scenario_entry import MetricEntry, RuleEntry, ScenarioEntry
from qs.result.verdict import DoubtEntry, Verdict
from qs.settings.case import Case

NS_PER_MS = 1e6
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0, "p99_9_ms": 99.9}


def measured(
    case: Case,
    result: RunResult,
    histogram: str | None = None,
    *,
    load_s: float | None = None,
    samples: Mapping[str, Any] | None = None,
    outcome: Outcome = Outcome.DONE,
    goals: Sequence[Goal] = (),
    judging: bool = True,
    node_logs: Mapping[str, str] | None = None,
) -> Row:
    """The row of a case that our engine drove.

    histogram  the name of the log of response times in the report's folder
    load_s     how long loading took
    samples    what was submitted
    goals      what must hold
    judging    whether the verdict depends on it
    node_logs  by the nodes' names, the files of what they printed
    """
    known: dict[str, Any] = latencies_ms(result.response)
    held = held_to(goals, case, result)
    verdict, reasons, doubts = judged(case, result, held if judging else held.unjudged)
    fault = first_fault(result)
    if fault is not None and reasons:
        reasons.append(fault)
    elif fault is not None:
        doubts.append(DoubtEntry(code="failed_requests", text=fault))
    if case.batch_size != case.requested_batch_size:
        known["requested_batch_size"] = case.requested_batch_size
    if case.scenario is not None:
        known |= _under_scenario(case, result)
    if held.rules:
        known["rules"] = [*known.get("rules", ()), *held.rules]
    if held.goodput is not None:
        known["goodput"] = held.goodput
    items = case.batch_size * result.samples_per_query
    known |= summary_of(entries_of(result, items, node_logs, brief=not judging))
    return Row(
        batch_size=case.batch_size,
        items_per_s=case.batch_size * result.samples_per_s,
        mode=Mode.QS,
        scenario=case.scenario_name or CLOSED_LOOP,
        clients=None if case.unbounded else case.clients,
        iterations=case.iterations,
        duration_s=case.duration_s,
        time_limit_s=case.time_limit_s,
        planned=result.planned,
        completed=result.completed,
        errors=result.errors,
        errors_by_kind=storable(result.errors_by_kind),
        wall_s=result.wall_s,
        queries_per_s=result.queries_per_s,
        warm_up=_warm_up(result.warmup),
        pool=case.pool,
        instances=case.instances,
        intra_op_threads=case.intra_op_threads,
        affinity=[list(cpus) for cpus in case.affinity],
        first_inference_ms=result.first_ns / NS_PER_MS if result.first_ns else None,
        intervals=_intervals(result.intervals),
        interrupted=result.interrupted,
        ended_by=str(result.ended_by),
        first_fault=storable(result.first_fault),
        verdict=verdict,
        reasons=reasons,
        warnings=[],
        # What makes a row OVERLOADED is a reason and no doubt; programs find its code all the same.
        warning_codes=[code for code in result.warning_codes if code == Doubt.OVERLOAD],
        doubts=[],
        confidence=_confidence(result.confidence),
        engine_cost=None
        if result.engine_cost is None
        else EngineCostEntry(**vars(result.engine_cost)),
        cpu_use=None if result.cpu is None else CpuUseEntry(**result.cpu.to_dict()),
        histogram=histogram,
        load_s=load_s,
        samples=None if samples is None else SamplesEntry(**storable(samples)),
        outcome=outcome,
        **known,
    ).doubted(*doubts)


def failed(case: Case, reason: str, outcome: Outcome | None = None) -> Row:
    """The row of a case that could not be measured: no number in it is one."""
    row = Row(
        batch_size=case.batch_size,
        items_per_s=None,
        mean_ms=None,
        p99_ms=None,
        mode=Mode.QS,
        scenario=case.scenario_name or CLOSED_LOOP,
        clients=None if case.unbounded else case.clients,
        iterations=case.iterations,
        completed=0,
        errors=1,
        verdict=Verdict.INVALID,
        reasons=[text(reason)],
        warnings=[],
        histogram=None,
    )
    return row if outcome is None else row.changed(outcome=outcome)


def latencies_ms(histogram: Histogram) -> dict[str, float | None]:
    """A histogram's summary by the row's attributes; all None when it is empty."""
    if not histogram.count:
        return dict.fromkeys(("mean_ms", "min_ms", *PERCENTILES, "max_ms"))
    found: dict[str, float | None] = {
        "mean_ms": histogram.mean_ns / NS_PER_MS,
        "min_ms": histogram.min_ns / NS_PER_MS,
        "max_ms": histogram.max_ns / NS_PER_MS,
    }
    for name, percentile in PERCENTILES.items():
        found[name] = _ms(histogram.reported_ns(percentile))
    return found


def _under_scenario(case: Case, result: RunResult) -> dict[str, Any]:
    """What a scenario's row adds: its settings, every rule, the number that it is compared by, and
    in open loop the response time (from the due time) apart from the service time and from the
    lateness of issue.
    """
    own: dict[str, Any] = {
        "settings": ScenarioEntry(**storable(case.scenario.settings())) if case.scenario else None,
        "samples_per_query": result.samples_per_query,
        "rules": [RuleEntry(**rule.to_dict()) for rule in result.rules],
        "metric": None if result.metric is None else MetricEntry(**result.metric.to_dict()),
    }
    if result.open_loop:
        own |= {
            "response": Times(**result.response.summary()),
            "service": Times(**result.service.summary()),
            "lateness": Times(**result.lateness.summary()),
            "seed": result.seed,
        }
    if result.offered_per_s is not None:
        own["offered_per_s"] = result.offered_per_s
    if case.batching:
        mean = result.completed / result.batches if result.batches else None
        own["batching"] = BatchingEntry(
            **case.batching.stated(), calls=result.batches, mean_batch_size=mean
        )
    return own


def _warm_up(summary: WarmUpResult) -> WarmUpEntry:
    return WarmUpEntry(
        completed=summary.completed,
        errors=summary.errors,
        wall_s=summary.wall_s,
        mean_ms=summary.mean_ns / NS_PER_MS if summary.completed else None,
    )


def _confidence(found: engine.Confidence | None) -> ConfidenceEntry | None:
    if found is None:
        return None
    percentiles = {
        f"P{percentile:g} Latency": _estimate(each, NS_PER_MS)
        for percentile, each in found.response.items()
    }
    return ConfidenceEntry(
        level=found.level, queries_per_s=_estimate(found.throughput, 1.0), **percentiles
    )


def _estimate(estimate: engine.Estimate, unit: float) -> EstimateEntry:
    half = estimate.half_width
    return EstimateEntry(
        half_width=None if half is None else half / unit,
        batches=estimate.batches,
        why=estimate.why or None,
    )


def _intervals(rows: Sequence[IntervalRow]) -> list[IntervalEntry]:
    return [
        IntervalEntry(
            start_s=row.start_s,
            completed=row.completed,
            errors=row.errors,
            p50_ms=_ms(row.p50_ns),
            p99_ms=_ms(row.p99_ns),
            in_flight=row.in_flight,
        )
        for row in rows
    ]


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / NS_PER_MS

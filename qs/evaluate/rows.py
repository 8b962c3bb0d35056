"""One row of the report's `Performance`: ByteMLPerf's keys, and beside them what one needs to judge
the number.

Latencies are in ms, unrounded; a percentile that the number of samples does not support is null. In
closed loop a query has no due time, so its response time is its service time and `AVG Latency`
means both. BS x Completed / Wall Time is QPS, in items per second.
"""

from __future__ import annotations

from typing import Any

from qs.settings.case import Case

NS_PER_MS = 1e6
PERCENTILES = {
    "P50 Latency": 50.0,
    "P90 Latency": 90.0,
    "P95 Latency": 95.0,
    "P99 Latency": 99.0,
    "P99.9 Latency": 99.9,
}


def latencies_ms(histogram) -> dict[str, float | None]:
    """A histogram's summary under the report's names; all null when it is empty."""
    if not histogram.count:
        return dict.fromkeys(["AVG Latency", "Min Latency", *PERCENTILES, "Max Latency"])
    found: dict[str, float | None] = {
        "AVG Latency": histogram.mean_ns / NS_PER_MS,
        "Min Latency": histogram.min_ns / NS_PER_MS,
    }
    for name, percentile in PERCENTILES.items():
        value = histogram.reported_ns(percentile)
        found[name] = None if value is None else value / NS_PER_MS
    found["Max Latency"] = histogram.max_ns / NS_PER_MS
    return found


def measured(case: Case, result, histogram_file: str | None) -> dict[str, Any]:
    """The row of a case that our engine drove; `result` is the engine's RunResult."""
    items_per_s = case.batch_size * result.samples_per_s
    row: dict[str, Any] = {
        "BS": case.batch_size,
        "QPS": items_per_s,
        **latencies_ms(result.response),
    }
    if case.batch_size != case.requested_batch_size:
        row["Requested BS"] = case.requested_batch_size
    row |= {
        "Mode": "QS",
        "Scenario": case.scenario or "closed loop",
        "Clients": case.clients,
        "Iterations": case.iterations,
        "Duration": case.duration_s,
        "Time Limit": case.time_limit_s,
        "Planned": result.planned,
        "Completed": result.completed,
        "Errors": result.errors,
        "Errors By Kind": dict(result.errors_by_kind),
        "Wall Time": result.wall_s,
        "Queries Per Second": result.queries_per_s,
        "Warm-up": warm_up(result.warmup),
        "Pool": case.pool,
        "Instances": case.instances,
        "Intra-op Threads": case.intra_op_threads,
        "Affinity": [list(cpus) for cpus in case.affinity],
        "First Inference": result.first_ns / NS_PER_MS if result.first_ns else None,
        "Intervals": intervals(result.intervals),
        "Interrupted": result.interrupted,
        "Ended By": result.ended_by,
        "First Fault": result.first_fault,
        "Verdict": result.verdict,
        "Reasons": list(result.reasons),
        "Warnings": list(result.warnings),
        "Warning Codes": list(result.warning_codes),
        "Confidence": confidence(result.confidence),
        "Engine Cost": None if result.engine_cost is None else dict(vars(result.engine_cost)),
        "CPU Use": None if result.cpu is None else result.cpu.to_dict(),
        "Histogram": histogram_file,
    }
    return row if case.scenario is None else row | under_scenario(case, result)


def under_scenario(case: Case, result) -> dict[str, Any]:
    """What a scenario's row has more: its settings, every rule, the number that it is compared by,
    and in open loop the response time (from the due time) apart from the service time and from the
    lateness of issue. Summaries are in ns.
    """
    own: dict[str, Any] = {
        "Settings": case.settings,
        "Samples Per Query": result.samples_per_query,
        "Rules": [rule.to_dict() for rule in result.rules],
        "Metric": None if result.metric is None else result.metric.to_dict(),
    }
    if result.open_loop:
        said = result.to_dict()
        own |= {
            "Response": said["response"],
            "Service": said["service"],
            "Lateness": said["lateness"],
            "Seed": result.seed,
        }
    if case.batching:
        mean = result.completed / result.batches if result.batches else None
        own["Batching"] = case.batching | {"calls": result.batches, "mean_batch_size": mean}
    return own


def warm_up(summary) -> dict[str, Any]:
    """The warm-up's own figures; they are in no other number."""
    return {
        "Completed": summary.completed,
        "Errors": summary.errors,
        "Wall Time": summary.wall_s,
        "AVG Latency": summary.mean_ns / NS_PER_MS if summary.completed else None,
    }


def confidence(found) -> dict[str, Any] | None:
    """Half-widths of the confidence intervals; null where the run was too short for one, with the
    reason.
    """
    if found is None:
        return None
    rows: dict[str, Any] = {
        "Level": found.level,
        "Queries Per Second": _estimate(found.throughput, 1.0),
    }
    return rows | {
        f"P{percentile:g} Latency": _estimate(each, NS_PER_MS)
        for percentile, each in found.response.items()
    }


def _estimate(estimate, unit: float) -> dict[str, Any]:
    half = estimate.half_width
    return {
        "Half Width": None if half is None else half / unit,
        "Batches": estimate.batches,
        "Why": estimate.why or None,
    }


def intervals(rows) -> list[dict[str, Any]]:
    """The time series: one entry an interval of the measured phase (a second, less in short runs),
    latencies in ms.
    """
    return [
        {
            "Start": row.start_s,
            "Completed": row.completed,
            "Errors": row.errors,
            "P50 Latency": None if row.p50_ns is None else row.p50_ns / NS_PER_MS,
            "P99 Latency": None if row.p99_ns is None else row.p99_ns / NS_PER_MS,
            "In Flight": row.in_flight,
        }
        for row in rows
    ]


def failed(case: Case, reason: str) -> dict[str, Any]:
    """The row of a case that could not be measured: no number in it is one."""
    return {
        "BS": case.batch_size,
        "QPS": None,
        "AVG Latency": None,
        "P99 Latency": None,
        "Mode": "QS",
        "Scenario": case.scenario or "closed loop",
        "Clients": case.clients,
        "Iterations": case.iterations,
        "Completed": 0,
        "Errors": 1,
        "Verdict": "INVALID",
        "Reasons": [reason],
        "Warnings": [],
        "Histogram": None,
    }

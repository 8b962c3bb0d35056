"""How far the figures of a case are known: half the widths of their 95 % intervals."""

from __future__ import annotations

from qs.result.part import Count, Number, Part, key


class EstimateEntry(Part):
    """Half the width of a confidence interval; null when none could be computed, and why."""

    half_width: Number = key("Half Width", None)
    batches: Count = key("Batches", None)
    why: str | None = key("Why", None)


class ConfidenceEntry(Part):
    """Confidence intervals of the throughput and of the percentiles that were estimated."""

    level: Number = key("Level", None)
    queries_per_s: EstimateEntry | None = key("Queries Per Second", None)
    p50_ms: EstimateEntry | None = key("P50 Latency", None)
    p90_ms: EstimateEntry | None = key("P90 Latency", None)
    p95_ms: EstimateEntry | None = key("P95 Latency", None)
    p99_ms: EstimateEntry | None = key("P99 Latency", None)
    p99_9_ms: EstimateEntry | None = key("P99.9 Latency", None)

"""The measures of a case beside its response times, as the report has them."""

from __future__ import annotations

from qs.result.part import Count, Number, Part


class MeasureEntry(Part):
    """One measure of requests: times in ms, everything else in `unit`. A percentile that the count
    does not support is null; so is everything where nothing was measured.
    """

    unit: str = "ms"
    count: Count = None
    mean: Number = None
    min: Number = None
    p50: Number = None
    p90: Number = None
    p95: Number = None
    p99: Number = None
    p99_9: Number = None
    max: Number = None
    half_widths: dict[str, Number] = {}
    """Of the 95 % interval of "p50", "p90" and so on, where one could be computed."""
    histogram: str | None = None
    """The name of its log in the report's folder."""

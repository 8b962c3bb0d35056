"""What a row itself states of how far a figure is known, for where its log is gone."""

from __future__ import annotations

from qs.comparison.measured import ComparedMetric
from qs.result.confidence_entry import ConfidenceEntry, EstimateEntry
from qs.result.row import Row

Stated = tuple["float | None", "float | None", "int | None"]


def stated_width(row: Row, metric: ComparedMetric, confidence: ConfidenceEntry) -> Stated:
    """(the figure, half of its interval, of how many batches). Of a language model's measures only
    goodput states all three.
    """
    if metric.column.figure:
        if metric.name != "goodput" or row.good is None:
            return None, None, None
        return row.good.good_per_s, row.good.half_width, row.good.batches
    figure = "queries_per_s" if metric.rate else metric.column.name
    estimate = getattr(confidence, figure, None) or EstimateEntry()
    return getattr(row, figure), estimate.half_width, estimate.batches

"""Histograms' bins, confidence intervals, crowding, trends, and the distributions behind them.

The names below are for everybody; what else the modules hold is the engine's own.
"""

from __future__ import annotations

from qs.engine.record.histogram import (
    COUNTS,
    HALF_BITS,
    HIGHEST_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
    Histogram,
    highest_value_of,
    index_of,
    lowest_value_of,
    samples_needed,
)
from qs.engine.statistics.beta import binomial_at_most, regularized_beta, student_t
from qs.engine.statistics.crowding import (
    Spread,
    at_least,
    at_most,
    crowding_of,
    effective,
    share_interval,
    spread_of,
    student,
)
from qs.engine.statistics.estimate import Confidence, Estimate

__all__ = [
    "COUNTS",
    "HALF_BITS",
    "HIGHEST_NS",
    "LOWEST_NS",
    "SIGNIFICANT_DIGITS",
    "Confidence",
    "Estimate",
    "Histogram",
    "Spread",
    "at_least",
    "at_most",
    "binomial_at_most",
    "crowding_of",
    "effective",
    "highest_value_of",
    "index_of",
    "lowest_value_of",
    "regularized_beta",
    "samples_needed",
    "share_interval",
    "spread_of",
    "student",
    "student_t",
]

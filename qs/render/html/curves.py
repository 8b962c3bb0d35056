"""The points that charts are made of: latency by percentile from the histogram logs, and time
series short enough for a page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

NS_PER_MS = 1e6
# How many "nines" the axis goes to: 1 / (1 - p) from 1 to 10,000, which is 99.99 %.
MOST_X = 10_000.0
PERCENTILE_POINTS, SERIES_POINTS = 5_500, 5_000  # for all cases of a page together
FEWEST = 24

Row = Mapping[str, Any]


def percentile_points(
    rows: Sequence[tuple[str, Row]], log_of: Callable[[Row], str | None]
) -> list[dict[str, Any]]:
    """[{"case", "x": 1 / (1 - p), "p": percent, "ms"}] for each (name, row) whose log is there."""
    found: list[dict[str, Any]] = []
    each_has = max(min(PERCENTILE_POINTS // max(len(rows), 1), 64), FEWEST)
    for name, row in rows:
        text = log_of(row)
        if text is not None:
            found += [{"case": name, **point} for point in _percentiles(text, row, each_has)]
    return found


def _percentiles(text: str, row: Row, points: int) -> list[dict[str, float]]:
    from qs.base.errors import UserError
    from qs.result.logs import read_log

    try:
        series = read_log(text, row.get("Wall Time"))
    except UserError:
        return []
    counts = series.counts.sum(axis=0)
    total = counts.sum()
    if not total:
        return []
    # As far as there are samples to tell: beyond 1 - 1/n the maximum is all that is known.
    most = min(MOST_X, max(float(total), 1.0))
    xs = np.exp(np.linspace(0.0, math.log(most), points))
    shares = 1.0 - 1.0 / xs
    ranks = np.maximum(np.floor(shares * total + 0.5), 1.0)
    values = series.tops_ns[np.minimum(np.searchsorted(np.cumsum(counts), ranks), counts.size - 1)]
    return [
        {
            "x": float(f"{x:.5g}"),
            "p": float(f"{share * 100:.6g}"),
            "ms": float(f"{value / NS_PER_MS:.5g}"),
        }
        for x, share, value in zip(xs.tolist(), shares.tolist(), values.tolist())
    ]


def series_points(rows: Sequence[tuple[str, Row]]) -> tuple[list[dict[str, Any]], bool]:
    """[{"case", "s", "per_s", "p50", "p99", "errors"}], and whether neighbours were put together.

    Together: throughput and errors are summed, p50 is the median of the medians, and p99 the
    highest, so that no peak is lost.
    """
    each_has = max(min(SERIES_POINTS // max(len(rows), 1), 600), FEWEST)
    found: list[dict[str, Any]] = []
    thinned = False
    for name, row in rows:
        intervals = row.get("Intervals") or []
        group = math.ceil(len(intervals) / each_has) or 1
        thinned |= group > 1
        starts = [each["Start"] for each in intervals]
        ends = [*starts[1:], row.get("Wall Time") or (starts[-1] if starts else 0.0)]
        for at in range(0, len(intervals), group):
            part = intervals[at : at + group]
            seconds = ends[min(at + group, len(intervals)) - 1] - starts[at]
            if seconds <= 0:
                continue
            medians = [each["P50 Latency"] for each in part if each["P50 Latency"] is not None]
            tails = [each["P99 Latency"] for each in part if each["P99 Latency"] is not None]
            found.append(
                {
                    "case": name,
                    "s": round(starts[at], 3),
                    "per_s": float(f"{sum(each['Completed'] for each in part) / seconds:.4g}"),
                    "p50": float(f"{sorted(medians)[len(medians) // 2]:.4g}") if medians else None,
                    "p99": float(f"{max(tails):.4g}") if tails else None,
                    "errors": sum(each["Errors"] for each in part),
                }
            )
    return found, thinned

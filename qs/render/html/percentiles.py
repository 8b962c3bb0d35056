"""Percentile curves from histogram logs, as points that are few enough for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.result.cases import NamedCase
from qs.result.row import Row

NS_PER_MS = 1e6
PERCENTILE_POINTS = 5_500  # for all cases of a page together
MOST, FEWEST = 240, 24  # for one case
# n samples tell a percentile p if it lies below their maximum with a probability of 95 %:
# p^n <= 0.05 (see qs.engine.statistics.samples_needed).
TOLD_WITH = 0.05

Point = dict[str, Any]


def percentile_points(
    cases: Sequence[NamedCase], log_of: Callable[[Row], str | None], curves: int | None = None
) -> list[Point]:
    """[{"case", "x": 1 / (1 - p), "p": percent, "ms", "few": too few samples to tell}] for each
    case whose log is there. `curves`: how many share the page, where these are not all of them.
    """
    found: list[Point] = []
    each_has = max(min(PERCENTILE_POINTS // max(curves or len(cases), 1), MOST), FEWEST)
    for case in cases:
        text = log_of(case.row)
        if text is not None:
            points = _percentiles(text, each_has)
            found += [{"case": case.name, **point} for point in points]
    return found


def _percentiles(text: str, points: int) -> list[Point]:
    """A point where each step begins: at 1 / (1 - share of the samples below it). Of more steps
    than `points` those are kept that lie farthest apart on the logarithmic axis. The last point is
    the last sample, where the curve ends.
    """
    from qs.result.logs import read_log

    try:
        series = read_log(text)
    except UserError:
        return []
    counts = series.counts.sum(axis=0)
    filled = np.flatnonzero(counts)
    if not filled.size:
        return []
    tops_ns, counts = series.tops_ns[filled], counts[filled]
    total = float(counts.sum())
    # Above the last sample but one only the maximum is known: there the curve ends.
    xs = np.append(total / (total - np.cumsum(counts) + counts), total)
    values = np.append(tops_ns, tops_ns[-1])
    told = 1.0 / (1.0 - TOLD_WITH ** (1.0 / total))
    kept = _spread(np.log(xs), points)
    found: list[Point] = []
    for x, value in zip(xs[kept].tolist(), values[kept].tolist()):
        ms = _rounded(value / NS_PER_MS, 5)
        if x > told and found and not found[-1]["few"]:  # where both parts of the line meet
            joint = found[-1] | _at(told)
            found += [joint, joint | {"few": True}]
        found.append({**_at(x), "ms": ms, "few": bool(x > told)})
    return found


def _at(x: float) -> Point:
    return {"x": _rounded(x, 6), "p": _rounded(100.0 - 100.0 / x, 6)}


def _spread(places: np.ndarray, most: int) -> np.ndarray:
    """The indices of at most `most` rising places, about equally far apart, with both ends."""
    if places.size <= most:
        return np.arange(places.size)
    wanted = np.linspace(places[0], places[-1], most)
    return np.unique(np.searchsorted(places, wanted).clip(0, places.size - 1))


def _rounded(value: float, digits: int) -> float:
    """To so many significant digits, which keeps the page small."""
    return float(f"{value:.{digits}g}")

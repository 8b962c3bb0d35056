"""The objects of a result as plain data, and back: what the machine was used for, rows, confidence
and what it was computed from, measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from qs.engine.conduct.joined_rows import Order, counted_of, length_of, rows_of
from qs.engine.distributed.results.counts import (
    finite,
    histogram_of,
    intervals_of,
    plain_histogram,
    plain_intervals,
    plain_rows,
)
from qs.engine.distributed.results.counts import rows_of as told_rows
from qs.engine.distributed.results.shapes import (
    Shape,
    any_fraction,
    count,
    fields,
    flag,
    fraction,
    items,
    line,
    optional,
    said,
    text,
    told,
)
from qs.engine.hosts.messages import whole
from qs.engine.machine.watch import CpuUse, GroupUse
from qs.engine.measures.measure import Measure
from qs.engine.record.intervals import IntervalLog, IntervalRow
from qs.engine.result import Measured
from qs.engine.statistics.confidence import Evidence
from qs.engine.statistics.estimate import Confidence, Estimate

MOST_WORKERS = 100_000  # of one node
MOST_MEASURES = 50
_PERCENTILES = 100
_EVER = 1 << 40  # more intervals than any run has

ESTIMATE = fields(
    Estimate,
    {
        "value": optional(any_fraction),
        "half_width": optional(fraction),
        "batches": count,
        "why": line,
        "longer": optional(fraction),
    },
)
GROUP: dict[str, Shape] = {
    "kind": line,
    "workers": count,
    "cpu_s": fraction,
    "wake_up_ns": optional(count),
    "delayed_s": fraction,
}
CPU: dict[str, Shape] = {
    "elapsed_s": fraction,
    "cores": fraction,
    "host_cpus": count,
    "workers_s": fraction,
    "conductor_s": fraction,
    "run_s": optional(fraction),
    "host_busy_s": optional(fraction),
    "steal_s": optional(fraction),
    "voluntary_switches": count,
    "involuntary_switches": count,
    "quota_held_back_s": optional(fraction),
    "thermal_events": optional(count),
    "base_mhz": optional(fraction),
}
MEASURE: dict[str, Shape] = {
    "name": text,
    "unit": text,
    "scale": count,
    "many": flag,
    "more_is_better": flag,
}


def fewer(rows: Sequence[IntervalRow], wall_s: float, most: int) -> Sequence[IntervalRow]:
    """The same rows, or neighbours together, so that there are at most so many."""
    log = _log_of(rows)
    if len(rows) <= most or log is None:
        return rows
    while len(rows) > most * log.scale:
        log.coarsen_to(2 * log.scale)
    return rows_of([rows], alone(wall_s), log)


def _log_of(rows: Sequence[IntervalRow]) -> IntervalLog | None:
    length_s = length_of([rows])
    return counted_of([rows], length_s) if length_s else None


def alone(wall_s: float) -> Order:
    return Order((0.0,), (wall_s,), together=True)


def cells_of(rows: Sequence[IntervalRow]) -> int:
    return sum(row.index.size for row in rows)


def plain_cpu(cpu: CpuUse) -> dict[str, Any]:
    groups = [said(group, GROUP) for group in cpu.groups]
    return {**said(cpu, CPU), "groups": groups, "seen_mhz": _bytes(cpu.seen_mhz)}


def cpu_of(value: Any) -> CpuUse:
    groups = items(fields(GroupUse, GROUP), MOST_WORKERS)
    shapes = {**CPU, "groups": lambda each: tuple(groups(each)), "seen_mhz": _mhz_of}
    return fields(CpuUse, shapes)(value)


def _bytes(values: Sequence[float]) -> bytes:
    return np.array(values, "<f8").tobytes()


def _mhz_of(value: Any) -> tuple[float, ...]:
    values = np.frombuffer(value, "<f8")
    if values.size and not (np.all(np.isfinite(values)) and float(values.min()) >= 0):
        raise ValueError("a frequency that is none")
    return tuple(values.tolist())


def plain_confidence(confidence: Confidence) -> tuple:
    response = [(at, vars(each).copy()) for at, each in confidence.response.items()]
    return vars(confidence.throughput).copy(), response, confidence.level


def confidence_of(value: Any) -> Confidence:
    throughput, response, level = value
    return Confidence(ESTIMATE(throughput), _by_percentile(response), finite(level, most=1.0))


def _by_percentile(value: Any) -> dict[float, Estimate]:
    pairs = items(lambda pair: (finite(pair[0], most=100.0), ESTIMATE(pair[1])), _PERCENTILES)
    return dict(pairs(value))


def plain_evidence(evidence: Evidence | None, most_cells: int) -> tuple | None:
    if evidence is None:
        return None
    found = evidence.found()
    if sum(one.index.size for one in found) > most_cells:
        return None
    if found and found[-1].number >= Evidence.LIMIT:
        # Few of them are filled: requests were far between, or began late in another's place.
        evidence = deepcopy(evidence)
        while found[-1].number >= Evidence.LIMIT:
            evidence.coarsen_to(2 * evidence.length_s)
            found = evidence.found()
    ratio = round(evidence.length_s / evidence.interval_s)
    return evidence.interval_s, ratio, list(evidence.percentiles), plain_intervals(found)


def evidence_of(value: Any) -> Evidence:
    interval_s, ratio, percentiles, data = value
    asked = items(lambda each: finite(each, most=100.0), _PERCENTILES)(percentiles)
    evidence = Evidence(finite(interval_s, least=1e-9), asked)
    times = whole(ratio, _EVER, least=1)
    if times & (times - 1):
        raise ValueError("intervals that were not doubled")
    evidence.coarsen_to(times * evidence.interval_s)
    evidence.add(
        (0, replace(one, number=one.number * times))
        for one in intervals_of(data, Evidence.LIMIT - 1)
    )
    return evidence


def plain_measured(each: Measured, wall_s: float, most_rows: int, most_cells: int) -> dict:
    rows = fewer(each.intervals, wall_s, most_rows)
    while cells_of(rows) > most_cells and len(rows) > 1:
        rows = fewer(rows, wall_s, (len(rows) + 1) // 2)
    return {
        **said(each.measure, MEASURE),
        "histogram": plain_histogram(each.histogram),
        "intervals": plain_rows(rows),
        "confidence": [(at, vars(one).copy()) for at, one in each.confidence.items()],
        "evidence": plain_evidence(each.evidence, most_cells),
    }


def _measured_of(value: Any) -> Measured:
    found = told(
        value,
        {
            "histogram": histogram_of,
            "intervals": told_rows,
            "confidence": _by_percentile,
            "evidence": optional(evidence_of),
        },
    )
    return Measured(fields(Measure, MEASURE)(value), **found)


def measures_of(value: Any) -> dict[str, Measured]:
    return {each.measure.name: each for each in items(_measured_of, MOST_MEASURES)(value)}

"""The measures of several runs of one plan as those of one run: histograms merged, intervals in
sequence, confidence from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qs.engine.measures.checking import COUNTS, HAPPENED, OUTCOMES
from qs.engine.measures.found import STAMPS
from qs.engine.measures.measure import HAPPENED_NS
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalRow
from qs.engine.record.report import summed
from qs.engine.result import Measured, RunResult
from qs.engine.statistics.confidence import Evidence
from qs.engine.statistics.estimate import Estimate

# How long a run took, and its intervals.
Stretch = tuple[float, Sequence[IntervalRow]]


def joined_measures(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Those fields of a result, of at least two. What one run does not have, all do not have."""
    bounded = all(run.good is not None for run in runs)
    misread = {what: why for run in runs for what, why in run.misread.items()}
    return {
        "measures": {
            name: _measured([run.measures[name] for run in runs], [run.wall_s for run in runs])
            for name in runs[0].measures
            if all(name in run.measures for run in runs)
        },
        "outcomes": {} if OUTCOMES in misread else summed(run.outcomes for run in runs),
        "read": {} if COUNTS in misread else summed(run.read for run in runs),
        "good": sum(run.good or 0 for run in runs) if bounded else None,
        "good_by_interval": [many for run in runs if bounded for many in run.good_by_interval],
        "good_per_s": _good_per_s(runs) if bounded else None,
        "happened": {} if HAPPENED in misread else _happened(runs),
        "sampled": _sampled(runs),
        "unread": sum(run.unread for run in runs),
        "unread_why": {code: why for run in runs for code, why in run.unread_why.items()},
        "written_bytes": sum(run.written_bytes for run in runs),
        "longest_write_ns": max(run.longest_write_ns for run in runs),
        "misread": misread,
    }


def merged(histograms: Iterable[Histogram]) -> Histogram:
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole


def in_sequence(stretches: Sequence[Stretch]) -> list[IntervalRow]:
    """The intervals of each run behind those of the run before."""
    rows: list[IntervalRow] = []
    begun_s = 0.0
    for wall_s, intervals in stretches:
        rows += [replace(row, start_s=begun_s + row.start_s) for row in intervals]
        begun_s += wall_s
    return rows


def evidence_of(
    stretches: Sequence[Stretch], percentiles: Iterable[float], of: str = "requests"
) -> tuple[Evidence, float] | None:
    """How far to trust all of them, from their whole intervals (the rest of a run that is shorter
    than one is left out), and how long those took; None if there are none.
    """
    length_s = max((row.length_s for _, rows in stretches for row in rows), default=0.0)
    if not length_s:
        return None
    evidence, passed = Evidence(length_s, percentiles, of), 0
    for wall_s, rows in stretches:
        whole = int(wall_s / length_s + 1e-9)
        for row in rows:
            number = int(row.start_s / length_s + 1e-9)
            if number < whole:
                one = Interval.compact(passed + number, row.index, row.counts, row.errors)
                evidence.add([(0, one)])
        passed += whole
    return evidence, passed * length_s


def _measured(found: Sequence[Measured], walls_s: Sequence[float]) -> Measured:
    first = found[0]
    stretches = [(wall_s, each.intervals) for wall_s, each in zip(walls_s, found)]
    of = "values" if first.measure.many else "requests"
    evidence = evidence_of(stretches, first.confidence, of)
    return Measured(
        first.measure,
        merged(each.histogram for each in found),
        in_sequence(stretches),
        {} if evidence is None else evidence[0].confidence(evidence[1]).response,
    )


def _good_per_s(runs: Sequence[RunResult]) -> Estimate | None:
    one = np.zeros(1, np.int64)
    stretches = [
        (
            run.wall_s,
            [
                replace(row, errors=0, index=one[: many > 0], counts=np.array([many][: many > 0]))
                for row, many in zip(run.intervals, run.good_by_interval)
            ],
        )
        for run in runs
    ]
    evidence = evidence_of(stretches, ())
    return None if evidence is None else evidence[0].confidence(evidence[1]).throughput


def _happened(runs: Sequence[RunResult]) -> dict[str, np.ndarray]:
    """By windows, those of each run behind those of the run before."""
    names = dict.fromkeys(name for run in runs for name in run.happened)
    if not names:
        return {}
    ends = np.cumsum([run.wall_s for run in runs]) * 1e9 / HAPPENED_NS
    begins = [0, *np.round(ends[:-1]).astype(int).tolist()]
    size = max(
        begin + column.size for begin, run in zip(begins, runs) for column in run.happened.values()
    )
    whole = {name: np.zeros(size, np.int64) for name in names}
    for begin, run in zip(begins, runs):
        for name, column in run.happened.items():
            whole[name][begin : begin + column.size] += column
    return whole


def _sampled(runs: Sequence[RunResult]) -> dict[str, np.ndarray]:
    """Single requests of all runs, as many as the largest sample has, at even distances."""
    names = [name for name in runs[0].sampled if all(name in run.sampled for run in runs)]
    if not names:
        return {}
    begins_ns = [0, *np.cumsum([round(run.wall_s * 1e9) for run in runs])[:-1].tolist()]
    whole = {
        name: np.concatenate(
            [
                np.where(run.sampled[name] < 0, -1, run.sampled[name] + begin_ns)
                if name in STAMPS
                else run.sampled[name]
                for begin_ns, run in zip(begins_ns, runs)
            ]
        )
        for name in names
    }
    most, size = max(run.sampled[names[0]].size for run in runs), whole[names[0]].size
    chosen = np.linspace(0, size - 1, most).round().astype(np.int64)
    return {name: column[chosen] for name, column in whole.items()}

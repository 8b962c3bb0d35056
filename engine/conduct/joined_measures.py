"""The measures of several runs of one plan as those of one run: histograms merged, intervals in
their order, confidence from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qs.engine.conduct.joined_rows import Order, evidence_of, folded, rows_of
from qs.engine.measures.checking import COUNTS, HAPPENED, OUTCOMES
from qs.engine.measures.found import STAMPS
from qs.engine.measures.measure import HAPPENED_NS
from qs.engine.record.histogram import Histogram
from qs.engine.record.report import summed
from qs.engine.result import Measured, RunResult


def joined_measures(runs: Sequence[RunResult], order: Order, whole: RunResult) -> dict[str, Any]:
    """Those fields of a result, of at least two; `whole` has its intervals already. What one run
    does not have, all do not have.
    """
    bounded = all(run.good is not None for run in runs)
    misread = {what: why for run in runs for what, why in run.misread.items()}
    return {
        "measures": {
            name: _measured([run.measures[name] for run in runs], order)
            for name in runs[0].measures
            if all(name in run.measures for run in runs)
        },
        "outcomes": {} if OUTCOMES in misread else summed(run.outcomes for run in runs),
        "read": {} if COUNTS in misread else summed(run.read for run in runs),
        **(_good(runs, order, whole) if bounded else _NO_GOOD),
        "happened": {} if HAPPENED in misread else _happened(runs, order),
        "sampled": _sampled(runs, order),
        "unread": sum(run.unread for run in runs),
        "unread_why": {code: why for run in runs for code, why in run.unread_why.items()},
        "written_bytes": sum(run.written_bytes for run in runs),
        "longest_write_ns": max(run.longest_write_ns for run in runs),
        "misread": misread,
    }


_NO_GOOD: dict[str, Any] = {
    "good": None,
    "good_by_interval": [],
    "good_per_s": None,
    "good_evidence": None,
}


def merged(histograms: Iterable[Histogram]) -> Histogram:
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole


def _measured(found: Sequence[Measured], order: Order) -> Measured:
    first = found[0]
    rows = [each.intervals for each in found]
    of = "values" if first.measure.many else "requests"
    evidence = evidence_of([each.evidence for each in found], rows, order, first.confidence, of)
    return Measured(
        first.measure,
        merged(each.histogram for each in found),
        rows_of(rows, order),
        {} if evidence is None else evidence[0].confidence(evidence[1]).response,
        None if evidence is None else evidence[0],
    )


def _good(runs: Sequence[RunResult], order: Order, whole: RunResult) -> dict[str, Any]:
    one = np.zeros(1, np.int64)
    rows = [
        [
            replace(row, errors=0, index=one[: many > 0], counts=np.array([many][: many > 0]))
            for row, many in zip(run.intervals, run.good_by_interval)
        ]
        for run in runs
    ]
    evidence = evidence_of([run.good_evidence for run in runs], rows, order, ())
    by_interval = [run.good_by_interval for run in runs]
    return {
        "good": sum(run.good or 0 for run in runs),
        "good_by_interval": folded(
            by_interval, [run.intervals for run in runs], order, whole.intervals
        ),
        "good_per_s": None if evidence is None else evidence[0].confidence(evidence[1]).throughput,
        "good_evidence": None if evidence is None else evidence[0],
    }


def _happened(runs: Sequence[RunResult], order: Order) -> dict[str, np.ndarray]:
    """By windows, those of each run from its begin on."""
    names = dict.fromkeys(name for run in runs for name in run.happened)
    if not names:
        return {}
    begins = [round(begin_s * 1e9 / HAPPENED_NS) for begin_s in order.begins_s]
    size = max(
        begin + column.size for begin, run in zip(begins, runs) for column in run.happened.values()
    )
    whole = {name: np.zeros(size, np.int64) for name in names}
    for begin, run in zip(begins, runs):
        for name, column in run.happened.items():
            whole[name][begin : begin + column.size] += column
    return whole


def _sampled(runs: Sequence[RunResult], order: Order) -> dict[str, np.ndarray]:
    """Single requests of all runs. Of runs one after the other as many as the largest sample has,
    at even distances; those that went on together have parts of one sample.
    """
    if order.together:
        having = [(at, run) for at, run in zip(order.begins_s, runs) if run.sampled]
    else:
        having = list(zip(order.begins_s, runs))
    columns = [run.sampled for _, run in having]
    names = [name for name in columns[0] if all(name in each for each in columns)] if having else []
    if not names:
        return {}
    whole = {
        name: np.concatenate(
            [
                shifted(each[name], round(begin_s * 1e9)) if name in STAMPS else each[name]
                for (begin_s, _), each in zip(having, columns)
            ]
        )
        for name in names
    }
    if order.together:
        chosen = np.argsort(whole["completed_ns"], kind="stable")
    else:
        most, size = max(each[names[0]].size for each in columns), whole[names[0]].size
        chosen = np.linspace(0, size - 1, most).round().astype(np.int64)
    return {name: column[chosen] for name, column in whole.items()}


def shifted(stamps: np.ndarray, by_ns: int) -> np.ndarray:
    """Stamps from another start; -1 where there is none."""
    return np.where(stamps < 0, -1, stamps + by_ns)

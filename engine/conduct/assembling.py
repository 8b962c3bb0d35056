"""From the workers' memories and reports to one result: merging workers gives exactly what one
recorder would have held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from qs.engine.outcome import ErrorKind
from qs.engine.record.histogram import Histogram
from qs.engine.record.memory import Field, Outcome, Phase, WorkerMemory
from qs.engine.record.report import WorkerReport
from qs.engine.result import WarmUpResult


def histogram_of(memory: WorkerMemory, at: Field, counts: np.ndarray) -> Histogram:
    """One histogram of a worker: exact where the worker published its sums, else as exact as its
    counts.
    """
    cells = memory.published(at)
    if cells.counted == int(counts.sum()):
        histogram = Histogram(counts.copy())
        histogram.count, histogram.min_ns, histogram.max_ns, histogram.sum_ns = cells[:4]
    else:
        filled = np.flatnonzero(counts)
        histogram = Histogram.from_counts(filled, counts[filled])
    histogram.out_of_range = cells.out_of_range
    return histogram


def rescue(memory: WorkerMemory, open_loop: bool, timeout_ns: int) -> None:
    """Count the requests that a lost worker had completed and not counted yet; its memory is then
    as if it had ended there.

    Requests that failed were counted at once.
    """
    header = memory.header
    in_slice = (
        header[Field.SLICE_NS]
        and not header[Field.FLUSHING]
        and header[Field.PHASE] == Phase.MEASURE
    )
    header[Field.PHASE] = Phase.DONE
    rows = int(np.count_nonzero(memory.completed)) if in_slice else 0
    due, issued, completed = memory.due[:rows], memory.issued[:rows], memory.completed[:rows]
    late = completed - issued > timeout_ns
    answered = memory.outcome[:rows] == Outcome.COMPLETED
    header[Field.FAILED] += np.count_nonzero(late & answered)
    header[Field.TIMED_OUT] += np.count_nonzero(late & answered)
    good = answered & ~late
    due, issued, completed = due[good], issued[good], completed[good]
    if not completed.size:
        return
    current = Histogram(memory.interval)
    if open_loop:
        current.record(completed - due)
        Histogram(memory.service).record(completed - issued)
        Histogram(memory.lateness).record(np.maximum(issued - due, 0))
    else:
        current.record(completed - issued)
    header[Field.COMPLETED] += completed.size
    header[Field.LAST_COMPLETED_NS] = completed[-1]


def merged(
    memories: Sequence[WorkerMemory], open_loop: bool
) -> tuple[Histogram, Histogram, Histogram]:
    """Response, service and lateness of all workers."""
    response, service, lateness = Histogram(), Histogram(), Histogram()
    for memory in memories:
        response.merge(histogram_of(memory, Field.RESPONSE, memory.response))
        unfinished = np.flatnonzero(memory.interval)
        if unfinished.size:
            response.merge(Histogram.from_counts(unfinished, memory.interval[unfinished]))
        if open_loop:
            service.merge(histogram_of(memory, Field.SERVICE, memory.service))
            lateness.merge(histogram_of(memory, Field.LATENESS, memory.lateness))
    return response, (service if open_loop else response), lateness


def arrivals_of(reports: Sequence[WorkerReport]) -> np.ndarray:
    """Requests due per interval over all workers."""
    length = max((len(report.arrivals) for report in reports), default=0)
    total = np.zeros(length, np.int64)
    for report in reports:
        total[: len(report.arrivals)] += np.array(report.arrivals, np.int64)
    return np.trim_zeros(total, "b")


def errors_of(
    reports: Sequence[WorkerReport], memories: Sequence[WorkerMemory], lost: Counter[str]
) -> dict[str, int]:
    """Failed requests by kind. A lost worker reports no kinds; its count is in its memory."""
    errors: Counter[str] = Counter(lost)
    for report, memory in zip(reports, memories):
        errors.update(report.errors)
        unnamed = int(memory.header[Field.FAILED]) - sum(report.errors.values())
        if unnamed > 0:
            errors[ErrorKind.UNKNOWN] += unnamed
        if memory.header[Field.DROPPED]:
            errors[ErrorKind.DROPPED] += int(memory.header[Field.DROPPED])
    return {str(kind): count for kind, count in errors.items()}


def warm_up_of(reports: Sequence[WorkerReport]) -> WarmUpResult:
    warm = [report.warm for report in reports if report.warm is not None]
    completed = sum(one.completed for one in warm)
    if not warm:
        return WarmUpResult()
    mean = sum(one.mean_ns * one.completed for one in warm) / completed if completed else 0.0
    return WarmUpResult(
        completed, sum(one.failed for one in warm), max(one.wall_ns for one in warm) / 1e9, mean
    )

"""From the workers' memories and reports to one result: merging workers gives exactly what one
recorder would have held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qs.engine.clock import FOREVER_NS
from qs.engine.conduct.ending import RunEnd
from qs.engine.conduct.layout import Layout
from qs.engine.conduct.losses import Losses
from qs.engine.conduct.measuring import Measuring
from qs.engine.conduct.offered import due_before, last_due_ns
from qs.engine.files import columns_of
from qs.engine.outcome import Ending, ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval, IntervalLog
from qs.engine.record.memory import Field, WorkerMemory
from qs.engine.record.report import WorkerReport, summed
from qs.engine.result import RunResult, WarmUpResult
from qs.engine.statistics.confidence import PERCENTILES, Evidence
from qs.engine.statistics.estimate import Confidence

EVER = 1 << 40  # more intervals than any run has
Tap = Callable[[Sequence[tuple[int, Interval]]], None]


class Gathered:
    """The intervals that the workers have closed so far: for the result's rows, and for how far to
    trust its figures.
    """

    def __init__(self, plan: RunPlan, tap: Tap | None = None):
        """`tap` is told of all of them too."""
        length_s = plan.recorded_ns / 1e9
        self._tap = tap
        self.log = IntervalLog(length_s, plan.recorded_per_interval)
        self.evidence = Evidence(length_s, (*PERCENTILES, plan.stop.stable_percentile))

        # by session and worker: the same intervals again, and their failures
        self._sent: dict[tuple[int, int], IntervalLog] = {}
        self._failed: Counter[tuple[int, int]] = Counter()

    def add(self, session: int, intervals: Sequence[tuple[int, Interval]]) -> None:
        self.log.add(intervals)
        self.evidence.add(intervals)
        if self._tap is not None:
            self._tap(intervals)
        for worker, interval in intervals:
            place = session, worker
            self._failed[place] += interval.failed
            if place not in self._sent:
                self._sent[place] = IntervalLog(self.log.interval_s, scale=EVER)
            self._sent[place].add([(worker, interval)])

    def recover(self, session: int, worker: int, memory: WorkerMemory, most: int) -> None:
        """Add what a lost worker had counted and not sent: the intervals before the one in progress
        as one, which they are but for a moment. None has a number above `most`.
        """
        sent = self._sent.get((session, worker))
        rest = memory.response.copy()
        for cell in [] if sent is None else sent.cells(EVER * self.log.interval_s)[0]:
            rest[cell.index] -= cell.counts
        header = memory.header
        lost = header[Field.FAILED] + header[Field.DROPPED] - self._failed[session, worker]
        number = min(max(int(header[Field.INTERVAL]), 0), most)
        parts = (max(number - 1, 0), np.maximum(rest, 0), 0), (number, memory.interval, int(lost))
        for at, counts, failed in parts:
            index = np.flatnonzero(counts)
            if index.size or failed > 0:
                one = Interval.compact(at, index, counts[index], max(failed, 0))
                self.add(session, [(worker, one)])

    def fail(self, moment_ns: int, requests: int) -> int:
        """Add failures that are in no worker's intervals, at a time from the start; returns the
        interval's number.
        """
        number = moment_ns // round(self.log.interval_s * 1e9)
        none = np.zeros(0, np.int64)
        found = [(-1, Interval(number, none, none, requests))]
        self.log.add(found)
        if self._tap is not None and requests:
            self._tap(found)
        return number


@dataclass(frozen=True)
class Finished:
    """Everything that a run leaves behind."""

    plan: RunPlan
    layout: Layout
    end: RunEnd
    losses: Losses
    gathered: Gathered
    measuring: Measuring
    # when stability ended the run: the intervals that it had at that moment
    stable: Confidence | None
    reports: Sequence[WorkerReport]
    started_at: float  # seconds since the epoch
    now_ns: int

    def result(self) -> RunResult:
        """All that was measured. It is not judged yet."""
        plan, layout, end, reports = self.plan, self.layout, self.end, self.reports
        memories = layout.memories
        self._recover()
        response, service, lateness = merged(memories, plan.open_loop)
        last_ns = layout.last_answer_ns()
        completed = layout.total(Field.COMPLETED)
        errors = errors_of(reports, memories, self.losses.errors)
        accounted = completed + sum(errors.values())
        ended_by = end.reason(accounted, last_ns, self.now_ns, bool(self.losses.found))
        wall_ns = end.wall_ns(ended_by, last_ns)
        wall_s = wall_ns / 1e9
        not_issued = self._not_issued(accounted, ended_by)
        if not_issued:
            kind = ErrorKind.NOT_ISSUED.value
            errors[kind] = errors.get(kind, 0) + not_issued
        arrivals = arrivals_of(reports)
        moments_ns = self.losses.moments_ns + Counter({end.start_ns + wall_ns: not_issued})
        for moment_ns, requests in moments_ns.items():
            since_ns = min(max(moment_ns - end.start_ns, 0), max(wall_ns - 1, 0))
            number = self.gathered.fail(since_ns, requests)
            more = max(number + 1 - arrivals.size, 0)
            arrivals = np.concatenate([arrivals, np.zeros(more, np.int64)])
            arrivals[number] += requests
        lost = any(report.worker < 0 for report in reports)
        firsts = [int(memory.header[Field.FIRST_NS]) for memory in memories]
        measured_s = end.measured_ns(end.start_ns + wall_ns) / 1e9
        result = RunResult(
            completed=completed,
            errors_by_kind=errors,
            wall_s=wall_s,
            response=response,
            service=service,
            lateness=lateness,
            intervals=self.gathered.log.rows(arrivals, wall_s, lost),
            warmup=warm_up_of(reports),
            planned=plan.planned,
            first_ns=next(filter(None, firsts), 0),
            open_loop=plan.open_loop,
            pool=plan.pool.kind,
            workers=layout.workers,
            clients=plan.clients,
            started_at=self.started_at,
            start_ns=end.start_ns,
            interrupted=ended_by is Ending.INTERRUPT or end.unread,
            ended_by=Ending.INTERRUPT if end.unread else ended_by,
            first_fault=next(filter(None, (report.first_fault for report in reports)), None),
            losses=self.losses.found,
            warnings=self.losses.warnings(),
            batches=None if plan.batching is None else layout.total(Field.BATCHES),
            slices=self._slices(),
            columns=columns_of(reports, end.start_ns, plan.parts) if layout.keep_columns else None,
            parts=parts_of(memories, plan.parts),
            counts=summed(report.counts for report in reports),
            collections=sum(report.collections for report in reports),
            longest_collection_ns=max(report.longest_collection_ns for report in reports),
            worker_cpu_s=sum(report.cpu_ns for report in reports) / 1e9,
            confidence=self._confidence(ended_by, measured_s),
            rates=self.gathered.evidence.rates(measured_s),
            evidence=self.gathered.evidence,
            evidence_s=measured_s,
            samples_per_query=plan.samples_per_query or 1,
            seed=plan.load.seed,
            offered_s=self._offered_s(ended_by),
        )
        dead = bool(self.losses.dead)
        self.measuring.into(result, self.gathered.log.scale, measured_s, dead)
        return result

    def _recover(self) -> None:
        """Bring the intervals of lost workers up to what their memories hold."""
        # What a process left behind may be anything: nothing lies after this moment.
        most = max(self.now_ns - self.end.start_ns, 0) // self.plan.recorded_ns
        for number, worker, interval in self.losses.rescued:
            self.gathered.add(
                number, [(worker, replace(interval, number=min(interval.number, most)))]
            )
        for number, session in enumerate(self.layout.sessions):
            for worker, memory in enumerate(session.memories, session.share.first):
                if number in self.losses.dead or memory.header[Field.GIVEN_UP]:
                    self.gathered.recover(number, worker, memory, most)

    def _offered_s(self, ended_by: Ending) -> float | None:
        """For how long requests fell due: until the schedule's own end, or what cut it."""
        plan, end = self.plan, self.end
        if not plan.scheduled or not plan.load.sets_rate:
            return None
        if plan.stop.iterations is not None and ended_by is Ending.PLAN:
            return last_due_ns(plan) / 1e9
        ends = [] if end.scheduled_ns >= FOREVER_NS else [end.scheduled_ns]
        if end.halt is not None and end.stopped_ns is not None:
            ends.append(end.stopped_ns)
        if plan.load.duration_s is not None:
            ends.append(end.start_ns + int(plan.load.duration_s * 1e9))
        return max(min(ends, default=self.now_ns) - end.start_ns, 0) / 1e9

    def _confidence(self, ended_by: Ending, measured_s: float) -> Confidence:
        if ended_by is Ending.STABLE and self.stable is not None:
            return self.stable
        return self.gathered.evidence.confidence(measured_s)

    def _slices(self) -> list[tuple[int, int, int, int]]:
        start_ns = self.end.start_ns
        return [
            (report.worker, began - start_ns, ended - start_ns, rows)
            for report in self.reports
            for began, ended, rows in report.slices
        ]

    def _not_issued(self, accounted: int, ended_by: Ending) -> int:
        """How many requests were due but had no turn because the run was cut short, and how many of
        a stated number none was left to make. The schedule is counted again for that.
        """
        plan, losses, now_ns = self.plan, self.losses, self.now_ns
        if ended_by is Ending.LOST and plan.planned is not None:
            return max(plan.planned - accounted, 0)
        if not plan.scheduled:
            return 0
        limits = (memory.header[Field.DRAIN_NS] for memory in self.layout.memories)
        cut_short = self.end.halt is not None or any(0 < limit < now_ns for limit in limits)
        if not (cut_short or losses.abandoned or losses.dead):
            return 0
        return max(due_before(plan, self.end.issuing_ns(now_ns)) - accounted, 0)


def histogram_of(memory: WorkerMemory, at: int, counts: np.ndarray) -> Histogram:
    """One histogram of a worker: exact where the worker published its sums, else as exact as its
    counts.
    """
    cells = memory.published(at)
    counts = counts.copy()  # its worker may go on
    if cells.counted == int(counts.sum()):
        histogram = Histogram(counts)
        histogram.count, histogram.min_ns, histogram.max_ns, histogram.sum_ns = cells[:4]
    else:
        filled = np.flatnonzero(counts)
        histogram = Histogram.from_counts(filled, counts[filled])
    histogram.out_of_range = cells.out_of_range
    return histogram


def merged(
    memories: Sequence[WorkerMemory], open_loop: bool
) -> tuple[Histogram, Histogram, Histogram]:
    """Response, service and lateness of all workers."""
    response, service, lateness = Histogram(), Histogram(), Histogram()
    for memory in memories:
        response.merge(histogram_of(memory, Field.RESPONSE, memory.response))
        interval = memory.interval.copy()
        unfinished = np.flatnonzero(interval)
        if unfinished.size:
            response.merge(Histogram.from_counts(unfinished, interval[unfinished]))
        if open_loop:
            service.merge(histogram_of(memory, Field.SERVICE, memory.service))
            lateness.merge(histogram_of(memory, Field.LATENESS, memory.lateness))
    return response, (service if open_loop else response), lateness


def parts_of(memories: Sequence[WorkerMemory], parts: Sequence[str]) -> dict[str, Histogram]:
    """The histogram of each part, of all workers."""
    found = {part: Histogram() for part in parts}
    for memory in memories:
        for part, counts in memory.parts.items():
            found[part].merge(histogram_of(memory, memory.at_part(part), counts))
    return found


def arrivals_of(reports: Sequence[WorkerReport]) -> np.ndarray:
    """Requests due per interval over all workers."""
    length = max((len(report.arrivals) for report in reports), default=0)
    total = np.zeros(length, np.int64)
    for report in reports:
        total[: len(report.arrivals)] += np.array(report.arrivals, np.int64)
    return np.trim_zeros(total, "b")


def errors_of(
    reports: Sequence[WorkerReport], memories: Sequence[WorkerMemory], lost: Mapping[ErrorKind, int]
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
        completed=completed,
        errors=sum(one.failed for one in warm),
        wall_s=max(one.wall_ns for one in warm) / 1e9,
        mean_ns=mean,
        timed_out=sum(one.timed_out for one in warm),
    )

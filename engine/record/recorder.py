"""Turns a slice's columns into counts: histograms, intervals, errors. Called between slices, never
inside the timed loop.

A worker stores the issued and completed times (and the due time in open loop) of its requests row
by row; `flush` counts the rows of one slice. Whatever others may want to see lies in the worker's
memory, so it survives the worker.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from qs.engine.clock import MONOTONIC
from qs.engine.errors import describe
from qs.engine.outcome import ErrorKind
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Outcome, WorkerMemory
from qs.engine.record.parts import durations_of
from qs.engine.record.report import Columns, WarmUp, WorkerReport

# The rows of a slice that are looked at for the engine's own lateness: a sample, so that it costs
# the same at every rate.
PACED_ROWS = 512
# The most slices of a worker that are kept for a trace.
MOST_SLICES = 2_048
BAD_TIMES = (
    "the call's times cannot be: issued_ns and last_ns must be perf_counter_ns, in this order, "
    "between the call of `start` and that of `done`"
)
# The most kinds of failures that are told apart: a target may name them as it likes.
MOST_KINDS = 1_000
# Kinds of failures that are no answer: the run gave up waiting, at a time of its own.
NO_ANSWER = frozenset({ErrorKind.HUNG, ErrorKind.CUT_OFF, ErrorKind.NOT_ISSUED})


def _pass() -> None:
    pass


_NO_TIMES = np.zeros(0, np.int64)


class Recorder:
    """One worker's recorder of one phase. Without `open_loop` there are no due times, and response
    time is service time.
    """

    def __init__(
        self,
        memory: WorkerMemory,
        *,
        interval_ns: int,
        timeout_ns: int,
        open_loop: bool,
        keep_columns: bool = False,
        keep_slices: bool = False,
        on_failure: Callable[[], None] = _pass,
    ):
        self.brought = False  # whether the times in the rows are the target's own
        # what keeps each started request that has ended: its call, its due time, its failure
        self.keep: Callable[[Any, int, str | None], None] | None = None
        self.memory = memory
        self.rows = memory.rows
        self.open_loop = open_loop
        self.errors: Counter[str] = Counter()
        self.closed: list[Interval] = []
        self.arrivals = np.zeros(64, np.int64)
        self.kept: list[Columns] | None = [] if keep_columns else None
        self.slices: list[tuple[int, int, int]] | None = [] if keep_slices else None
        self.first_fault: str | None = None
        self._interval_ns = interval_ns
        self._timeout_ns = timeout_ns
        self._header = memory.header
        self._interval = 0
        self._interval_failed = 0
        self._failed_ns: list[int] = []
        self._dropped_ns: list[int] = []
        self._on_failure = on_failure
        self._current = Histogram(memory.interval)
        self._response = Histogram(memory.response)
        self._service = Histogram(memory.service)
        self._lateness = Histogram(memory.lateness)
        self._paced = Histogram()
        self._parts = {name: Histogram(counts) for name, counts in memory.parts.items()}
        self._free_ns = 0
        self._marked = False  # whether a row of this slice holds a failed request
        # The hot loop stores through these: an item assignment to a typed memoryview is cheaper
        # than one to a numpy array.
        self.due = memory.due.data
        self.issued = memory.issued.data
        self.completed = memory.completed.data
        self.stamps = {name: column.data for name, column in memory.stamps.items()}

    def begin(self, now_ns: int) -> None:
        """A slice begins: from here rows are written from the first."""
        self.memory.completed[: int(self._header[Field.ROWS])] = 0
        if self._marked:
            self.memory.outcome[:] = Outcome.COMPLETED
            self._marked = False
        self._header[Field.ROWS] = 0
        self._header[Field.SLICE_NS] = now_ns

    def fail(
        self,
        kind: str,
        now_ns: int,
        detail: str | None = None,
        row: int | None = None,
    ) -> None:
        """Count a request that failed; its times are in no histogram. `row` is the row that holds
        them; without one it has none, and counts as due now.
        """
        if row is None:
            self._arrive(np.array([now_ns]))
        else:
            timed_out = kind == ErrorKind.TIMEOUT
            self.memory.outcome[row] = Outcome.TIMED_OUT if timed_out else Outcome.FAILED
            self._marked = True
        self._fail(kind, now_ns)
        if self.first_fault is None and detail:
            self.first_fault = detail

    def raised(self, fault: BaseException, now_ns: int, row: int) -> None:
        """Count a request whose target raised. Only the first is described: that reads source files
        and takes milliseconds.
        """
        detail = describe(fault) if self.first_fault is None else None
        self.fail(type(fault).__name__, now_ns, detail, row)

    def _fail(self, kind: str, now_ns: int) -> None:
        header = self._header
        if len(self.errors) >= MOST_KINDS and kind not in self.errors:
            kind = ErrorKind.OTHER
        self.errors[kind] += 1
        header[Field.FAILED] += 1
        if kind not in NO_ANSWER and now_ns > header[Field.LAST_FAILED_NS]:
            header[Field.LAST_FAILED_NS] = now_ns
        # Counted into its interval at the next flush, with the rows that completed before it.
        self._failed_ns.append(now_ns)
        self._on_failure()

    def drop(self, due_ns: int, now_ns: int) -> None:
        """Count a due request that is not issued, since too many wait behind it."""
        self._header[Field.DROPPED] += 1
        self._dropped_ns.append(due_ns)
        self._failed_ns.append(now_ns)
        self._on_failure()

    def flush(self, rows: int) -> None:
        """Count the first `rows` rows, but for those that `fail` has counted already."""
        header = self._header
        if header[Field.GIVEN_UP]:
            return  # it returned after its rows had been counted for it
        header[Field.ROWS] = rows
        header[Field.FLUSHING] = 1
        if rows:
            memory = self.memory
            if self.brought:
                self._settle(rows)
            issued, completed = memory.issued[:rows], memory.completed[:rows]
            due = memory.due[:rows] if self.open_loop else issued
            if self.slices is not None:
                self._keep_slice(int(issued[0]), int(completed[-1]), rows)
            self._arrive(due)
            if self.open_loop:
                self._pace(due, issued, completed)
            if not header[Field.FIRST_NS]:
                answered = np.flatnonzero(memory.outcome[:rows] == Outcome.COMPLETED)[:1]
                for first in answered.tolist():  # a failure at once is no answer
                    header[Field.FIRST_NS] = completed[first] - issued[first]
            if self.kept is not None:
                outcome = memory.outcome[:rows].copy()
                late = (completed - issued) > self._timeout_ns
                outcome[late & (outcome == Outcome.COMPLETED)] = Outcome.TIMED_OUT
                parts = (self._part(part, rows) for part in memory.parts)
                kept = [np.where(known, took, -1) for took, known in parts]
                self.kept.append((due.copy(), issued.copy(), completed.copy(), *kept, outcome))
            for part, histogram in self._parts.items():
                took, known = self._part(part, rows)
                on_time = (completed - issued) <= self._timeout_ns
                histogram.record(took[known & on_time & (memory.outcome[:rows] == 0)])
            if self._marked:
                good = memory.outcome[:rows] == Outcome.COMPLETED
                due, issued, completed = due[good], issued[good], completed[good]
            self._count(due, issued, completed)
        elif self._failed_ns:
            self._by_interval(_NO_TIMES, _NO_TIMES)
        header[Field.FLUSHING] = 0
        header[Field.SLICE_NS] = 0

    def _part(self, part: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
        memory = self.memory
        stamps = {name: column[:rows] for name, column in memory.stamps.items()}
        return durations_of(part, stamps, memory.issued[:rows], memory.completed[:rows])

    def _settle(self, rows: int) -> None:
        """Of times that a target brings: those that cannot be are no answer's, and the rows are
        put in the order of completion.
        """
        memory, now = self.memory, MONOTONIC.now_ns()
        due, issued, completed = (
            column[:rows] for column in (memory.due, memory.issued, memory.completed)
        )
        wrong = (issued < due) | (completed < issued) | (completed > now)
        if wrong.any():
            answered = wrong & (memory.outcome[:rows] == Outcome.COMPLETED)
            np.clip(issued, due, now, out=issued)
            np.clip(completed, issued, now, out=completed)
            for row in np.flatnonzero(answered).tolist():
                self.fail(ErrorKind.BAD_TIMES, int(completed[row]), BAD_TIMES, row)
        if np.any(completed[1:] < completed[:-1]):
            order = np.argsort(completed, kind="stable")
            columns = (due, issued, completed, memory.outcome, *memory.stamps.values())
            for column in columns:
                column[:rows] = column[:rows][order]

    def _keep_slice(self, began_ns: int, ended_ns: int, rows: int) -> None:
        """(first issued, last completed, requests); neighbours are merged when there are too
        many.
        """
        assert self.slices is not None
        self.slices.append((began_ns, ended_ns, rows))
        if len(self.slices) >= MOST_SLICES:
            pairs = zip(self.slices[::2], self.slices[1::2])
            self.slices[:] = [
                (first[0], second[1], first[2] + second[2]) for first, second in pairs
            ]

    def _pace(self, due: np.ndarray, issued: np.ndarray, completed: np.ndarray) -> None:
        """Keep the lateness of requests that the worker waited for: it was free when they fell due,
        and had only to wake up in time.
        """
        free = np.empty(min(due.size, PACED_ROWS), np.int64)
        free[0] = self._free_ns
        free[1:] = completed[: free.size - 1]
        self._free_ns = int(completed[-1])
        due = due[: free.size]
        self._paced.record(np.maximum(issued[: free.size] - due, 0)[due > free])

    def paced(self) -> list[tuple[int, int]]:
        """Histogram index and count of the lateness of such requests. It means something only if
        the rows are written in the order of their due times.
        """
        filled = np.flatnonzero(self._paced.counts)
        return list(zip(filled.tolist(), self._paced.counts[filled].tolist()))

    def _count(self, due: np.ndarray, issued: np.ndarray, completed: np.ndarray) -> None:
        header = self._header
        service = completed - issued
        if service.size and int(service.max()) > self._timeout_ns:
            on_time = service <= self._timeout_ns
            late = completed[~on_time]
            for moment in late.tolist():
                self._fail(ErrorKind.TIMEOUT, moment)
            due, issued, completed, service = (
                due[on_time],
                issued[on_time],
                completed[on_time],
                service[on_time],
            )
        if self.open_loop:
            response = completed - due
            self._service.record(service)
            self._lateness.record(np.maximum(issued - due, 0))
        else:
            response = service
        self._by_interval(completed, response)
        if not completed.size:
            return
        header[Field.COMPLETED] += completed.size
        header[Field.LAST_COMPLETED_NS] = max(
            int(header[Field.LAST_COMPLETED_NS]), int(completed[-1])
        )

    def _by_interval(self, completed: np.ndarray, response: np.ndarray) -> None:
        """Count response times, and the failures since the last flush, into the intervals in which
        they returned.
        """
        if self._dropped_ns:
            dropped, self._dropped_ns = np.array(self._dropped_ns), []
            self._arrive(dropped)
        start = int(self._header[Field.START_NS])
        failed, self._failed_ns = sorted(self._failed_ns), []
        row = failure = 0
        while row < completed.size or failure < len(failed):
            moments = ([int(completed[row])] if row < completed.size else []) + failed[
                failure : failure + 1
            ]
            self._advance(min(moments))
            end_ns = start + (self._interval + 1) * self._interval_ns
            if row < completed.size:
                last = completed.size
                if completed[-1] >= end_ns:
                    last = int(np.searchsorted(completed, end_ns, "left"))
                self._current.record(response[row:last])
                row = last
            last_failure = bisect_left(failed, end_ns)
            self._interval_failed += last_failure - failure
            failure = last_failure

    def _advance(self, moment_ns: int) -> None:
        """Close the current interval if the moment lies beyond it."""
        number = (moment_ns - int(self._header[Field.START_NS])) // self._interval_ns
        if number > self._interval:
            self._close_interval()
            self._interval = self._header[Field.INTERVAL] = number

    def _close_interval(self) -> None:
        current = self._current
        if current.count or self._interval_failed or current.out_of_range:
            span = current.span
            part = current.counts[span]
            filled = np.flatnonzero(part)
            self.closed.append(
                Interval.compact(
                    self._interval, filled + span.start, part[filled], self._interval_failed
                )
            )
            self._response.merge(current)
            self.memory.publish(Field.RESPONSE, self._response)
            part[filled] = 0
            current.count = current.min_ns = current.max_ns = current.sum_ns = (
                current.out_of_range
            ) = 0
        self._interval_failed = 0

    def _arrive(self, due: np.ndarray) -> None:
        """Count requests by the interval in which they were due."""
        start, length = int(self._header[Field.START_NS]), self._interval_ns
        first, last = (max(int(edge) - start, 0) // length for edge in (due.min(), due.max()))
        if last >= self.arrivals.size:
            self.arrivals = np.concatenate(
                [
                    self.arrivals,
                    np.zeros(max(last + 1 - self.arrivals.size, self.arrivals.size), np.int64),
                ]
            )
        if first == last:  # the usual case, and int64 division is slow
            self.arrivals[first] += due.size
        else:
            found = np.bincount(np.maximum(due - start, 0) // length - first)
            self.arrivals[first : first + found.size] += found

    def finish(self) -> None:
        """Close the last interval; after this the memory holds everything that was measured."""
        if self._header[Field.GIVEN_UP]:
            return
        self._by_interval(_NO_TIMES, _NO_TIMES)
        self._close_interval()
        self.memory.publish(Field.SERVICE, self._service)
        self.memory.publish(Field.LATENESS, self._lateness)
        for part, histogram in self._parts.items():
            self.memory.publish(self.memory.at_part(part), histogram)

    def take_intervals(self) -> list[Interval]:
        """The intervals that were closed since the last call. Another thread may call it."""
        taken = []
        while self.closed:
            taken.append(self.closed.pop(0))
        return taken

    def report(self, report: WorkerReport) -> None:
        """Fill in what the worker's memory does not hold."""
        # A copy first: the worker may hang, and wake up meanwhile.
        report.errors = {str(kind): count for kind, count in dict(self.errors).items()}
        report.first_fault = self.first_fault
        report.arrivals = self.arrivals.tolist()
        report.columns = self.kept or []
        report.slices = self.slices or []
        report.paced = self.paced()

    def warm_up(self, wall_ns: int) -> WarmUp:
        """What a finished recorder of a warm-up holds."""
        header, response = self._header, self.memory.published(Field.RESPONSE)
        return WarmUp(
            completed=int(header[Field.COMPLETED]),
            failed=int(header[Field.FAILED]),
            wall_ns=wall_ns,
            first_ns=int(header[Field.FIRST_NS]),
            mean_ns=response.sum_ns / response.counted if response.counted else 0.0,
            first_fault=self.first_fault,
            timed_out=self.errors[ErrorKind.TIMEOUT],
        )

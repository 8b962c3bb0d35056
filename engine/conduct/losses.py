"""Workers and processes that a run loses: which hang or died, what is counted for them, and what
the result says about them.

A lost worker's memory survives it, so what it had completed and not counted yet is counted here;
the request in its hands is counted as an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from qs.engine.conduct.pulse import Pulse
from qs.engine.errors import HostDied
from qs.engine.hosts.host import Session
from qs.engine.outcome import ErrorKind, Loss
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Halt, Outcome, Phase, WorkerMemory
from qs.engine.record.parts import durations_of
from qs.engine.record.report import WorkerReport

# How long a host may take to answer once all its workers have ended or were given up.
_ANSWER_NS = 1_000_000_000
# How long a process may take, when the drain has passed, to give up its coroutines' requests.
_GIVING_UP_NS = 2_000_000_000


class Losses:
    """The losses of one run. Sessions are known by their number in the layout."""

    def __init__(self, plan: RunPlan):
        self._open_loop = plan.open_loop
        self._coroutines = plan.pool.kind == "async"
        self._timeout_ns = int(plan.timeout_s * 1e9)
        self._interval_ns = plan.recorded_ns
        self.found: list[Loss] = []
        # requests that were lost with their workers
        self.errors: Counter[ErrorKind] = Counter()
        # when each of them was given up
        self.moments_ns: Counter[int] = Counter()
        # what was counted for a lost worker: session, worker, interval
        self.rescued: list[tuple[int, int, Interval]] = []
        self.notes: Counter[str] = Counter()
        # sessions whose host was ended because it did not come back
        self.abandoned: set[int] = set()
        # sessions whose process was lost
        self.dead: set[int] = set()
        self._given_up_ns: dict[int, int] = {}
        self.pulse = Pulse(plan)

    def give_up_late(
        self, number: int, session: Session, now_ns: int, start_ns: int, drained: bool
    ) -> None:
        """Wait no longer for those workers of a session that hang, nor, once the run has `drained`,
        for any that have not ended.
        """
        if number in self.abandoned or session.inline:
            return
        silent = self.pulse.silent(session, now_ns, start_ns)
        if session.place and self.pulse.mute(session, now_ns):
            self._abandon(number, session)
            return
        if self._coroutines:
            hung, unfinished = bool(silent), _unfinished(session)
            if hung or drained and unfinished:
                since_ns = self._given_up_ns.setdefault(number, now_ns)
                if session.place and not hung and now_ns - since_ns < _GIVING_UP_NS:
                    return  # it ends what is in flight itself, and has what it kept still to read
                kind = ErrorKind.HUNG if hung else ErrorKind.CUT_OFF
                # In this process the coroutines' own group counts what it cuts off.
                if session.place and unfinished:
                    self._lose(kind, now_ns, unfinished)
                self._abandon(number, session)
            return
        for worker, memory in enumerate(session.memories, session.share.first):
            hung = memory in silent
            if memory.header[Field.PHASE] != Phase.DONE and (drained or hung):
                memory.header[Field.GIVEN_UP] = 1
                memory.header[Field.STOP] = Halt.NOW
                self._rescue(number, worker, memory)
                self._lose(ErrorKind.HUNG if hung else ErrorKind.CUT_OFF, now_ns)
        self._end_silent_host(number, session, now_ns)

    def _lose(self, why: ErrorKind, now_ns: int, requests: int = 1) -> None:
        self.errors[why] += requests
        self.moments_ns[now_ns] += requests

    def _rescue(self, number: int, worker: int, memory: WorkerMemory) -> None:
        found = rescue(memory, self._open_loop, self._timeout_ns, self._interval_ns)
        self.rescued += [(number, worker, interval) for interval in found]

    def _end_silent_host(self, number: int, session: Session, now_ns: int) -> None:
        """A host all of whose workers have ended or were given up answers at once, unless it hangs
        itself.
        """
        headers = [memory.header for memory in session.memories]
        if any(header[Field.PHASE] != Phase.DONE for header in headers):
            return
        if not any(header[Field.GIVEN_UP] for header in headers):
            return
        if now_ns - self._given_up_ns.setdefault(number, now_ns) > _ANSWER_NS:
            self._abandon(number, session)

    def _abandon(self, number: int, session: Session) -> None:
        self.abandoned.add(number)
        session.abandon()

    def count_death(self, number: int, session: Session, fault: BaseException, now_ns: int) -> None:
        """Count what a lost process had measured and not counted yet, and the requests that were
        lost with it. Counts each process once.
        """
        if number in self.dead:
            return
        self.dead.add(number)
        if number in self.abandoned:
            self.notes["a worker process did not come back and was ended"] += 1
            self.found.append(Loss(ErrorKind.HUNG, number))
        else:
            self._lose(ErrorKind.DIED, now_ns, max(_unfinished(session), 1))
            self.notes[f"a worker process was lost: {fault}"] += 1
            self.found.append(_death(number, fault))
        for worker, memory in enumerate(session.memories, session.share.first):
            self._rescue(number, worker, memory)

    def count_reported(self, number: int, reports: Sequence[WorkerReport], now_ns: int) -> None:
        """Take up what a session that has ended says of its own workers."""
        hung = [report.worker for report in reports if report.hung]
        self.found += [Loss(ErrorKind.HUNG, number, worker) for worker in hung]
        if hung:
            names = ", ".join(map(str, hung))
            self.notes[f"worker {names} did not come back and was abandoned"] += 1
        for report in reports:
            if report.crash:
                self._lose(ErrorKind.WORKER_FAILED, now_ns)
                self.found.append(Loss(ErrorKind.WORKER_FAILED, number, report.worker))
                last = report.crash.strip().splitlines()[-1]
                self.notes[f"worker {report.worker} failed outside its target: {last}"] += 1
                report.first_fault = report.first_fault or report.crash

    def warnings(self) -> list[str]:
        """The notes in words, each once."""
        return [
            note if times == 1 else f"{note} ({times} times)" for note, times in self.notes.items()
        ]


def _unfinished(session: Session) -> int:
    return sum(bool(memory.header[Field.PHASE] < Phase.READ) for memory in session.memories)


def _death(number: int, fault: BaseException) -> Loss:
    if not isinstance(fault, HostDied):
        return Loss(ErrorKind.DIED, number)
    return Loss(ErrorKind.DIED, number, exit=fault.exit, status=fault.status, signal=fault.signal)


def rescue(
    memory: WorkerMemory, open_loop: bool, timeout_ns: int, interval_ns: int
) -> list[Interval]:
    """Count the requests that a lost worker had completed and not counted yet; its memory is then
    as if it had ended there. Returns the intervals after the one in progress.

    Requests that failed were counted at once.
    """
    header = memory.header
    in_slice = (
        header[Field.SLICE_NS]
        and not header[Field.FLUSHING]
        and header[Field.PHASE] == Phase.MEASURE
    )
    if header[Field.FLUSHING] and header[Field.PHASE] == Phase.MEASURE:
        # It was counting: the histograms know how far it came.
        counted = int(memory.response.sum() + memory.interval.sum())
        header[Field.COMPLETED] = max(int(header[Field.COMPLETED]), counted)
    header[Field.PHASE] = Phase.DONE
    rows = int(np.count_nonzero(memory.completed)) if in_slice else 0
    due, issued, completed = memory.due[:rows], memory.issued[:rows], memory.completed[:rows]
    late = completed - issued > timeout_ns
    answered = memory.outcome[:rows] == Outcome.COMPLETED
    header[Field.FAILED] += np.count_nonzero(late & answered)
    good = answered & ~late
    due, issued, completed = due[good], issued[good], completed[good]
    if not completed.size:
        return []
    response = completed - (due if open_loop else issued)
    numbers = (completed - header[Field.START_NS]) // interval_ns
    here = numbers <= header[Field.INTERVAL]
    Histogram(memory.interval).record(response[here])
    later = []
    for number in np.unique(numbers[~here]).tolist():
        found = Histogram()
        found.record(response[numbers == number])
        memory.response += found.counts
        index = np.flatnonzero(found.counts)
        later.append(Interval.compact(number, index, found.counts[index], 0))
    if open_loop:
        Histogram(memory.service).record(completed - issued)
        Histogram(memory.lateness).record(np.maximum(issued - due, 0))
    for part, counts in memory.parts.items():
        stamps = {name: column[:rows][good] for name, column in memory.stamps.items()}
        took, known = durations_of(part, stamps, issued, completed)
        Histogram(counts).record(took[known])
    header[Field.COMPLETED] += completed.size
    header[Field.LAST_COMPLETED_NS] = completed.max()
    return later

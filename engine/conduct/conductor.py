"""Conducts a run: lays it out over hosts, starts the workers together, watches, stops, collects. In
the path of no request.

Data's way: RunPlan -> target built in each worker -> warm-up, recorded apart -> measured phase:
due, issued, completed -> columns -> histograms and intervals -> merged into one RunResult.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from qs.engine.clock import Clock
from qs.engine.conduct.assembling import (
    arrivals_of,
    errors_of,
    merged,
    rescue,
    warm_up_of,
)
from qs.engine.conduct.layout import Layout
from qs.engine.conduct.progress import Meter, OnProgress
from qs.engine.conduct.stopping import Seen, StopRules
from qs.engine.conduct.witness import Witness
from qs.engine.errors import HostDied, HostError, HostTimeout
from qs.engine.hosts.host import Session
from qs.engine.judging.rules import hold_to_rules, judge
from qs.engine.load import ClosedLoop
from qs.engine.outcome import Ending, ErrorKind, Loss
from qs.engine.plan import RunPlan
from qs.engine.record.files import columns_of
from qs.engine.record.intervals import IntervalLog
from qs.engine.record.memory import Field, Halt, Phase
from qs.engine.record.report import WorkerReport
from qs.engine.result import RunResult
from qs.engine.statistics.confidence import PERCENTILES, Evidence
from qs.engine.statistics.estimate import Confidence
from qs.engine.workers.share import due_before
from qs.engine.workers.slices import SLICE_NS

TICK_S = 0.2
# The common start lies this far ahead of the word to start, so that the word reaches every worker
# before it.
HEAD_START_NS = {"inline": 0, "thread": 2_000_000, "async": 2_000_000, "process": 20_000_000}
_GRACE_NS = 200_000_000
_ANSWER_NS = 1_000_000_000
_INTERRUPT_DRAIN_S = 5.0


class Conductor:
    """One run's state from layout to result."""

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        on_progress: OnProgress | None,
        interrupt: asyncio.Event,
        clock: Clock,
    ):
        self._plan = plan
        self._layout = layout
        self._sessions: list[Session] = layout.sessions
        self._meter = Meter(
            plan, layout.workers, self._memories, on_progress or (lambda progress: None), clock
        )
        self._witness = Witness(plan, clock)
        self._interrupt = interrupt
        self._clock = clock
        self._log = IntervalLog(plan.recorded_ns / 1e9, plan.recorded_per_interval)
        self._evidence = Evidence(
            plan.recorded_ns / 1e9, (*PERCENTILES, plan.stop.stable_percentile)
        )
        self._rules = StopRules(plan.stop)
        self._start_ns = 0
        self._lost: Counter[str] = Counter()
        self._losses: list[Loss] = []
        self._notes: Counter[str] = Counter()
        self._ended_by = Ending.PLAN
        self._halted = False
        self._stopped_ns: int | None = None
        self._abandoned: set[int] = set()
        self._given_up_ns: dict[int, int] = {}
        self._replaced: set[int] = set()

    async def conduct(self) -> RunResult:
        for host in self._layout.hosts:
            host.start()
        await self._witness.measure_engine(self._sessions)
        await self._prepare()
        self._witness.begin()
        inline = any(session.inline for session in self._sessions)
        ahead = HEAD_START_NS[
            "inline" if inline else "process" if self._layout.hosts else self._plan.pool.kind
        ]
        started_at = time.time() + ahead / 1e9
        self._start_ns = self._clock.now_ns() + ahead
        for session in self._sessions:
            session.go(self._start_ns)
        if self._interrupt.is_set():
            self._stop(Ending.INTERRUPT)
        reports = await self._watch()
        return self._result(reports, started_at)

    async def _prepare(self) -> None:
        """Build and warm up everywhere at once. The first failure ends the run; a hung warm-up or
        build is a HostTimeout.
        """
        tasks = [asyncio.ensure_future(session.prepare()) for session in self._sessions]
        began = self._clock.now_ns()
        try:
            while True:
                done, waiting = await asyncio.wait(
                    tasks, timeout=TICK_S, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
                self._meter.preparing()
                if not waiting:
                    return
                if self._interrupt.is_set():
                    self._stop(Ending.INTERRUPT)
                elapsed_s = (self._clock.now_ns() - began) / 1e9
                if elapsed_s > self._plan.build_timeout_s or self._hung_workers():
                    raise HostTimeout("building and warming up the target", elapsed_s)
        except BaseException:
            for session, task in zip(self._sessions, tasks):
                if not task.done():
                    session.abandon()
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _watch(self) -> list[list[WorkerReport]]:
        """Tick until every session has ended, of itself or by being abandoned."""
        tasks: list[asyncio.Future] = [
            asyncio.ensure_future(session.finish()) for session in self._sessions
        ]
        interrupted = asyncio.ensure_future(self._interrupt.wait())
        try:
            while True:
                waiting = [task for task in tasks if not task.done()]
                if not waiting:
                    break
                watched = {*waiting, interrupted} if not interrupted.done() else set(waiting)
                await asyncio.wait(watched, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                self._tick(tasks)
                self._replace_lost(tasks)
            self._tick(tasks)
            reports = []
            for number, (session, task) in enumerate(zip(self._sessions, tasks)):
                reports.append(self._reports_of(number, session, task))
            return reports
        finally:
            interrupted.cancel()
            for session, task in zip(self._sessions, tasks):
                if not task.done():
                    session.abandon()
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tick(self, tasks: Sequence[asyncio.Future]) -> None:
        self._witness.tick()
        for session in self._sessions:
            taken = session.take_intervals()
            self._log.add(taken)
            self._evidence.add(taken)
            self._meter.add(taken)
        if self._interrupt.is_set() and self._ended_by != Ending.INTERRUPT:
            self._stop(Ending.INTERRUPT)
        self._apply_stop_rules()
        now = self._clock.now_ns()
        if self._stopped_ns is None and all(
            memory.header[Field.PHASE] == Phase.DONE or now >= self._end_ns()
            for memory in self._memories()
        ):
            self._stopped_ns = now
            self._set_drain_limit(now)
        self._meter.measuring(
            "measure" if self._stopped_ns is None else "drain", self._start_ns, self._end_ns()
        )
        # A worker looks at the limit after a slice: one that keeps to it must not be taken for one
        # that does not come back.
        drained = (
            self._stopped_ns is not None
            and now - self._stopped_ns > self._drain_ns() + 2 * SLICE_NS
        )
        for number, session in enumerate(self._sessions):
            if number in self._abandoned or tasks[number].done() or session.inline:
                continue
            if self._plan.pool.kind == "async":
                hung = any(self._is_hung(memory.header, now) for memory in session.memories)
                if hung or drained:
                    self._abandoned.add(number)
                    self._lost[ErrorKind.HUNG if hung else ErrorKind.CUT_OFF] += int(
                        session.abandon()
                    )
                continue
            for memory in session.memories:
                if memory.header[Field.PHASE] != Phase.DONE and (
                    drained or self._is_hung(memory.header, now)
                ):
                    self._give_up(
                        memory,
                        ErrorKind.HUNG if self._is_hung(memory.header, now) else ErrorKind.CUT_OFF,
                    )
            self._end_what_does_not_answer(number, session, now)

    def _give_up(self, memory: Any, why: ErrorKind) -> None:
        """Wait no longer for one worker: count the request in its hands, and what it had measured
        and not counted yet.
        """
        memory.header[Field.GIVEN_UP] = 1
        memory.header[Field.STOP] = Halt.NOW
        rescue(memory, not isinstance(self._plan.load, ClosedLoop), int(self._plan.timeout_s * 1e9))
        self._lost[why] += 1

    def _end_what_does_not_answer(self, number: int, session: Session, now: int) -> None:
        """A host all whose workers have ended or were given up answers at once, unless it hangs
        itself.
        """
        if any(memory.header[Field.PHASE] != Phase.DONE for memory in session.memories):
            return
        if not any(memory.header[Field.GIVEN_UP] for memory in session.memories):
            return
        if now - self._given_up_ns.setdefault(number, now) > _ANSWER_NS:
            self._abandoned.add(number)
            session.abandon()

    def _replace_lost(self, tasks: list[asyncio.Future]) -> None:
        """Give what is left of a lost process's share to a new one, while the run goes on."""
        for number, task in enumerate(tasks[:]):
            if number in self._replaced or not task.done() or task.cancelled():
                continue
            if not isinstance(task.exception(), HostDied):
                continue
            self._replaced.add(number)
            self._count_loss(number, task.exception())
            if self._stopped_ns is not None or self._clock.now_ns() >= self._end_ns():
                continue
            session = self._layout.replacement(number)
            if session is not None:
                self._sessions.append(session)
                tasks.append(asyncio.ensure_future(self._join_late(session)))

    def _count_loss(self, number: int, fault: BaseException | None) -> None:
        """Count what a lost process had measured and not counted yet, and the requests that were
        lost with it.
        """
        memories = self._sessions[number].memories
        if number not in self._abandoned:
            unfinished = sum(memory.header[Field.PHASE] != Phase.DONE for memory in memories)
            self._lost[ErrorKind.DIED] += max(int(unfinished), 1)
            self._notes[f"a worker process was lost: {fault}"] += 1
            if isinstance(fault, HostDied):
                loss = Loss(
                    ErrorKind.DIED,
                    number,
                    exit=fault.exit,
                    status=fault.status,
                    signal=fault.signal,
                )
            else:
                loss = Loss(ErrorKind.DIED, number)
            self._losses.append(loss)
        else:
            self._losses.append(Loss(ErrorKind.HUNG, number))
            self._notes["a worker process did not come back and was ended"] += 1
        for memory in memories:
            rescue(
                memory, not isinstance(self._plan.load, ClosedLoop), int(self._plan.timeout_s * 1e9)
            )

    async def _join_late(self, session: Session) -> list[WorkerReport]:
        await session.prepare()
        session.go(self._start_ns)
        if self._stopped_ns is not None:
            session.stop()
        return await session.finish()

    def _apply_stop_rules(self) -> None:
        if self._stopped_ns is not None:
            return
        memories = self._memories()
        failed = sum(
            int(memory.header[Field.FAILED] + memory.header[Field.DROPPED]) for memory in memories
        )
        answered_s = max((self._last_answer_ns() - self._start_ns) / 1e9, 0.0)
        seen = Seen(self._elapsed_s(), answered_s, self._completed(), failed + self._lost.total())
        why = self._rules.ended_by(seen, self._confidence_so_far)
        if why is not None:
            self._stop(why, Halt.NOW if why == Ending.ERROR_BUDGET else Halt.DRAIN)

    def _confidence_so_far(self) -> Confidence:
        workers = sum(
            len(session.memories)
            for number, session in enumerate(self._sessions)
            if number not in self._replaced
        )
        return self._evidence.confidence(self._evidence.complete_s(workers))

    def _last_answer_ns(self) -> int:
        return max(
            (int(memory.header[Field.LAST_COMPLETED_NS]) for memory in self._memories()), default=0
        )

    def _stop(self, why: Ending, halt: Halt = Halt.NOW) -> None:
        self._ended_by = why
        now = self._clock.now_ns()
        if self._stopped_ns is None:
            self._stopped_ns = now
        self._halted = True
        for memory in self._memories():
            memory.header[Field.UNTIL_NS] = now
            memory.header[Field.STOP] = halt
        self._set_drain_limit(now)

    def _set_drain_limit(self, now: int) -> None:
        for memory in self._memories():
            memory.header[Field.DRAIN_NS] = now + self._drain_ns()

    def _drain_ns(self) -> int:
        limit_s = self._plan.drain_s
        return int(
            (min(limit_s, _INTERRUPT_DRAIN_S) if self._ended_by is Ending.INTERRUPT else limit_s)
            * 1e9
        )

    def _end_ns(self) -> int:
        stop = self._plan.stop
        limits = [limit for limit in (stop.duration_s, stop.max_duration_s) if limit is not None]
        return self._start_ns + int(min(limits) * 1e9) if limits else 1 << 62

    def _is_hung(self, header: Any, now: int) -> bool:
        began = int(header[Field.SLICE_NS])
        running = header[Field.PHASE] in (Phase.WARM_UP, Phase.MEASURE)
        return bool(
            running
            and began
            and now - began > SLICE_NS + _GRACE_NS + int(self._plan.timeout_s * 1e9)
        )

    def _hung_workers(self) -> bool:
        now = self._clock.now_ns()
        return any(self._is_hung(memory.header, now) for memory in self._memories())

    def _memories(self) -> list[Any]:
        return [memory for session in self._sessions for memory in session.memories]

    def _completed(self) -> int:
        return sum(int(memory.header[Field.COMPLETED]) for memory in self._memories())

    def _elapsed_s(self) -> float:
        return max((self._clock.now_ns() - self._start_ns) / 1e9, 0.0)

    def _reports_of(
        self, number: int, session: Session, task: asyncio.Future
    ) -> list[WorkerReport]:
        """A session's reports; for one whose process was lost, what its memory still says."""
        try:
            reports = task.result()
        except (HostDied, HostError) as fault:
            if number not in self._replaced:
                self._count_loss(number, fault)
            reports = [WorkerReport(-1) for _ in session.memories]
        hung = [report.worker for report in reports if report.hung]
        self._losses += [Loss(ErrorKind.HUNG, number, worker) for worker in hung]
        if hung:
            self._notes[
                f"worker {', '.join(map(str, hung))} did not come back and was abandoned"
            ] += 1
        for report in reports:
            if report.crash:
                self._lost[ErrorKind.WORKER_FAILED] += 1
                self._losses.append(Loss(ErrorKind.WORKER_FAILED, number, report.worker))
                self._notes[
                    f"worker {report.worker} failed outside its target: {report.crash.strip().splitlines()[-1]}"
                ] += 1
                report.first_fault = report.first_fault or report.crash
        taken = session.take_intervals()
        self._log.add(taken)
        self._evidence.add(taken)
        return reports

    def _confidence(self, last_ns: int) -> Confidence:
        """Up to the end of the schedule: the drain after it is another load."""
        if self._rules.reached is not None and self._ended_by == Ending.STABLE:
            return self._rules.reached
        return self._evidence.confidence(self._scheduled_s(last_ns))

    def _scheduled_s(self, last_ns: int) -> float:
        ends = [last_ns, self._end_ns()] + ([] if self._stopped_ns is None else [self._stopped_ns])
        return max(min(ends) - self._start_ns, 0) / 1e9

    def _cut_by_time(self, accounted: int, last_ns: int) -> bool:
        """Whether the duration or the time limit ended the run, and not the load's own end; the
        last answer may be before it.
        """
        if self._plan.planned is not None:
            return accounted < self._plan.planned and self._clock.now_ns() >= self._end_ns()
        return not self._plan.load_ends or last_ns >= self._end_ns()

    def _not_issued(self, accounted: int) -> int:
        """How many requests were due and had no turn, where the run was cut short; the schedule is
        counted again for that.
        """
        if isinstance(self._plan.load, ClosedLoop):
            return 0
        now = self._clock.now_ns()
        drained = any(0 < memory.header[Field.DRAIN_NS] < now for memory in self._memories())
        if not (self._halted or drained or self._abandoned or self._replaced):
            return 0
        until_ns = self._stopped_ns if self._halted and self._stopped_ns is not None else now
        return max(due_before(self._plan, until_ns - self._start_ns) - accounted, 0)

    def _result(self, by_session: list[list[WorkerReport]], started_at: float) -> RunResult:
        reports = [report for reports in by_session for report in reports]
        memories = self._memories()
        open_loop = not isinstance(self._plan.load, ClosedLoop)
        response, service, lateness = merged(memories, open_loop)
        last = self._last_answer_ns()
        wall_s = max(last - self._start_ns, 0) / 1e9
        end_ns = self._end_ns()
        errors = errors_of(reports, memories, self._lost)
        accounted = self._completed() + sum(errors.values())
        if (
            self._ended_by == Ending.PLAN
            and end_ns < 1 << 62
            and self._cut_by_time(accounted, last)
        ):
            by_limit = (
                self._plan.stop.duration_s is None
                or self._plan.stop.duration_s * 1e9 > end_ns - self._start_ns
            )
            self._ended_by = Ending.TIME_LIMIT if by_limit else Ending.DURATION
        lost = any(report.worker < 0 for report in reports)
        not_issued = self._not_issued(accounted)
        if not_issued:
            errors[ErrorKind.NOT_ISSUED.value] = errors.get(ErrorKind.NOT_ISSUED, 0) + not_issued
        firsts = [
            int(memory.header[Field.FIRST_NS])
            for memory in memories
            if memory.header[Field.FIRST_NS]
        ]
        result = RunResult(
            completed=self._completed(),
            errors_by_kind=errors,
            wall_s=wall_s,
            response=response,
            service=service,
            lateness=lateness,
            intervals=self._log.rows(arrivals_of(reports), wall_s, lost),
            warmup=warm_up_of(reports),
            planned=self._plan.planned,
            first_ns=firsts[0] if firsts else 0,
            open_loop=open_loop,
            pool=self._plan.pool.kind,
            workers=self._layout.workers,
            clients=self._plan.load.clients if isinstance(self._plan.load, ClosedLoop) else None,
            started_at=started_at,
            interrupted=self._ended_by is Ending.INTERRUPT,
            ended_by=self._ended_by,
            losses=self._losses,
            first_fault=next(
                (report.first_fault for report in reports if report.first_fault), None
            ),
            batches=None
            if self._plan.batching is None
            else sum(int(memory.header[Field.BATCHES]) for memory in memories),
            slices=[
                (report.worker, began - self._start_ns, ended - self._start_ns, rows)
                for report in reports
                for began, ended, rows in report.slices
            ],
            columns=columns_of(reports, self._start_ns) if self._layout.keep_columns else None,
            worker_cpu_s=sum(report.cpu_ns for report in reports) / 1e9,
            confidence=self._confidence(last),
            rates=self._evidence.rates(self._scheduled_s(last)),
            samples_per_query=self._plan.samples_per_query or 1,
            seed=getattr(self._plan.load, "seed", None),
        )
        hold_to_rules(result, self._plan)
        result.warnings += [
            note if times == 1 else f"{note} ({times} times)" for note, times in self._notes.items()
        ]
        self._witness.testify(result, self._sessions, by_session)
        judge(result)
        return result

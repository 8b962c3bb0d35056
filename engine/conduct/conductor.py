"""Conducts a run: starts the workers together, watches them, stops them, collects what they have
measured. It is in the path of no request.

Data's way: RunPlan -> target built in each worker -> warm-up, recorded apart -> measured phase:
due, issued, completed -> columns -> histograms and intervals -> merged into one RunResult.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from qs.engine.clock import FOREVER_NS, Clock
from qs.engine.conduct.assembling import Finished, Gathered
from qs.engine.conduct.ending import INTERRUPT_DRAIN_S, RunEnd
from qs.engine.conduct.layout import Layout
from qs.engine.conduct.lead import Lead
from qs.engine.conduct.led import NEVER_NS, Led
from qs.engine.conduct.losses import Losses
from qs.engine.conduct.measuring import Measuring
from qs.engine.conduct.progress import Meter, OnProgress
from qs.engine.conduct.stopping import Seen, StopRules
from qs.engine.conduct.witness import Witness
from qs.engine.errors import HostDied, HostError, HostTimeout, UnfinishedAnswer
from qs.engine.hosts.host import Session
from qs.engine.judging.rules import hold_to_rules, judge
from qs.engine.outcome import Ending
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, Phase
from qs.engine.record.report import WorkerReport
from qs.engine.result import RunResult
from qs.engine.statistics.budget import answered
from qs.engine.statistics.estimate import Confidence

TICK_S = 0.2
# How long a process that has answered before may take to answer again, beside a request's time-out.
ANSWER_S = 10.0
# The common start lies this far ahead of the word to start, so that the word reaches every worker
# before it.
HEAD_START_NS = {"inline": 0, "thread": 2_000_000, "async": 2_000_000, "process": 20_000_000}
# So far ahead it goes out where the start is known beforehand: others begin then, and wait for
# nobody whose machine is busy. An event loop spins meanwhile.
LED_START_NS = {
    "inline": 5_000_000,
    "thread": 25_000_000,
    "async": 5_000_000,
    "process": 40_000_000,
}


class Conductor:
    """One run, from its layout to its result."""

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        on_progress: OnProgress | None,
        interrupt: asyncio.Event,
        clock: Clock,
        beside: AbstractContextManager[object],
        lead: Lead | None = None,
    ):
        self._plan = plan
        self._layout = layout
        self._beside = beside
        self._measured = ExitStack()  # as long as something is measured
        self._sessions: list[Session] = layout.sessions
        self._led = None if lead is None else Led(lead, plan, layout, on_progress, clock)
        told = on_progress if self._led is None else self._led.on_progress
        self._meter = Meter(plan, layout, told, clock)
        self._witness = Witness(plan, clock)
        self._interrupt = interrupt
        self._clock = clock
        self._end = RunEnd(plan)
        self._losses = Losses(plan)
        self._gathered = Gathered(plan, None if self._led is None else self._led.add)
        self._measuring = Measuring(plan)
        self._reading_until_ns = 0  # 0: something is measured
        self._rules = StopRules(plan.stop)

    async def conduct(self) -> RunResult:
        for host in self._layout.hosts:
            host.start()
        if not (await self._calibrated() and await self._prepared()):
            return self._nothing_measured()
        start_ns = None if self._led is None else await self._common_start(self._led)
        self._witness.begin()
        with self._measured:
            self._measured.enter_context(self._beside)
            if self._led is not None and start_ns is not None:
                await self._led.until(start_ns - LED_START_NS[self._kind], self._interrupt)
            started_at = self._start(start_ns)
            if self._interrupt.is_set():
                self._stop(Ending.INTERRUPT)
            reports = await self._watch()
        return self._result(reports, started_at)

    async def _calibrated(self) -> bool:
        """Measure the engine's own cost. Whether that ended before an interrupt's drain."""
        # What has answered before answers soon; a process that is new has to start first.
        limit_s = self._plan.build_timeout_s
        if not self._layout.hosts:
            limit_s = min(limit_s, self._plan.timeout_s + ANSWER_S)
        measuring = asyncio.ensure_future(self._witness.measure_engine(self._sessions, limit_s))
        try:
            return await self._unless_interrupted([measuring])
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    async def _prepared(self) -> bool:
        """Build and warm up everywhere at once. The first failure ends the run; a build or warm-up
        that hangs is a HostTimeout. Whether that ended before an interrupt's drain.
        """
        tasks = [asyncio.ensure_future(session.prepare()) for session in self._sessions]
        began = self._clock.now_ns()

        def look() -> None:
            self._meter.preparing()
            now = self._clock.now_ns()
            elapsed_s = (now - began) / 1e9
            hung = [
                self._losses.pulse.silent(session, now)
                for session, task in zip(self._sessions, tasks)
                if not task.done() and not session.inline
            ]
            if elapsed_s > self._plan.build_timeout_s or any(hung):
                raise HostTimeout("building and warming up the target", elapsed_s)

        try:
            return await self._unless_interrupted(tasks, look)
        finally:
            await self._end_all(tasks)

    async def _unless_interrupted(
        self, tasks: Sequence[asyncio.Future], look: Callable[[], None] = lambda: None
    ) -> bool:
        """Await tasks that come before the measured phase, calling `look` now and then while they
        last. Raises what one of them raises. False if they have not ended some seconds after an
        interrupt.
        """
        waiting = {*tasks}
        limit_ns = None
        while True:
            done, waiting = await asyncio.wait(
                waiting, timeout=TICK_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()
            if not waiting:
                return True
            if self._interrupt.is_set():
                self._stop(Ending.INTERRUPT)
                limit_ns = limit_ns or self._clock.now_ns() + self._end.drain_ns
                if self._clock.now_ns() > limit_ns:
                    return False
            look()

    def _nothing_measured(self) -> RunResult:
        """The result of a run whose interrupt found it before its start."""
        self._end.start_ns = self._end.stopped_ns = self._clock.now_ns()
        reports = [[WorkerReport(-1) for _ in each.memories] for each in self._sessions]
        return self._result(reports, time.time())

    async def _common_start(self, led: Led) -> int:
        """When all parts of the whole start; far ahead if an interrupt came first."""
        start_ns = await led.start_ns(self._interrupt, self._meter.preparing)
        if start_ns is not None:
            return start_ns
        self._stop(Ending.INTERRUPT)
        return self._clock.now_ns() + NEVER_NS

    @property
    def _kind(self) -> str:
        """Of what is told to start."""
        if any(session.inline for session in self._sessions):
            return "inline"
        return "process" if self._layout.hosts else self._plan.pool.kind

    def _start(self, at_ns: int | None) -> float:
        """Give the word to start, at an instant or as soon as all can; when that will be, in
        seconds since the epoch.
        """
        now_ns = self._clock.now_ns()
        self._end.start_ns = now_ns + HEAD_START_NS[self._kind] if at_ns is None else at_ns
        started_at = time.time() + (self._end.start_ns - now_ns) / 1e9
        for session in self._sessions:
            session.go(self._end.start_ns)
        return started_at

    async def _watch(self) -> list[list[WorkerReport]]:
        """Tick until every session has ended, by itself or by being abandoned."""
        tasks: list[asyncio.Future] = [
            asyncio.ensure_future(session.finish()) for session in self._sessions
        ]
        interrupted = asyncio.ensure_future(self._interrupt.wait())
        try:
            while waiting := {task for task in tasks if not task.done()}:
                watched = waiting if interrupted.done() else {*waiting, interrupted}
                await asyncio.wait(watched, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                self._tick(tasks)
                self._replace_lost(tasks)
            self._tick(tasks)
            return [self._reports_of(number, task) for number, task in enumerate(tasks)]
        finally:
            interrupted.cancel()
            await self._end_all(tasks)

    async def _end_all(self, tasks: Sequence[asyncio.Future]) -> None:
        """Abandon the sessions that still run, and wait for their tasks."""
        for session, task in zip(self._sessions, tasks):
            if not task.done():
                session.abandon()
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tick(self, tasks: list[asyncio.Future]) -> None:
        self._witness.tick()
        for number, session in enumerate(self._sessions):
            taken = session.take_intervals()
            self._gathered.add(number, taken)
            self._meter.add(taken)
            self._measuring.add(session.take_found(), self._end.start_ns)
        if self._interrupt.is_set():
            self._interrupted()
        if not self._end.stopped:
            self._apply_stop_rules()
        now = self._clock.now_ns()
        if not self._end.stopped and self._nothing_to_issue(now):
            self._end.run_out(now)
            self._set_drain_limit(now)
        if self._plan.keeps and all(
            memory.header[Field.PHASE] >= Phase.READ
            for session, task in zip(self._sessions, tasks)
            for memory in session.memories
            if not task.done()
        ):
            self._let_read(now)
        phase = "drain" if self._end.stopped else "measure"
        if self._reading_until_ns:
            phase = "reading"
            self._meter.reading()
        else:
            self._meter.measuring(phase, self._end.start_ns, self._end.scheduled_ns)
        if self._led is not None:
            self._obey(self._led.look(phase, self._end.start_ns, self._losses.errors))
        drained = self._end.drained(now)
        for number, (session, task) in enumerate(zip(self._sessions, tasks)):
            if not task.done():
                self._losses.give_up_late(number, session, now, self._end.start_ns, drained)

    def _interrupted(self) -> None:
        if self._end.why is not Ending.INTERRUPT:
            if self._reading_until_ns:
                self._end.unread = True
            else:
                self._stop(Ending.INTERRUPT)

    def _obey(self, why: Ending | None) -> None:
        if why is Ending.INTERRUPT:
            self._interrupted()
        elif why is not None and not self._end.stopped:
            self._stop(why)

    def _nothing_to_issue(self, now_ns: int) -> bool:
        return now_ns >= self._end.scheduled_ns or all(
            memory.header[Field.PHASE] >= Phase.READ for memory in self._layout.memories
        )

    def _let_read(self, now_ns: int) -> None:
        """Nothing is measured any more: what was kept may be read, after an interrupt not for
        long.
        """
        if not self._reading_until_ns:
            short = self._end.why is Ending.INTERRUPT
            self._reading_until_ns = now_ns + int(INTERRUPT_DRAIN_S * 1e9) if short else FOREVER_NS
            self._witness.end()
            self._measured.close()
        if self._end.unread:
            self._reading_until_ns = min(self._reading_until_ns, now_ns)
        for memory in self._layout.memories:
            memory.header[Field.READ_NS] = self._reading_until_ns

    def _apply_stop_rules(self) -> None:
        layout, start_ns = self._layout, self._end.start_ns
        failed = layout.total(Field.FAILED) + layout.total(Field.DROPPED)
        seen = Seen(
            max((self._clock.now_ns() - start_ns) / 1e9, 0.0),
            max((layout.last_answer_ns() - start_ns) / 1e9, 0.0),
            layout.total(Field.COMPLETED)
            if self._plan.stop.max_error_rate is None
            else answered(layout.memories),
            failed + sum(self._losses.errors.values()),
        )
        if self._budget_spent_by_a_worker():
            # What fell due since then would not have been issued.
            self._stop(Ending.ERROR_BUDGET, min(self._clock.now_ns(), layout.last_answer_ns()))
            return
        why = self._rules.ended_by(seen, self._confidence_so_far)
        if why is not None:
            self._stop(why)

    def _budget_spent_by_a_worker(self) -> bool:
        """Whether a worker has ended its process's part, which nobody told it to do."""
        stop = self._plan.stop
        return (stop.max_errors, stop.max_error_rate) != (None, None) and any(
            memory.header[Field.STOP] and not memory.header[Field.GIVEN_UP]
            for memory in self._layout.memories
        )

    def _confidence_so_far(self) -> Confidence:
        workers = sum(
            len(session.memories)
            for number, session in enumerate(self._sessions)
            if number not in self._losses.dead
        )
        evidence = self._gathered.evidence
        return evidence.confidence(evidence.complete_s(workers))

    def _stop(self, why: Ending, at_ns: int | None = None) -> None:
        """Tell every worker to stop, at once or with what is due by now."""
        now = self._clock.now_ns()
        halt = self._end.stop(why, at_ns or now)
        for memory in self._layout.memories:
            memory.header[Field.UNTIL_NS] = now
            memory.header[Field.STOP] = halt
        self._set_drain_limit(now)

    def _set_drain_limit(self, now_ns: int) -> None:
        for memory in self._layout.memories:
            memory.header[Field.DRAIN_NS] = now_ns + self._end.drain_ns

    def _replace_lost(self, tasks: list[asyncio.Future]) -> None:
        """Give what is left of a lost process's share to a new one, while the run goes on."""
        for number, task in enumerate(tasks[:]):
            if number in self._losses.dead or not task.done() or task.cancelled():
                continue
            fault = task.exception()
            if not isinstance(fault, HostDied):
                continue
            self._losses.count_death(number, self._sessions[number], fault, self._clock.now_ns())
            if self._end.stopped or self._clock.now_ns() >= self._end.scheduled_ns:
                continue
            session = self._layout.replacement(number)
            if session is not None:
                self._sessions.append(session)
                tasks.append(asyncio.ensure_future(self._join_late(session)))

    async def _join_late(self, session: Session) -> list[WorkerReport]:
        await session.prepare()
        session.go(self._end.start_ns)
        if self._end.stopped:
            session.stop()
        return await session.finish()

    def _reports_of(self, number: int, task: asyncio.Future) -> list[WorkerReport]:
        """A session's reports; if its process was lost, blank ones, since its memory tells the
        rest.
        """
        session = self._sessions[number]
        try:
            reports = task.result()
        except (HostDied, HostError) as fault:
            if isinstance(fault, HostError) and fault.is_a(UnfinishedAnswer):
                raise  # nothing was measured
            self._losses.count_death(number, session, fault, self._clock.now_ns())
            reports = [WorkerReport(-1) for _ in session.memories]
        self._losses.count_reported(number, reports, self._clock.now_ns())
        self._gathered.add(number, session.take_intervals())
        self._measuring.add(session.take_found(), self._end.start_ns)
        return reports

    def _result(self, by_session: list[list[WorkerReport]], started_at: float) -> RunResult:
        if self._end.start_ns > self._clock.now_ns() and self._end.stopped_ns is not None:
            self._end.start_ns = self._end.stopped_ns  # an interrupt came before the start
        finished = Finished(
            plan=self._plan,
            layout=self._layout,
            end=self._end,
            losses=self._losses,
            gathered=self._gathered,
            measuring=self._measuring,
            stable=self._rules.reached,
            reports=[report for reports in by_session for report in reports],
            started_at=started_at,
            now_ns=self._clock.now_ns(),
        )
        result = finished.result()
        if self._led is not None:
            self._led.look("reading", self._end.start_ns, self._losses.errors, last=True)
        hold_to_rules(result, self._plan)
        self._witness.testify(result, self._sessions, by_session)
        judge(result)
        return result

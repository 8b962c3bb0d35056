"""The evidence for or against a run's numbers: the engine's own cost before it, the machine around
it, and the caveats that follow.

The conductor calls it at a few points of a run; it is in the path of no request.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qs.engine.clock import MONOTONIC, Clock
from qs.engine.conduct.calibrate import engine_cost
from qs.engine.hosts.host import Session
from qs.engine.judging.caveats import caveats_of
from qs.engine.machine.watch import Watch
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram
from qs.engine.record.report import WorkerReport
from qs.engine.result import EngineCost, RunResult


class Witness:
    """The evidence of one run. Nothing is measured on a clock other than the machine's own, whose
    times would have nothing in common with the machine's.
    """

    def __init__(self, plan: RunPlan, clock: Clock):
        self._plan = plan
        self._real = clock is MONOTONIC
        self._cost: EngineCost | None = None
        self._watch: Watch | None = None

    async def measure_engine(self, sessions: Sequence[Session], limit_s: float) -> None:
        """Before the sessions are prepared. Raises as `engine_cost` does."""
        if self._real and self._plan.calibrate:
            self._cost = await engine_cost(self._plan, sessions, limit_s)

    def begin(self) -> None:
        """When all workers are ready, before the common start."""
        if self._real:
            self._watch = Watch()

    def tick(self) -> None:
        if self._watch is not None:
            self._watch.tick()

    def end(self) -> None:
        """When nothing is measured any more, though the run goes on."""
        if self._watch is not None:
            self._watch.end()

    def testify(
        self,
        result: RunResult,
        sessions: Sequence[Session],
        by_session: Sequence[Sequence[WorkerReport]],
    ) -> None:
        """Add to a finished result what was seen, and a warning for each caveat."""
        kinds = [session.share.plan.pool.kind for session in sessions]
        if self._watch is not None:
            here = [
                session.inline or not session.place and kind == "async"
                for session, kind in zip(sessions, kinds)
            ]
            result.cpu = self._watch.result(kinds, by_session, here)
        result.engine_cost = self._cost
        result.pacing = pacing_of(
            self._plan, result, [report for reports in by_session for report in reports]
        )
        result.caveats = caveats_of(result, self._plan)
        result.warnings += [str(caveat) for caveat in result.caveats]


def pacing_of(
    plan: RunPlan, result: RunResult, reports: Sequence[WorkerReport]
) -> Histogram | None:
    """How late the engine issued requests that nothing but it could delay; None where that cannot
    be told.

    With workers: those that a worker waited for. With coroutines: all, unless a bound on the
    requests in flight made them wait.
    """
    if not plan.open_loop or plan.batching is not None:
        return None
    if plan.pool.kind == "async":
        return result.lateness if plan.pool.max_in_flight is None else None
    pacing = Histogram()
    for report in reports:
        if report.paced:
            index, counts = np.array(report.paced, np.int64).T
            pacing.merge(Histogram.from_counts(index, counts))
    return pacing

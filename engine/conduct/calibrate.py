"""The engine's own cost: the same hosts, workers and kind of load with a target that does nothing,
for a few hundredths of a second.

The null run goes through the same messages and the same loops, in the same processes that the
measured run uses afterwards. It shows a worker's CPU time per request (issuing, recording and
counting it, and calling an empty function), which other programs on the machine do not disturb. A
started target has one of its own, which is answered in the loop's next pass.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qs.engine.clock import MONOTONIC
from qs.engine.errors import HostDied, HostTimeout
from qs.engine.hosts.host import Session
from qs.engine.load import ClosedLoop, ConstantRate, LoadModel
from qs.engine.plan import Factory, RunPlan, Stop
from qs.engine.record.histogram import Histogram
from qs.engine.record.memory import Field
from qs.engine.record.report import WorkerReport
from qs.engine.result import EngineCost
from qs.engine.workers.queue import new_counter
from qs.engine.workers.share import PlanShare
from qs.engine.workers.target import nothing, nothing_awaited

LONGEST_S = 0.03
SHORTEST_S = 0.005
SHARE_OF_RUN = 0.03
WARM_UP = 500
# Enough for LONGEST_S of a worker; all of them due at once, so that nobody waits for a due time.
OPEN_LOOP_REQUESTS = 60_000
AT_ONCE_PER_S = 1e9
# Coroutines have no queue but the event loop: due at once they would all be in flight together,
# which no run is like.
COROUTINES_PER_S = 20_000
# More threads of one process than this take turns in the same way.
MOST_THREADS = 8
# For the word to start to reach another process. Event loops pass it spinning, so it is short, and
# only there.
_HEAD_START_NS = 1_000_000


# What was measured in this process, by layout: a sweep of many runs pays once.
_known: dict[tuple, EngineCost] = {}


async def engine_cost(
    plan: RunPlan, sessions: Sequence[Session], limit_s: float | None = None, fresh: bool = False
) -> EngineCost | None:
    """The engine's cost in the places of these sessions, which must not have been prepared yet. It
    is remembered, and measured again only if `fresh`; that may take
    `limit_s`, or as long as building may.

    None if nothing could be measured. Raises HostDied or HostTimeout if a host is lost: the run
    could not have gone on either.
    """
    key = layout_key(plan, sessions)
    if fresh or key not in _known:
        cost = await _measure(plan, sessions, limit_s or plan.build_timeout_s)
        if cost is None:
            return None
        _known[key] = cost
    return _known[key]


def layout_key(plan: RunPlan, sessions: Sequence[Session]) -> tuple:
    """What the engine's cost depends on."""
    started = any(session.share.started for session in sessions)
    pinned = tuple(tuple(cpus) for cpus in plan.pool.affinity)
    places = tuple(
        (session.place, session.share.plan.pool.kind, session.share.workers) for session in sessions
    )
    return plan.open_loop, started, pinned, places


def budget_s(plan: RunPlan) -> float:
    """How long the null run may take: a small share of the run, if its length is known."""
    lengths = [
        length for length in (plan.stop.duration_s, plan.stop.max_duration_s) if length is not None
    ]
    if not lengths:
        return LONGEST_S
    return min(max(min(lengths) * SHARE_OF_RUN, SHORTEST_S), LONGEST_S)


def null_share(share: PlanShare, for_s: float, counter_fd: int | None) -> PlanShare:
    """The same part of a run whose target does nothing."""
    plan = share.plan
    coroutines = share.coroutines
    workers = share.workers if coroutines else min(share.workers, MOST_THREADS)
    load: LoadModel
    if isinstance(plan.load, ClosedLoop):
        load, stop = ClosedLoop(clients=plan.load.clients), Stop(duration_s=for_s)
    elif coroutines:
        load, stop = (
            ConstantRate(COROUTINES_PER_S),
            Stop(iterations=max(int(COROUTINES_PER_S * for_s), 1)),
        )
    else:
        load, stop = ConstantRate(AT_ONCE_PER_S), Stop(iterations=OPEN_LOOP_REQUESTS)
    plan = RunPlan(
        load=load, stop=stop, pool=replace(plan.pool, max_in_flight=None), warmup_iterations=WARM_UP
    )
    return PlanShare(plan, workers, share.first, counter_fd)


async def _measure(plan: RunPlan, sessions: Sequence[Session], limit_s: float) -> EngineCost | None:
    for_s = budget_s(plan)
    several = len(sessions) > 1 and plan.open_loop
    counter_fd = new_counter() if several else None
    target: Any = nothing_awaited if plan.pool.kind == "async" else nothing
    if any(session.share.started for session in sessions):
        target = Factory("qs.engine.conduct.calibrate:NothingStarted")
    twins = [
        session.beside(null_share(session.share, for_s, counter_fd), target) for session in sessions
    ]
    try:
        answers = await asyncio.wait_for(_run(twins, for_s), limit_s)
    except (asyncio.TimeoutError, asyncio.CancelledError) as ended:
        for twin in twins:
            twin.abandon()
        if isinstance(ended, asyncio.CancelledError):
            raise
        raise HostTimeout("measuring the engine's own cost", limit_s) from None
    finally:
        for twin in twins:
            await twin.close()
        if counter_fd is not None:
            os.close(counter_fd)
    reports = []
    for answer in answers:
        if isinstance(answer, HostDied):
            raise answer
        if isinstance(answer, BaseException):
            return None
        reports += answer
    return cost_of(twins, reports)


async def _run(twins: Sequence[Session], for_s: float) -> list[list[WorkerReport] | BaseException]:
    prepared = await asyncio.gather(*(twin.prepare() for twin in twins), return_exceptions=True)
    start_ns = MONOTONIC.now_ns() + (_HEAD_START_NS if any(twin.place for twin in twins) else 0)
    ready = [twin for twin, failure in zip(twins, prepared) if failure is None]
    for twin in ready:
        for memory in twin.memories:
            memory.header[Field.DRAIN_NS] = start_ns + int(for_s * 1e9)
        twin.go(start_ns)
    answers = await asyncio.gather(*(twin.finish() for twin in ready), return_exceptions=True)
    return [*(failure for failure in prepared if failure is not None), *answers]


def cost_of(sessions: Sequence[Session], reports: Sequence[WorkerReport]) -> EngineCost | None:
    """The cost that a finished null run shows; None if it completed nothing."""
    memories = [memory for session in sessions for memory in session.memories]
    completed = sum(int(memory.header[Field.COMPLETED]) for memory in memories)
    if not completed:
        return None
    service = Histogram()
    for session in sessions:
        closed = session.share.closed is not None
        for memory in session.memories:
            for counts in (memory.response, memory.interval) if closed else (memory.service,):
                service.counts += counts
    service.count = int(service.counts.sum())
    # Exact extremes are not known here, and only serve to bound percentiles.
    service.max_ns = 1 << 62
    cpu_ns = sum(report.cpu_ns for report in reports)
    return EngineCost(cpu_ns / completed, service.percentile_ns(50), completed)


class NothingStarted:
    """Is answered in the loop's next pass."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def start(self, sample: Any, done: Callable[[Any], None]) -> NothingCall:
        call = NothingCall()
        self.loop.call_soon(done, call)
        return call


class NothingCall:
    """The call of a request that does nothing."""

    __slots__ = ("issued_ns", "sent_ns", "first_ns", "last_ns")

    failure = None
    detail = ""

    def __init__(self) -> None:
        now = MONOTONIC.now_ns()
        self.issued_ns = self.sent_ns = self.first_ns = self.last_ns = now

    def cancel(self) -> None:
        """It is answered soon."""

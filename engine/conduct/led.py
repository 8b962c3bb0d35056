"""A conductor's side of its lead: when to start, what to show, what to obey. In the path of no
request, and nothing of it is done in a run without a lead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from qs.engine.clock import MONOTONIC, Clock
from qs.engine.conduct.assembling import errors_of, merged
from qs.engine.conduct.layout import Layout
from qs.engine.conduct.lead import Lead, Moment, Snapshot
from qs.engine.conduct.progress import OnProgress, Progress
from qs.engine.outcome import Ending, ErrorKind
from qs.engine.plan import RunPlan
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, WorkerMemory
from qs.engine.record.report import WorkerReport
from qs.engine.statistics.budget import answered

_NAP_S = 0.2
# What is watched beside a run is begun so long before the common start.
READY_NS = 80_000_000
MOST_LOOKED_AT = 64
# A start that no run has: what a worker that waits for it makes until it is stopped is nothing.
NEVER_NS = 3_600_000_000_000


class Led:
    """One run's lead, as its conductor sees it."""

    def __init__(
        self,
        lead: Lead,
        plan: RunPlan,
        layout: Layout,
        on_progress: OnProgress | None,
        clock: Clock,
    ):
        self._lead, self._plan, self._layout, self._clock = lead, plan, layout, clock
        self._on_progress = on_progress
        self._progress: Progress | None = None
        self._closed: list[tuple[int, Interval]] = []

    @property
    def on_progress(self) -> OnProgress | None:
        """What the run's meter is to tell."""
        return self._told if self._lead.progress else self._on_progress

    def _told(self, progress: Progress) -> None:
        self._progress = progress
        if self._on_progress is not None:
            self._on_progress(progress)

    async def start_ns(self, interrupt: asyncio.Event, look: Callable[[], None]) -> int | None:
        """Wait for the common start to be known, calling `look` now and then, and until shortly
        before it; None after an interrupt.
        """
        asking = asyncio.ensure_future(self._lead.start_ns())
        try:
            await _first_of(asking, interrupt, look)
        finally:
            if not asking.done():
                asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        if interrupt.is_set() or asking.cancelled():
            return None
        start_ns = asking.result()
        await self.until(start_ns - READY_NS, interrupt)
        return None if interrupt.is_set() else start_ns

    async def until(self, instant_ns: int, interrupt: asyncio.Event) -> None:
        """Wait for an instant, or an interrupt. Another clock's time does not pass meanwhile."""
        left_s = (instant_ns - self._clock.now_ns()) / 1e9
        if left_s > 0 and self._clock is MONOTONIC:
            waiting = asyncio.ensure_future(asyncio.sleep(left_s))
            await _first_of(waiting, interrupt, lambda: None)
            waiting.cancel()

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        """Intervals that workers have closed."""
        self._closed += intervals

    def look(
        self, phase: str, start_ns: int, lost: Counter[ErrorKind], last: bool = False
    ) -> Ending | None:
        """Show what has been measured by now; `lost` are the requests that were lost with their
        workers, `last` is whether this is all.
        """
        layout, now = self._layout, self._clock.now_ns()
        memories = layout.memories
        closed, self._closed = self._closed, []
        began = [int(memory.header[Field.BEGAN_NS]) for memory in memories]
        return self._lead.look(
            Moment(
                phase=phase,
                now_ns=now,
                start_ns=start_ns,
                # Failures count at once, so that what is in slices has to count as well; with very
                # many workers it would take too long to look.
                completed=answered(memories)
                if len(memories) <= MOST_LOOKED_AT
                else layout.total(Field.COMPLETED),
                failed=layout.total(Field.FAILED) + layout.total(Field.DROPPED) + lost.total(),
                last_answer_ns=layout.last_answer_ns(),
                began_ns=max(began) if all(began) else 0,
                intervals=closed,
                progress=self._progress,
                last=last,
                snapshot=lambda: snapshot_of(memories, self._plan.open_loop, lost, now, start_ns),
            )
        )


def snapshot_of(
    memories: Sequence[WorkerMemory],
    open_loop: bool,
    lost: Counter[ErrorKind],
    now_ns: int,
    start_ns: int,
) -> Snapshot:
    """What these workers have counted. They go on meanwhile, so its parts may differ by what one
    slice holds.
    """
    response, service, lateness = merged(memories, open_loop)
    completed = response.count + response.out_of_range
    errors = errors_of([WorkerReport(-1)] * len(memories), memories, lost)
    return Snapshot(now_ns, start_ns, completed, errors, response, service, lateness)


async def _first_of(
    awaited: asyncio.Future, interrupt: asyncio.Event, look: Callable[[], None]
) -> None:
    """Wait until one is done or the other is set."""
    interrupted = asyncio.ensure_future(interrupt.wait())
    waiting = {awaited, interrupted}
    try:
        while not (awaited.done() or interrupted.done()):
            await asyncio.wait(waiting, timeout=_NAP_S, return_when=asyncio.FIRST_COMPLETED)
            look()
    finally:
        interrupted.cancel()
        await asyncio.gather(interrupted, return_exceptions=True)

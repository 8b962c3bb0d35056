"""What a watcher is told a few times a second while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qs.engine.clock import FOREVER_NS, Clock
from qs.engine.conduct.layout import Layout
from qs.engine.load.schedule import bounded
from qs.engine.plan import RunPlan
from qs.engine.record.histogram import Histogram, highest_value_of
from qs.engine.record.intervals import Interval
from qs.engine.record.memory import Field, Phase
from qs.engine.workers.share import schedule_of, until_ns_of


@dataclass(frozen=True)
class NodeProgress:
    """The same of one node, as it was heard last."""

    name: str
    phase: str  # as of Progress; or "starting", "lost"
    completed: int = 0
    errors: int = 0
    now_per_s: float = 0.0
    p99_ns: int | None = None
    silent_s: float = 0.0  # for how long nothing was heard of it


@dataclass(frozen=True)
class Progress:
    """A moment of a run. None stands for what is not known (yet)."""

    phase: str  # build, warmup, measure, drain or reading
    completed: int = 0
    planned: int | None = None
    errors: int = 0
    elapsed_s: float = 0.0
    # over the measured phase so far, and over the last tick
    queries_per_s: float = 0.0
    now_per_s: float = 0.0
    eta_s: float | None = None
    # response times so far, and those of the interval that was closed last
    p50_ns: int | None = None
    p99_ns: int | None = None
    p50_now_ns: int | None = None
    p99_now_ns: int | None = None
    # open loop: requests that are due and not answered, and those of them without a worker
    in_flight: int | None = None
    backlog: int | None = None
    # open loop: requests that were given up because too many waited
    dropped: int = 0
    # open loop: how late requests were issued so far
    lateness_p99_ns: int | None = None
    # the counts so far, which go on changing
    response: Histogram | None = None
    # how many of the requests were read for the plan's measures, after the drain
    read: int | None = None
    # how each node is doing, where the run goes over several
    nodes: tuple[NodeProgress, ...] = ()


LATEST = 3  # workers close an interval one after the other
# Above this rate counting what is due would cost what watching may not.
MOST_COUNTED_PER_S = 100_000


class DueCount:
    """How many requests of an open loop are due by now. Draws its schedule along with the run."""

    def __init__(self, plan: RunPlan):
        self._blocks = bounded(
            schedule_of(plan).blocks(), until_ns_of(plan, 0), plan.stop.iterations
        )
        self._block = np.zeros(0, np.int64)
        self._before = 0
        self._gave_up = False

    def until(self, offset_ns: int) -> int | None:
        """None if the rate is too high to count."""
        if self._gave_up:
            return None
        while not self._block.size or self._block[-1] < offset_ns:
            block = next(self._blocks, None)
            if block is None:
                break
            self._before += self._block.size
            self._block = block
            if self._before > MOST_COUNTED_PER_S * max(offset_ns / 1e9, 1.0):
                self._gave_up = True
                return None
        return self._before + int(np.searchsorted(self._block, offset_ns, "right"))


OnProgress = Callable[[Progress], None]


class SoFar:
    """The response times of a run so far, and of its last intervals."""

    def __init__(self) -> None:
        self.response = Histogram()
        self._latest: dict[int, Histogram] = {}  # by the interval's number

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        for _, interval in intervals:
            self.response.counts[interval.index] += interval.counts
            count = int(interval.counts.sum())
            self.response.count += count
            latest = self._latest.get(interval.number)
            if latest is None:
                if len(self._latest) >= LATEST and interval.number < min(self._latest):
                    continue
                latest = self._latest[interval.number] = Histogram()
            latest.counts[interval.index] += interval.counts
            latest.count += count
        for number in sorted(self._latest)[:-LATEST]:
            del self._latest[number]

    def in_all_ns(self) -> tuple[int | None, int | None]:
        """Median and p99 so far."""
        return self.response.value_at(50), self.response.value_at(99)

    def latest_ns(self) -> tuple[int | None, int | None]:
        """Median and p99 of the last interval that all workers have closed, or else some."""
        if not self._latest:
            return None, None
        numbers = sorted(self._latest)
        latest = self._latest[numbers[-2] if len(numbers) > 1 else numbers[0]]
        return latest.value_at(50), latest.value_at(99)


def eta_s(
    plan: RunPlan, completed: int, rate_per_s: float, elapsed_s: float, left_s: float | None
) -> float | None:
    """When a run that goes on like this will end, in seconds from now; `left_s` is what is left of
    its duration. None if that cannot be said.
    """
    ends = [] if left_s is None else [max(left_s, 0.0)]
    stop = plan.stop
    if (
        stop.until_stable is None
        and (stop.min_duration_s or stop.min_queries)
        and (rate_per_s > 0 or not stop.min_queries)
    ):
        more = max((stop.min_queries or 0) - completed, 0)
        least_s = (stop.min_duration_s or 0.0) - elapsed_s
        ends.append(max(least_s, more / rate_per_s if more else 0.0))
    if plan.planned is not None and rate_per_s > 0:
        ends.append(max(plan.planned - completed, 0) / rate_per_s)
    return min(ends) if ends else None


class Meter:
    """Reads the workers' counters and tells the watcher. It only reads; no worker waits for it."""

    def __init__(self, plan: RunPlan, layout: Layout, on_progress: OnProgress | None, clock: Clock):
        self._plan = plan
        self._layout = layout
        self._tell = on_progress
        self._clock = clock
        self._so_far = SoFar()
        self._due = DueCount(plan) if plan.scheduled else None
        self._last: tuple[int, float] = (0, 0.0)
        self._coroutines = plan.pool.kind == "async"
        self._measured: Progress | None = None  # what was told last of the measured phase

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        """Count closed intervals into the percentiles so far, if somebody watches: it takes time
        from an event loop that makes requests.
        """
        if self._tell is not None:
            self._so_far.add(intervals)

    def preparing(self) -> None:
        if self._tell is None:
            return
        warm = all(memory.header[Field.PHASE] >= Phase.WARM_UP for memory in self._layout.memories)
        planned = self._plan.warmup_iterations * self._layout.workers or None
        self._tell(
            Progress(
                "warmup" if warm else "build", self._layout.total(Field.WARM_COMPLETED), planned
            )
        )

    def measuring(self, phase: str, start_ns: int, end_ns: int) -> None:
        if self._tell is None:
            return
        completed = self._layout.total(Field.COMPLETED)
        elapsed_s = max((self._clock.now_ns() - start_ns) / 1e9, 0.0)
        before, before_s = self._last
        now_per_s = (completed - before) / (elapsed_s - before_s) if elapsed_s > before_s else 0.0
        self._last = (completed, elapsed_s)
        rate = completed / elapsed_s if elapsed_s else 0.0
        left_s = (end_ns - start_ns) / 1e9 - elapsed_s if end_ns < FOREVER_NS else None
        errors = self._layout.total(Field.FAILED)
        self._measured = Progress(
            phase,
            completed,
            self._plan.planned,
            errors,
            elapsed_s,
            rate,
            now_per_s,
            eta_s(self._plan, completed, rate, elapsed_s, left_s),
            *self._so_far.in_all_ns(),
            *self._so_far.latest_ns(),
            **self._queue(start_ns, completed + errors),
            response=self._so_far.response,
        )
        self._tell(self._measured)

    def reading(self) -> None:
        """Nothing is measured any more."""
        if self._tell is None:
            return
        so_far = self._measured or Progress("drain")
        completed, read = self._layout.total(Field.COMPLETED), self._layout.total(Field.READ)
        self._tell(
            replace(
                so_far, phase="reading", completed=completed, read=read, now_per_s=0.0, eta_s=None
            )
        )

    def _queue(self, start_ns: int, answered: int) -> dict[str, Any]:
        """Open loop: how many requests are due and not answered, how many of them have no worker,
        and how late requests are issued.
        """
        if self._due is None:
            return {}
        dropped = self._layout.total(Field.DROPPED)
        due = self._due.until(self._clock.now_ns() - start_ns)
        # Rows of the slices in progress are answered, though not counted yet.
        answered += sum(
            int(np.count_nonzero(each.completed))
            for each in self._layout.memories
            if each.header[Field.SLICE_NS]
        )
        in_flight = None if due is None else max(due - answered - dropped, 0)
        backlog = (
            None
            if in_flight is None or self._coroutines
            else max(in_flight - self._layout.workers, 0)
        )
        counts = sum(memory.lateness for memory in self._layout.memories)
        total = int(np.sum(counts))
        late_ns = (
            highest_value_of(int(np.searchsorted(np.cumsum(counts), 0.99 * total)))
            if total
            else None
        )
        return {
            "in_flight": in_flight,
            "backlog": backlog,
            "dropped": dropped,
            "lateness_p99_ns": late_ns,
        }

"""What a watcher is told a few times a second while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.clock import Clock
from engine.closed_loop import FOREVER_NS
from engine.histogram import Histogram
from engine.memory import Field, Phase, WorkerMemory
from engine.plan import RunPlan
from engine.recorder import Interval


@dataclass(frozen=True)
class Progress:
    """A moment of a run. `phase` is build, warmup, measure or drain; None stands for what is not known (yet).

    queries_per_s is over the measured phase so far, now_per_s over the last tick; p50_ns and p99_ns are response times so far.
    """

    phase: str
    completed: int = 0
    planned: int | None = None
    errors: int = 0
    elapsed_s: float = 0.0
    queries_per_s: float = 0.0
    now_per_s: float = 0.0
    eta_s: float | None = None
    p50_ns: int | None = None
    p99_ns: int | None = None


OnProgress = Callable[[Progress], None]


class Meter:
    """Reads the workers' counters and tells the watcher. It only reads: no worker waits for it."""

    def __init__(
        self,
        plan: RunPlan,
        workers: int,
        memories: Callable[[], Sequence[WorkerMemory]],
        on_progress: OnProgress,
        clock: Clock,
    ):
        """`memories` answers the memories of all workers there are by then."""
        self._plan = plan
        self._workers = workers
        self._memories = memories
        self._tell = on_progress
        self._clock = clock
        self._so_far = Histogram()
        self._last: tuple[int, float] = (0, 0.0)

    def add(self, intervals: Iterable[tuple[int, Interval]]) -> None:
        """Count closed intervals into the percentiles so far."""
        for _, interval in intervals:
            self._so_far.counts[interval.index] += interval.counts
            self._so_far.count += int(interval.counts.sum())

    def preparing(self) -> None:
        warm = all(memory.header[Field.PHASE] >= Phase.WARM_UP for memory in self._memories())
        planned = self._plan.warmup_iterations * self._workers or None
        self._tell(Progress("warmup" if warm else "build", self._sum(Field.WARM_COMPLETED), planned))

    def measuring(self, phase: str, start_ns: int, end_ns: int) -> None:
        completed = self._sum(Field.COMPLETED)
        elapsed_s = max((self._clock.now_ns() - start_ns) / 1e9, 0.0)
        before, before_s = self._last
        now_per_s = (completed - before) / (elapsed_s - before_s) if elapsed_s > before_s else 0.0
        self._last = (completed, elapsed_s)
        rate = completed / elapsed_s if elapsed_s else 0.0
        p50_ns, p99_ns = (self._so_far.value_at(percentile) for percentile in (50, 99))
        left_s = (end_ns - start_ns) / 1e9 - elapsed_s if end_ns < FOREVER_NS else None
        errors = self._sum(Field.FAILED)
        self._tell(
            Progress(
                phase,
                completed,
                self._plan.planned,
                errors,
                elapsed_s,
                rate,
                now_per_s,
                self._eta_s(completed, rate, elapsed_s, left_s),
                p50_ns,
                p99_ns,
            )
        )

    def _eta_s(self, completed: int, rate: float, elapsed_s: float, left_s: float | None) -> float | None:
        ends = [] if left_s is None else [max(left_s, 0.0)]
        stop = self._plan.stop
        if (
            stop.until_stable is None
            and (stop.min_duration_s or stop.min_queries)
            and (rate > 0 or not stop.min_queries)
        ):
            more = max((stop.min_queries or 0) - completed, 0)
            ends.append(max((stop.min_duration_s or 0.0) - elapsed_s, more / rate if more else 0.0))
        if self._plan.planned is not None and rate > 0:
            ends.append(max(self._plan.planned - completed, 0) / rate)
        return min(ends) if ends else None

    def _sum(self, field: Field) -> int:
        return sum(int(memory.header[field]) for memory in self._memories())

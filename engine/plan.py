"""What to run: load model, stop rule, pool, warm-up and limits. Plain values, checked all at once,
run by `qs.engine.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qs.engine.load import ClosedLoop, LoadModel
from qs.engine.result import Metric, Rule, RunResult

POOL_KINDS = ("inline", "thread", "process", "async")
# The longest interval that workers record by themselves.
RECORDED_S = 0.1
SPIN = ("never", "auto", "always")


@dataclass(frozen=True)
class Factory:
    """Makes the target in the place where it will run: `reference` ("package.module:name") is
    imported and called with `kwargs` in each worker.

    `kwargs` must be picklable; the target need not be. It may carry its own `samples`.
    """

    reference: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """Where calls of the target run."""

    # "inline": in the calling thread; "thread"; "process": one process per worker; "async":
    # coroutines on an event loop
    kind: str = "thread"
    # how many call at once; None: one per client in closed loop, one in open loop
    workers: int | None = None
    # how often a Factory is called; None: once per worker
    instances: int | None = None
    # CPU sets, given to the instances (or workers) in turn; empty: the system places them
    affinity: Sequence[Sequence[int]] = ()
    # threads that a target may use inside one call; set in the environment before a process builds
    # its target
    intra_op_threads: int | None = None
    # "async" in open loop: how many requests may be unanswered at a time; None: any number
    max_in_flight: int | None = None
    # whether a worker in open loop spins the last microseconds before a due time; "auto": if a core
    # is free
    spin: str = "auto"

    def faults(self) -> list[str]:
        found = []
        if self.kind not in POOL_KINDS:
            found.append(
                f"pool kind: {self.kind!r} is not allowed, "
                f"it must be one of {', '.join(POOL_KINDS)}"
            )
        if self.spin not in SPIN:
            found.append(
                f"pool spin: {self.spin!r} is not allowed, it must be one of {', '.join(SPIN)}"
            )
        for name in ("workers", "instances", "intra_op_threads", "max_in_flight"):
            value = getattr(self, name)
            if value is not None and value < 1:
                found.append(f"pool {name}: {value} is not allowed, it must be at least 1")
        if self.kind == "inline" and (self.workers or 1) > 1:
            found.append(
                f"pool workers: {self.workers} is not allowed inline, "
                "the calling thread is the only worker"
            )
        return found


@dataclass(frozen=True)
class Stop:
    """When the measured phase ends: at either maximum, or as soon as both minimums are reached and
    the results are stable, as far as these are asked for.
    """

    # no request is issued (closed loop) or due (open loop) after this
    duration_s: float | None = None
    # requests over all workers (a client's own count is the closed loop's `iterations`)
    iterations: int | None = None
    # a limit on top of the plan: the run ends there with what it has, and says so
    max_duration_s: float | None = None
    # go on until both minimums are reached; no other rule is needed then
    min_duration_s: float | None = None
    min_queries: int | None = None
    # go on until the 95 % confidence intervals (half-widths) of throughput and of
    # `stable_percentile` of the response time are at most this share of their values (0.01 is 1 %);
    # needs a maximum; statistics/confidence.py says how
    until_stable: float | None = None
    stable_percentile: float = 99.0
    # the error budget: the run ends when more requests failed, or surely a larger share of them;
    # failures within it do not make the result INVALID
    max_errors: int | None = None
    max_error_rate: float | None = None

    def faults(self) -> list[str]:
        found = []
        for name in (
            "duration_s",
            "max_duration_s",
            "min_duration_s",
            "iterations",
            "min_queries",
            "until_stable",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                found.append(f"{name}: {value} is not allowed, it must be above 0")
        if not 0 < self.stable_percentile < 100:
            found.append(
                f"stable_percentile: {self.stable_percentile} is not allowed, "
                "it must lie between 0 and 100"
            )
        if self.max_errors is not None and self.max_errors < 0:
            found.append(f"max_errors: {self.max_errors} is not allowed, it must be at least 0")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate < 1:
            found.append(
                f"max_error_rate: {self.max_error_rate} is not allowed, "
                "it must be a share from 0 up to below 1"
            )
        return found

    @property
    def has_maximum(self) -> bool:
        return any(
            limit is not None for limit in (self.duration_s, self.iterations, self.max_duration_s)
        )

    @property
    def has_end(self) -> bool:
        """Whether it ends a load that has no end of its own."""
        return self.has_maximum or any(
            asked is not None
            for asked in (self.min_duration_s, self.min_queries, self.until_stable)
        )


@dataclass(frozen=True)
class Batching:
    """Collect up to `max_batch_size` requests, or those of `max_delay_us` after the first was due.

    `collate` makes what the target is called with from the list of samples; by default their arrays
    are joined along the first axis. A function of a module, so that other processes can
    find it.
    """

    max_batch_size: int
    max_delay_us: float = 0.0
    collate: Callable[[list[Any]], Any] | None = None

    def faults(self) -> list[str]:
        found = []
        if self.max_batch_size < 1:
            found.append(
                f"batching max_batch_size: {self.max_batch_size} is not allowed, "
                "it must be at least 1"
            )
        if not self.max_delay_us >= 0:
            found.append(
                f"batching max_delay_us: {self.max_delay_us} is not allowed, it must be at least 0"
            )
        return found


class Judge(Protocol):
    """Judges the result of a plan: a scenario."""

    @property
    def name(self) -> str: ...

    @property
    def percentile(self) -> float | None:
        """The percentile of response time that it judges, if any."""
        ...

    def rules(self, result: RunResult) -> list[Rule]:
        """Every rule, with what it needed and what was measured."""
        ...

    def metric(self, result: RunResult) -> Metric:
        """The number that results are compared by."""
        ...


@dataclass(frozen=True)
class RunPlan:
    """One measured run."""

    load: LoadModel = ClosedLoop()
    stop: Stop = Stop()
    pool: Pool = Pool()
    # per worker, before the measured phase, recorded apart; goes on until `warmup_s` have passed
    warmup_iterations: int = 0
    warmup_s: float = 0.0
    # a request that takes longer is an error of kind "timeout"; one that never returns ends its
    # worker
    timeout_s: float = 60.0
    # how long after the end requests may still come back before they are cut off and counted
    drain_s: float = 30.0
    # how long building and warming up all targets may take
    build_timeout_s: float = 600.0
    # open loop: requests that are due close together share a call
    batching: Batching | None = None
    # length of the result's intervals
    interval_s: float = 1.0
    # the percentiles of response time that are wanted: the result warns if it has too few samples
    # for one
    percentiles: tuple[float, ...] = (99.0,)
    # first measure the engine's own cost, in the same processes with a target that does nothing
    # (at most 0.1 s, once per layout)
    calibrate: bool = True
    # open loop: drop (and count) a due request when more than this many due requests wait behind
    # it; None: never. With coroutines over several processes, each process has its own line
    max_backlog: int | None = None
    # call the target with a list of this many consecutive samples; None: with one sample
    samples_per_query: int | None = None
    # judges the result; set by the scenario's own `plan`
    scenario: Judge | None = None

    def faults(self) -> list[str]:
        """Every reason why this plan cannot run, one sentence each."""
        found = [*self.load.faults(), *self.stop.faults(), *self.pool.faults()]
        for name in ("warmup_iterations", "warmup_s", "drain_s"):
            if not getattr(self, name) >= 0:
                found.append(f"{name}: {getattr(self, name)} is not allowed, it must be at least 0")
        found += [
            f"percentiles: {percentile} is not allowed, it must lie between 0 and 100"
            for percentile in self.percentiles
            if not 0 < percentile < 100
        ]
        for name in ("timeout_s", "build_timeout_s", "interval_s"):
            if not getattr(self, name) > 0:
                found.append(f"{name}: {getattr(self, name)} is not allowed, it must be above 0")
        stop = self.stop
        if self.batching is not None:
            found += self.batching.faults()
            if not self.open_loop or self.pool.kind == "async":
                found.append(
                    "batching: only blocking targets in open loop share calls; leave it out here"
                )
        if isinstance(self.load, ClosedLoop):
            found += self._closed_loop_faults(self.load)
        elif not stop.has_end and not self.load.ends:
            found.append(
                "stop: an open loop of this kind has no end of its own; "
                "give duration_s or iterations"
            )
        if stop.until_stable is not None and not stop.has_maximum and not self.load.ends:
            found.append(
                "until_stable: a run that never gets stable would never end; "
                "give max_duration_s as well"
            )
        return found + self._query_faults()

    def _query_faults(self) -> list[str]:
        found = []
        if self.max_backlog is not None:
            if self.max_backlog < 0:
                found.append(
                    f"max_backlog: {self.max_backlog} is not allowed, it must be at least 0"
                )
            if not self.open_loop:
                found.append(
                    "max_backlog: nothing is due in closed loop, so nothing can wait; leave it out"
                )
        if self.samples_per_query is not None:
            if self.samples_per_query < 1:
                found.append(
                    f"samples_per_query: {self.samples_per_query} is not allowed, "
                    "it must be at least 1"
                )
            if self.batching is not None:
                found.append(
                    "samples_per_query: batching makes the lists here; leave one of the two out"
                )
        return found

    @property
    def open_loop(self) -> bool:
        return not isinstance(self.load, ClosedLoop)

    def _closed_loop_faults(self, load: ClosedLoop) -> list[str]:
        found = []
        stop = self.stop
        if load.iterations is None and not stop.has_end:
            found.append(
                "iterations: missing; give the closed loop iterations, "
                "or the stop rule a duration_s or iterations"
            )
        workers = self.pool.workers
        if self.pool.kind == "inline" and load.clients != 1:
            found.append(
                f"clients: {load.clients} is not allowed inline, "
                "the calling thread is the only client"
            )
        elif self.pool.kind == "thread" and workers is not None and 0 < workers < load.clients:
            found.append(
                f"pool workers: {workers} is not allowed with {load.clients} clients, "
                "each drives its own thread"
            )
        elif self.pool.kind == "process" and workers is not None and workers > load.clients:
            found.append(
                f"pool workers: {workers} is not allowed with {load.clients} clients, "
                "a process without a client would idle"
            )
        return found

    @property
    def recorded_per_interval(self) -> int:
        """How many of the workers' intervals make one of the result's. Workers record more finely
        so that a run of seconds has batches to compare.
        """
        return max(math.ceil(self.interval_s / RECORDED_S), 1)

    @property
    def recorded_ns(self) -> int:
        """Length of the workers' intervals."""
        return max(round(self.interval_s * 1e9 / self.recorded_per_interval), 1)

    @property
    def planned(self) -> int | None:
        """How many requests the plan asks for; None if time or another rule decides."""
        counts = [n for n in (self.load.planned, self.stop.iterations) if n is not None]
        return min(counts, default=None)

"""What to run: load model, stop rule, pool, warm-up and limits. Plain values, checked all at once, run by `engine.run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.batching import Batching
from engine.load import ClosedLoop, LoadModel

POOL_KINDS = ("inline", "thread", "process", "async")
SPIN = ("never", "auto", "always")


@dataclass(frozen=True)
class Factory:
    """Makes the target where it will run: `reference` ("package.module:name") is imported and called with `kwargs` in each worker.

    `kwargs` must be picklable; what it makes need not be. The target it returns may carry its own `samples`.
    """

    reference: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """Where calls of the target run.

    kind       "inline": in the calling thread; "thread"; "process": one process a worker; "async": coroutines on an event loop
    workers    how many call at once. None: one a client in closed loop, one in open loop
    instances  how many times a Factory is called. None: once a worker
    affinity   CPU sets, given to the instances (or workers) in turn; empty leaves placement to the system
    intra_op_threads  threads that a target may use inside one call; set in the environment before a process builds its target
    max_in_flight     "async" in open loop: how many requests may be unanswered at a time. None: no bound
    spin       whether a worker of open loop spins the last microseconds before a due time: "auto" where a core is free
    """

    kind: str = "thread"
    workers: int | None = None
    instances: int | None = None
    affinity: Sequence[Sequence[int]] = ()
    intra_op_threads: int | None = None
    max_in_flight: int | None = None
    spin: str = "auto"

    def faults(self) -> list[str]:
        found = []
        if self.kind not in POOL_KINDS:
            found.append(f"pool kind: {self.kind!r} is not allowed, it must be one of {', '.join(POOL_KINDS)}")
        if self.spin not in SPIN:
            found.append(f"pool spin: {self.spin!r} is not allowed, it must be one of {', '.join(SPIN)}")
        for name in ("workers", "instances", "intra_op_threads", "max_in_flight"):
            value = getattr(self, name)
            if value is not None and value < 1:
                found.append(f"pool {name}: {value} is not allowed, it must be at least 1")
        if self.kind == "inline" and (self.workers or 1) > 1:
            found.append(f"pool workers: {self.workers} is not allowed inline, the calling thread is the only worker")
        return found


@dataclass(frozen=True)
class Stop:
    """When the measured phase ends: at any maximum, but not before both minimums.

    duration_s      no request is issued (closed loop) or due (open loop) after it
    iterations      requests in all, over all workers (a client's own count is the closed loop's `iterations`)
    max_duration_s  a limit on top of the plan: the run ends there, marked so, with what it has
    min_duration_s, min_queries   go on until both are reached; needs no other rule
    """

    duration_s: float | None = None
    iterations: int | None = None
    max_duration_s: float | None = None
    min_duration_s: float | None = None
    min_queries: int | None = None

    def faults(self) -> list[str]:
        found = []
        for name in ("duration_s", "max_duration_s", "min_duration_s", "iterations", "min_queries"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                found.append(f"{name}: {value} is not allowed, it must be above 0")
        return found


@dataclass(frozen=True)
class RunPlan:
    """One measured run.

    warmup_iterations  per worker, before the measured phase, recorded apart; warmup_s goes on until that time as well
    timeout_s          a request that takes longer counts as an error of kind "timeout"; one that never returns ends its worker
    batching           open loop: let requests that are due close together share a call
    build_timeout_s    how long building and warming up the targets may take in all
    drain_s            how long after the end requests may still come back before they are cut off and counted
    """

    load: LoadModel = ClosedLoop()
    stop: Stop = Stop()
    pool: Pool = Pool()
    warmup_iterations: int = 0
    warmup_s: float = 0.0
    timeout_s: float = 60.0
    drain_s: float = 30.0
    build_timeout_s: float = 600.0
    batching: Batching | None = None
    interval_s: float = 1.0

    def faults(self) -> list[str]:
        """Everything that keeps this plan from running, one sentence each."""
        found = [*self.load.faults(), *self.stop.faults(), *self.pool.faults()]
        for name in ("warmup_iterations", "warmup_s", "drain_s"):
            if not getattr(self, name) >= 0:
                found.append(f"{name}: {getattr(self, name)} is not allowed, it must be at least 0")
        for name in ("timeout_s", "build_timeout_s", "interval_s"):
            if not getattr(self, name) > 0:
                found.append(f"{name}: {getattr(self, name)} is not allowed, it must be above 0")
        stop = self.stop
        if self.batching is not None:
            found += self.batching.faults()
            if isinstance(self.load, ClosedLoop) or self.pool.kind == "async":
                found.append("batching: only blocking targets in open loop share calls; leave it out here")
        if isinstance(self.load, ClosedLoop):
            found += self._closed_loop_faults(self.load)
        elif not (stop.duration_s or stop.iterations or stop.max_duration_s or stop.min_duration_s or stop.min_queries):
            if not getattr(self.load, "duration_s", None) and not hasattr(self.load, "due_s"):
                found.append("stop: an open loop of this kind has no end of its own; give duration_s or iterations")
        return found

    def _closed_loop_faults(self, load: ClosedLoop) -> list[str]:
        found = []
        stop = self.stop
        if load.iterations is None and stop == Stop():
            found.append("iterations: missing; give the closed loop iterations, or the stop rule a duration_s or iterations")
        workers = self.pool.workers
        if self.pool.kind == "inline" and load.clients != 1:
            found.append(f"clients: {load.clients} is not allowed inline, the calling thread is the only client")
        elif self.pool.kind == "thread" and workers is not None and 0 < workers < load.clients:
            found.append(f"pool workers: {workers} is not allowed with {load.clients} clients, each drives its own thread")
        elif self.pool.kind == "process" and workers is not None and workers > load.clients:
            found.append(f"pool workers: {workers} is not allowed with {load.clients} clients, a process without a client would idle")
        return found

    @property
    def planned(self) -> int | None:
        """How many requests the plan asks for, where it says; None when time or another rule decides."""
        counts = [count for count in (getattr(self.load, "planned", None), self.stop.iterations) if count is not None]
        return min(counts) if counts else None

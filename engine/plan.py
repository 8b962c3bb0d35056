"""What to run: load model, stop rule, pool, warm-up and limits. Plain values, checked all at once,
run by `qs.engine.run`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qs.engine.checks import (
    LONGEST_S,
    MOST_WORKERS,
    choice,
    count,
    counts,
    faults_of,
    flag,
    instance,
    is_finite,
    is_whole,
    items_of,
    number,
    percentile,
    seconds,
    sequence,
    shares,
    times,
)
from qs.engine.judge import Judge
from qs.engine.load import ClosedLoop, LoadModel, Sessions, is_load
from qs.engine.measures.measure import Bound, Measure, measuring_faults
from qs.engine.part import Part
from qs.engine.record.parts import PARTS

POOL_KINDS = ("inline", "thread", "process", "async")
# The longest interval that workers record by themselves.
RECORDED_S = 0.1
# Finer intervals would cost more than the requests in them.
LEAST_INTERVAL_S = 0.0001
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
    # "async" in open loop: how many requests may be unanswered at a time, over all processes (at
    # least one each); None: any number
    max_in_flight: int | None = None
    # whether a worker in open loop spins the last microseconds before a due time; "auto": if a core
    # is free
    spin: str = "auto"

    def faults(self) -> list[str]:
        found = faults_of(
            choice("pool kind", self.kind, POOL_KINDS),
            choice("pool spin", self.spin, SPIN),
            *counts(
                self, "workers", "instances", "intra_op_threads", most=MOST_WORKERS, of="pool "
            ),
            *counts(self, "max_in_flight", of="pool "),
            sequence("pool affinity", self.affinity, "a list of CPU sets, such as [(0, 1)]"),
        )
        for cpus in items_of(self.affinity):
            whole = bool(items_of(cpus)) and all(is_whole(cpu) and cpu >= 0 for cpu in cpus)
            found += faults_of((whole, "pool affinity", cpus, "a list of CPUs, such as (0, 1)"))
        if found:
            return found
        if self.kind == "inline" and is_whole(self.workers) and (self.workers or 1) > 1:
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
    # go on, for a second at least, until the 95 % confidence interval of throughput alone is at
    # most this share of it; needs a maximum, and one that ends the run before is no fault
    until_known: float | None = None
    # the error budget: the run ends when more requests failed, or surely a larger share of them;
    # failures within it do not make the result INVALID
    max_errors: int | None = None
    max_error_rate: float | None = None

    def faults(self) -> list[str]:
        return faults_of(
            *times(self, "duration_s", "max_duration_s", "min_duration_s", above_0=True),
            *counts(self, "iterations", "min_queries"),
            *counts(self, "max_errors", least=0),
            *shares(self, "until_stable", most=None),
            *shares(self, "until_known", most=None),
            *shares(self, "max_error_rate", most=1.0),
            percentile("stable_percentile", self.stable_percentile),
        )

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
            for asked in (
                self.min_duration_s,
                self.min_queries,
                self.until_stable,
                self.until_known,
            )
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
        return faults_of(
            count("batching max_batch_size", self.max_batch_size),
            number(
                "batching max_delay_us",
                self.max_delay_us,
                is_finite(self.max_delay_us) and 0 <= self.max_delay_us <= LONGEST_S * 1e6,
                f"from 0 to {LONGEST_S * 1e6:,.0f} us",
            ),
            (
                self.collate is None or callable(self.collate),
                "batching collate",
                self.collate,
                "a function of a list of samples, or None",
            ),
        )


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
    # what the times that a started target's calls bring are to be told apart by: names of
    # `RunResult.parts`, which are "wait" (for a connection), "first_byte" (from the first byte
    # sent) and "transfer" (from there to the last)
    parts: tuple[str, ...] = ()
    # what a started target that has `read` tells of each request: `RunResult.measures`
    measures: tuple[Measure, ...] = ()
    # what a good request keeps: `RunResult.good`; of the measures, or RESPONSE
    bounds: tuple[Bound, ...] = ()
    # of so many requests `RunResult.sampled` has all columns
    sample_requests: int = 0
    # judges the result; set by the scenario's own `plan`
    scenario: Judge | None = None
    # set where it is one of several that run at the same time (qs.engine.distributed)
    part: Part | None = None

    def faults(self) -> list[str]:
        """Every reason why this plan cannot run, one sentence each."""
        parts = faults_of(
            (is_load(self.load), "load", self.load, "a load model"),
            instance("stop", self.stop, Stop, "a Stop"),
            instance("pool", self.pool, Pool, "a Pool"),
            instance("part", self.part, (Part, type(None)), "a Part, or None"),
            instance("batching", self.batching, (Batching, type(None)), "a Batching, or None"),
            (
                self.scenario is None or callable(getattr(self.scenario, "rules", None)),
                "scenario",
                self.scenario,
                "a scenario, or None",
            ),
        )
        if parts:
            return parts
        stop, batching, blocking = self.stop, self.batching, self.pool.kind != "async"
        lines = self.max_backlog is not None or self.samples_per_query is not None
        rules = (
            (self.scheduled or not self.open_loop or not blocking and not lines, Sessions.NEEDS),
            (
                batching is None or self.open_loop and blocking,
                "batching: only blocking targets in open loop share calls; leave it out here",
            ),
            (
                self.part or stop.has_end or self.load.ends or not self.open_loop,
                "stop: an open loop of this kind has no end of its own; "
                "give duration_s or iterations",
            ),
            (
                self.part or stop.has_end or self.load.ends or self.open_loop,
                "iterations: missing; give the closed loop iterations, "
                "or the stop rule a duration_s or iterations",
            ),
            (
                stop.has_maximum or self.load.ends or stop.until_stable is None,
                "until_stable: a run that never gets stable would never end; "
                "give max_duration_s as well",
            ),
            (
                stop.has_maximum or self.load.ends or stop.until_known is None,
                "until_known: a run whose throughput never settles would never end; "
                "give max_duration_s as well",
            ),
            (
                self.max_backlog is None or self.open_loop,
                "max_backlog: nothing is due in closed loop, so nothing can wait; leave it out",
            ),
            (
                not len(items_of(self.parts)) or not blocking,
                "parts: calls that bring their own times are those of a started target; "
                'give it with Pool("async"), or leave parts out',
            ),
            (
                self.samples_per_query is None or batching is None,
                "samples_per_query: batching makes the lists here; leave one of the two out",
            ),
        )
        found = [
            *self.load.faults(),
            *stop.faults(),
            *self.pool.faults(),
            *(() if batching is None else batching.faults()),
            *(() if self.part is None else self.part.faults()),
            *faults_of(
                count("warmup_iterations", self.warmup_iterations, 0),
                *counts(self, "max_backlog", least=0),
                *counts(self, "samples_per_query"),
                *(seconds(name, getattr(self, name)) for name in ("warmup_s", "drain_s")),
                *(
                    seconds(name, getattr(self, name), above_0=True)
                    for name in ("timeout_s", "build_timeout_s")
                ),
                number(
                    "interval_s",
                    self.interval_s,
                    is_finite(self.interval_s) and LEAST_INTERVAL_S <= self.interval_s <= LONGEST_S,
                    f"at least {LEAST_INTERVAL_S} s",
                ),
                sequence("parts", self.parts, f"a list of {', '.join(PARTS)}"),
                *(choice("parts", part, tuple(PARTS)) for part in items_of(self.parts)),
                sequence("percentiles", self.percentiles, "a list of percentiles"),
                *(percentile("percentiles", each) for each in items_of(self.percentiles)),
                flag("calibrate", self.calibrate),
            ),
            *(fault for right, fault in rules if not right),
            *measuring_faults(self.measures, self.bounds, self.sample_requests, not blocking),
        ]
        return found or self._client_faults()

    def _client_faults(self) -> list[str]:
        """What does not go together of a closed loop's clients and the pool."""
        kind, workers = self.pool.kind, self.pool.workers
        clients = self.clients
        if clients is None or kind == "async":
            return []
        if kind == "inline" and clients != 1:
            return [
                f"clients: {clients} is not allowed inline, the calling thread is the only client"
            ]
        few = kind == "thread" and workers is not None and 0 < workers < clients
        many = kind == "process" and workers is not None and workers > clients
        if not few and not many:
            return []
        why = "each drives its own thread" if few else "a process without a client would idle"
        return [f"pool workers: {workers} is not allowed with {clients} clients, {why}"]

    @property
    def open_loop(self) -> bool:
        """Whether requests have due times, from which response times count."""
        return not isinstance(self.load, ClosedLoop)

    @property
    def scheduled(self) -> bool:
        """Whether their due times are known beforehand."""
        return not isinstance(self.load, ClosedLoop | Sessions)

    @property
    def keeps(self) -> bool:
        """Whether requests are kept, to be read when they have all ended."""
        return bool(len(self.measures) or len(self.bounds) or self.sample_requests)

    @property
    def clients(self) -> int | None:
        """How many issue their next request when the last one has ended, if the load says so."""
        load = self.load
        return load.users if isinstance(load, Sessions) else getattr(load, "clients", None)

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
        return None if not counts else int(min(counts))

"""One plan as exact parts for several nodes, each of which runs its own without asking the others.

Clients and users are split, and their requests with them as one machine would deal them out. A
Poisson process is split into independent ones (Kingman, "Poisson Processes", 1993, colouring
theorem); of any other schedule node `index` of `of` makes every `of`-th request, so that all
together make those of one machine, each once and with its own sample. Caps are split. What needs
the whole (minimums, stability, the error budget, the scenario's rules) is in no part: who leads
them decides it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from qs.engine.conduct.layout import workers_of
from qs.engine.distributed.splitting.cuts import counts_until, first_of
from qs.engine.distributed.splitting.wrapping import Some
from qs.engine.errors import PlanError
from qs.engine.judging.scenarios import MultiStream, Server, SingleStream
from qs.engine.load import (
    AllAtOnce,
    ClosedLoop,
    ConstantRate,
    Gamma,
    LoadModel,
    Poisson,
    Replay,
    Schedule,
    Sessions,
    Stages,
)
from qs.engine.load.schedule import bounded, striped
from qs.engine.part import Part
from qs.engine.plan import Pool, RunPlan, Stop
from qs.engine.workers.share import schedule_of, until_ns_of

# Beyond so many requests of a Poisson process, which take seconds to draw, each part has an equal
# count: their last requests are then as far apart as chance makes them, a ten-thousandth of the
# run.
MOST_DRAWN = 200_000_000


def part_of(whole: int, index: int, of: int) -> int:
    """So many things as equally as can be: the first nodes have one more."""
    return whole // of + (index < whole % of)


def whole_of(plan: RunPlan, of: int) -> RunPlan:
    """The plan that its parts make together: with a seed where one is to be drawn, and with the end
    of a Server's schedule, which is its first query after both minimums, found anew: the due times
    of independent parts are others than those of one machine.
    """
    plan = replace(plan, load=plan.load.seeded())
    load, server = plan.load, plan.scenario
    if of == 1 or not (isinstance(server, Server) and type(load) is Poisson):
        return plan
    own = replace(server, seed=load.seed).plan().stop
    stop = plan.stop
    if own.iterations is None or (stop.iterations, stop.duration_s) != (
        own.iterations,
        own.duration_s,
    ):
        return plan
    shards = tuple(load.shard(index, of) for index in range(of))
    before = sum(counts_until(shards, int(server.min_duration_s * 1e9)))
    count = max(before + 1, server.least_queries())
    last_ns = first_of(shards, count)[1]
    return replace(plan, stop=replace(stop, iterations=count, duration_s=(last_ns + 1_000) / 1e9))


def shares_of(plan: RunPlan, of: int) -> list[RunPlan]:
    """The parts of `whole_of(plan, of)`. Raises PlanError with `faults_over`."""
    faults = faults_over(plan, of)
    if faults:
        raise PlanError(faults)
    plan = whole_of(plan, of)
    loads, counts = _loads(plan, of), _counts(plan, of)
    shares = [
        replace(
            plan,
            load=load,
            stop=Stop(
                duration_s=plan.stop.duration_s,
                iterations=count,
                max_duration_s=plan.stop.max_duration_s,
                stable_percentile=plan.stop.stable_percentile,
            ),
            pool=_pool(plan.pool, index, of),
            max_backlog=_at_least_1(plan.max_backlog, index, of),
            sample_requests=_at_least_1(plan.sample_requests, index, of) or 0,
            scenario=None,
        )
        for index, (load, count) in enumerate(zip(loads, counts))
    ]
    firsts = accumulate(map(workers_of, shares), initial=0)
    return [
        replace(share, part=Part(index, of, first))
        for index, (share, first) in enumerate(zip(shares, firsts))
    ]


def _pool(pool: Pool, index: int, of: int) -> Pool:
    def mine(whole: int | None) -> int | None:
        return None if whole is None else part_of(whole, index, of)

    return replace(
        pool,
        workers=mine(pool.workers),
        instances=mine(pool.instances),
        max_in_flight=mine(pool.max_in_flight),
    )


def _at_least_1(whole: int | None, index: int, of: int) -> int | None:
    """A part of a cap that is meant for the sum of all, if that is at least one each."""
    return whole if not whole else max(part_of(whole, index, of), 1)


def _loads(plan: RunPlan, of: int) -> Sequence[LoadModel]:
    load = plan.load
    if isinstance(load, ClosedLoop):
        return [replace(load, clients=part_of(load.clients, index, of)) for index in range(of)]
    if isinstance(load, Sessions) and load.users:
        return [replace(load, users=part_of(load.users, index, of)) for index in range(of)]
    schedules = _schedules(schedule_of(plan), of)
    if isinstance(load, Sessions):
        return [replace(load, arrivals=each) for each in schedules]
    return schedules


def _schedules(whole: Schedule, of: int) -> list[Schedule]:
    if of == 1:
        return [whole]
    if type(whole) is Replay and (whole.index, whole.of) == (0, 1):
        # each is sent its own due times alone
        due_s = np.sort(np.asarray(whole.due_s, np.float64))
        return [Replay(due_s[index::of], whole.speed) for index in range(of)]
    if type(whole) in (AllAtOnce, ConstantRate, Gamma, Poisson, Replay, Stages):
        return [whole.shard(index, of) for index in range(of)]
    return [Striped(whole, index, of) for index in range(of)]


@dataclass(frozen=True)
class Striped(Some):
    """Every `of`-th request of somebody's own schedule, from number `index` on: what its own
    `shard` gives need not be in step with the samples.
    """

    index: int
    of: int

    def blocks(self) -> Iterator[np.ndarray]:
        return striped(self.whole.blocks(), self.index, self.of)

    def shard(self, index: int, of: int) -> Striped:
        return Striped(self.whole, self.index + index * self.of, self.of * of)

    @property
    def planned(self) -> int | None:
        whole = self.whole.planned
        return None if whole is None else part_of(whole, self.index, self.of)


def _counts(plan: RunPlan, of: int) -> Sequence[int | None]:
    """The stop rule's count of each part."""
    total = plan.stop.iterations
    if total is None or of == 1:
        return [total] * of
    clients = plan.clients
    if clients is not None:
        # those that one machine would deal out to these clients
        firsts = list(accumulate((part_of(clients, index, of) for index in range(of)), initial=0))
        each, more = divmod(total, clients)
        dealt = [each * first + min(first, more) for first in firsts]
        return [end - begin for begin, end in zip(dealt, dealt[1:])]
    if type(plan.load) is not Poisson or total > MOST_DRAWN:
        return [part_of(total, index, of) for index in range(of)]
    shards = tuple(plan.load.shard(index, of) for index in range(of))
    return first_of(shards, total)[0]


def faults_over(plan: RunPlan, of: int) -> list[str]:
    """Every reason why this plan, which has no faults of its own, cannot run over so many nodes."""
    if of < 1:
        return [f"nodes: {of} is not allowed, it must be at least 1"]
    if of == 1:
        return []
    if isinstance(plan.scenario, SingleStream | MultiStream):
        name = type(plan.scenario).name
        return [
            f"scenario: {name} is not allowed over {of:,} nodes, it means one stream of queries; "
            "run it on one, or use Server or Offline"
        ]
    found = []
    pool = plan.pool
    if pool.kind == "inline":
        found.append(
            f"pool kind: 'inline' is not allowed over {of:,} nodes, "
            "the calling thread would be the only worker; use 'thread'"
        )
    users = isinstance(plan.load, Sessions) and plan.load.users is not None
    caps = (
        ("users" if users else "clients", plan.clients),
        *(
            (f"pool {name}", getattr(pool, name))
            for name in ("workers", "instances", "max_in_flight")
        ),
    )
    found += [
        f"{name}: {value} is not allowed over {of:,} nodes, "
        f"each needs at least one; give {of:,} or more, or fewer nodes"
        for name, value in caps
        if value is not None and value < of
    ]
    return found or _too_few(plan, of)


def _too_few(plan: RunPlan, of: int) -> list[str]:
    """A node whose part has no request in it would have nothing to tell."""
    if plan.scheduled or isinstance(plan.load, Sessions) and plan.load.arrivals is not None:
        idle = _idle(schedule_of(plan).seeded(), until_ns_of(plan, 0), of)
        if idle:
            return [
                f"load: too few requests for {of:,} nodes, none would fall due on {idle:,} of "
                "them; make it longer or higher, or use fewer nodes"
            ]
    total = plan.stop.iterations
    if total is None:
        return []
    counts = _counts(whole_of(plan, of), of) if total >= of else [0]
    if 0 in counts:
        return [
            f"iterations: {total:,} is not allowed over {of:,} nodes, a node would have none; "
            "give more, or use fewer nodes"
        ]
    return []


def _idle(whole: Schedule, until_ns: int, of: int) -> int:
    """On how many nodes nothing falls due before an instant."""
    if type(whole) is not Poisson:
        return of - sum(block.size for block in bounded(whole.blocks(), until_ns, of))
    firsts = (next(bounded(each.blocks(), until_ns, 1), None) for each in _schedules(whole, of))
    return sum(first is None for first in firsts)


def words_of(share: RunPlan, whole: RunPlan | None = None) -> str:
    """Which part a share is: "clients 1 to 4 of 8" of that whole plan, "part 2 of 3"."""
    part = share.part
    if part is None or part.of == 1:
        return "all"
    clients = share.clients
    if clients is None:
        return f"part {part.index % part.of + 1:,} of {part.of:,}"
    noun = "user" if isinstance(share.load, Sessions) else "client"
    of = "" if whole is None or whole.clients is None else f" of {whole.clients:,}"
    if clients == 1:
        return f"{noun} {part.first + 1:,}{of}"
    return f"{noun}s {part.first + 1:,} to {part.first + clients:,}{of}"

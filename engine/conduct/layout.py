"""Which hosts run which part of a plan, and which of them live as long as the run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from qs.engine.clock import Clock
from qs.engine.conduct.sendable import checked
from qs.engine.errors import HostError, PlanError
from qs.engine.hosts.child_host import THREAD_VARIABLES, ChildHost
from qs.engine.hosts.child_session import ChildSession
from qs.engine.hosts.host import HostTarget, Session, local_session
from qs.engine.hosts.samples import pack
from qs.engine.plan import RunPlan
from qs.engine.record.memory import Field, WorkerMemory
from qs.engine.workers.queue import new_counter
from qs.engine.workers.share import PlanShare, iterations_of, schedule_of, turns_of
from qs.engine.workers.target import build

# a little under 128 KiB a column, above which the allocator asks the kernel for every temporary
# array
ROWS = 16_000
ROWS_OF_MANY = 8_192
MANY = 8
# Workers with a thread each; 2,000 of them took 15 s to start and 2.8 GB.
MOST_THREADS = 4_096
# A target that kills its process at every call must not keep the run alive for ever.
MOST_REPLACEMENTS = 3


@dataclass
class Layout:
    """The sessions of a run, the child processes started for it alone, and the descriptors it
    holds.

    `hosts[n]` runs `sessions[n]`. A lost host may be replaced a few times; its successor is
    appended to both.
    """

    sessions: list[Session] = dataclasses.field(default_factory=list)
    hosts: list[ChildHost] = dataclasses.field(default_factory=list)
    fds: list[int] = dataclasses.field(default_factory=list)
    workers: int = 0
    replacements: int = 0
    keep_columns: bool = False

    @property
    def memories(self) -> list[WorkerMemory]:
        return [memory for session in self.sessions for memory in session.memories]

    def total(self, field: Field) -> int:
        """The sum of a field over all workers."""
        return sum(int(memory.header[field]) for memory in self.memories)

    def last_answer_ns(self) -> int:
        """When the last request came back, well or with a fault; 0 before the first."""
        cells = (Field.LAST_COMPLETED_NS, Field.LAST_FAILED_NS)
        answers = (int(memory.header[cell]) for memory in self.memories for cell in cells)
        return max(answers, default=0)

    def replacement(self, number: int) -> Session | None:
        """A session in a new process for what host `number` left undone; None if nothing is left,
        or after too many replacements.
        """
        if number >= len(self.hosts) or self.replacements >= MOST_REPLACEMENTS * self.workers:
            return None
        lost = self.sessions[number]
        assert isinstance(lost, ChildSession)
        share = left_of(lost.share, lost.memories)
        if share is None:
            return None
        self.replacements += 1
        host = self.hosts[number].clone()
        try:
            host.start()
        except (OSError, HostError):
            return None
        self.hosts.append(host)
        return host.session(share, lost.target, lost.rows, lost.samples_fd)

    async def close(self) -> None:
        for session in self.sessions:
            await session.close()
        for host in self.hosts:
            await host.close()
        for fd in self.fds:
            os.close(fd)


def left_of(share: PlanShare, memories: Sequence[WorkerMemory]) -> PlanShare | None:
    """What a lost process still had to do. Each of its clients goes on with an equal part of the
    iterations that are left.
    """
    plan = share.plan
    done = sum(
        int(memory.header[Field.COMPLETED] + memory.header[Field.FAILED]) for memory in memories
    )
    if share.closed is None:  # the shared counter knows; of conversations it counts no turns
        rest = replace(share, done=share.done + done + 1)
        return share if plan.scheduled else rest if turns_of(rest) else None
    counts = [iterations_of(share, share.closed, number) for number in range(share.workers)]
    if None in counts:
        return share
    # The request that each worker had in hand is lost with it, and counted as such.
    left = sum(count for count in counts if count is not None) - done - share.workers
    if left <= 0:
        return None
    load = replace(share.closed, iterations=-(-left // share.workers))
    return replace(share, plan=replace(plan, load=load, stop=replace(plan.stop, iterations=None)))


def workers_of(plan: RunPlan) -> int:
    """How many workers a plan has in all: one per client or user, else as the pool says."""
    return plan.clients or plan.pool.workers or 1


def lay_out(
    plan: RunPlan,
    target: Any,
    samples: Sequence[Any] | None,
    spin: bool,
    keep: bool,
    clock: Clock,
    slices: bool = False,
) -> Layout:
    """Sessions for the plan; child processes are made but not started. Raises PlanError if the
    target cannot be sent to them.
    """
    workers = workers_of(plan)
    if workers > MOST_THREADS and plan.pool.kind != "async":
        most = f"at most {MOST_THREADS:,} where each has a thread of its own"
        raise PlanError(
            [
                f"clients, pool workers: {workers:,} is not allowed, it must be {most}; "
                "coroutines can be more"
            ]
        )
    rows = ROWS if workers <= MANY else ROWS_OF_MANY
    started = bool(plan.parts) or plan.keeps or callable(getattr(target, "start", None))
    share = PlanShare(
        plan, workers, spin=spin, keep_columns=keep, keep_slices=slices, started=started
    )
    layout = Layout(workers=workers, keep_columns=keep)
    if plan.pool.kind == "process" or share.coroutines and (plan.pool.workers or 1) > 1:
        _over_processes(layout, share, target, samples, rows)
    elif isinstance(target, HostTarget):
        layout.sessions.append(target.host.session(share, target, rows))
    else:
        session = local_session(share, lambda instance: build(target, samples), rows, clock)
        layout.sessions.append(session)
    return layout


def _over_processes(
    layout: Layout, whole: PlanShare, target: Any, samples: Sequence[Any] | None, rows: int
) -> None:
    """Split the whole share over the processes of the pool."""
    plan, workers = whole.plan, whole.workers
    processes = min(plan.pool.workers or workers, workers)
    base = target.host if isinstance(target, HostTarget) else ChildHost()
    if not isinstance(base, ChildHost):
        raise PlanError(
            ["pool: kind 'process' needs a host that is a process itself, not one in this process"]
        )
    remote = target if isinstance(target, HostTarget) else checked(target, samples)
    # A batch cannot form across processes: then each has a share of the schedule for itself.
    shared = plan.open_loop and plan.batching is None
    # Each event loop has a part of the due times, counted for whoever takes its place: one that
    # issues all that is due would leave the others nothing.
    counters = [new_counter() for _ in range(processes if whole.coroutines else 1) if shared]
    budgeted = processes > 1 and (plan.stop.max_errors, plan.stop.max_error_rate) != (None, None)
    failures = new_counter() if budgeted else None
    samples_fd = None if samples is None or isinstance(target, HostTarget) else pack(samples)
    layout.fds += [*counters, *(fd for fd in (failures, samples_fd) if fd is not None)]
    first = 0
    for number in range(processes):
        count = workers // processes + (number < workers % processes)
        kind = "async" if whole.coroutines else "process" if count == 1 else "thread"
        affinity = tuple(plan.pool.affinity)
        if affinity:
            affinity = (affinity[number % len(affinity)],)
        most = plan.pool.max_in_flight
        pool = replace(
            plan.pool,
            kind=kind,
            affinity=affinity,
            max_in_flight=None if most is None else part_of(most, number, processes),
            instances=1 if isinstance(target, HostTarget) else None,
        )
        load = plan.load
        if plan.open_loop and not shared:
            load = schedule_of(plan).shard(number, processes)
        share = replace(
            whole,
            plan=replace(plan, load=load, pool=pool),
            workers=count,
            first=first,
            counter_fd=counters[number % len(counters)] if shared else None,
            turn=(number, processes) if shared and whole.coroutines else (0, 1),
            failures_fd=failures,
        )
        host = base.clone(env=_thread_environment(plan.pool.intra_op_threads))
        layout.hosts.append(host)
        layout.sessions.append(host.session(share, remote, rows, samples_fd))
        first += count


def part_of(whole: int, number: int, of: int) -> int:
    """A process's part of so many clients or requests in flight: at least 1."""
    return max(whole // of + (number < whole % of), 1)


def _thread_environment(threads: int | None) -> dict[str, str]:
    return {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))

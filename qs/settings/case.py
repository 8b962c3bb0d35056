"""The cases of a run, one per row of the report, as its settings make them.

Without scenarios a case is a batch size in closed loop. With scenarios it is a batch size under one
of them, whose sample is one batch of that size. The engine's plan of a case is made in
qs.settings.run_plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from qs.base.scenarios import (
    CONSTANT_RATE,
    GAMMA,
    MULTI_STREAM,
    POISSON,
    QUEUED,
    SESSIONS,
    SINGLE_STREAM,
)
from qs.config.qs_config import Batching
from qs.engine import MultiStream
from qs.settings.settings import DURATION_S, CpuSets, Origin, Settings
from qs.settings.traffic import USES, ScenarioSettings

ONE_CLIENT = (SINGLE_STREAM, MULTI_STREAM)
# Loads without an end of their own and without rules: they last as long as is stated.
LASTING = (POISSON, CONSTANT_RATE, GAMMA, SESSIONS)


@dataclass(frozen=True)
class Case:
    """What a row of the report was asked for."""

    name: str
    # The batch size that was loaded, and the one asked for.
    batch_size: int
    requested_batch_size: int
    clients: int
    iterations: int | None
    duration_s: float | None
    time_limit_s: float | None
    pool: str
    instances: int
    intra_op_threads: int | None
    affinity: CpuSets
    workers: int | None = None
    # None: closed loop
    scenario: ScenarioSettings | None = None
    # closed loop: go on until the throughput is known to this share, within the time limit
    until_known: float | None = None
    batching: Batching | None = None
    # open loop of coroutines: nobody said how many may be unanswered, and `clients` means nothing
    unbounded: bool = False

    @property
    def scenario_name(self) -> str | None:
        return self.scenario.name if self.scenario else None

    @property
    def open_loop(self) -> bool:
        return self.scenario is not None and self.scenario.open_loop

    @property
    def queued(self) -> bool:
        """Whether its queries can wait in a line, all due times being known."""
        return self.scenario_name in QUEUED

    @property
    def own_processes(self) -> bool:
        """Whether workers have processes of their own, with a copy each."""
        return self.pool == "process" or (self.pool == "async" and (self.workers or 1) > 1)

    @property
    def lists(self) -> bool:
        """Whether a query is a list of batches."""
        if self.scenario is None:
            return False
        return bool(self.scenario.samples_per_query) or self.scenario.name == MULTI_STREAM

    @property
    def per_query(self) -> int:
        """How many batches a query's list has, by the scenario or by its default."""
        if self.scenario is None or not self.lists:
            return 1
        return self.scenario.samples_per_query or MultiStream().samples_per_query

    @property
    def shared_by(self) -> int | None:
        """How many queries may share a call."""
        return self.batching.max_batch_size if self.batching else None

    def drive(self) -> dict[str, Any]:
        """How a copy of the model is driven, as a backend's service is told."""
        return {
            "batch_size": self.requested_batch_size,
            "instances": self.instances,
            "affinity": [list(cpus) for cpus in self.affinity],
            "intra_op_threads": self.intra_op_threads,
            "lists": self.lists,
            "conversations": self.scenario_name == SESSIONS,
            "per_query": self.per_query,
            "shared_by": self.shared_by,
        }


def cases_of(settings: Settings) -> list[Case]:
    """Every case, batch size by batch size, before anything is loaded."""
    sizes, scenarios = settings.batch_sizes.value, settings.scenarios.value
    if not scenarios:
        return [case_of(size, settings) for size in sizes]
    return [
        _under_scenario(case_of(size, settings), settings, scenario, number)
        for size in sizes
        for number, scenario in enumerate(scenarios, start=1)
    ]


def case_of(batch_size: int, settings: Settings) -> Case:
    """One batch size in closed loop."""
    clients = settings.clients.value
    amount = settings.iterations.value or settings.duration_s.value
    return Case(
        name=f"bs{batch_size}-c{clients}",
        batch_size=batch_size,
        requested_batch_size=batch_size,
        clients=clients,
        iterations=settings.iterations.value,
        duration_s=settings.duration_s.value,
        time_limit_s=settings.time_limit_s.value if not amount else _stated_limit_s(settings),
        pool=settings.pool.value,
        instances=_instances(settings, clients),
        intra_op_threads=settings.intra_op_threads.value,
        affinity=settings.affinity.value or (),
        workers=settings.workers.value,
        until_known=None if amount else settings.until_known.value,
    )


def _stated_limit_s(settings: Settings) -> float | None:
    """The time limit, unless it is only the default of a closed loop without an amount."""
    of_known = settings.until_known.value is not None
    limit = settings.time_limit_s
    return None if of_known and limit.origin == Origin.DEFAULT else limit.value


def _under_scenario(
    case: Case, settings: Settings, scenario: ScenarioSettings, number: int
) -> Case:
    """The case under a scenario; `number` tells scenarios of one name apart."""
    name, uses = scenario.name, USES[scenario.name]
    settled = scenario.used
    if "seed" in uses and settled.seed is None:
        settled = replace(settled, seed=settings.seed.value)
    clients = 1 if name in ONE_CLIENT else case.clients
    # The workload's iterations are the closed loop's; chosen ones are the least number of queries.
    counted = settings.iterations.chosen and case.iterations is not None
    if "duration_s" in uses and settings.duration_s.chosen:
        settled = replace(settled, duration_s=case.duration_s)
    elif name in LASTING and not settled.duration_s and not counted:
        settled = replace(settled, duration_s=DURATION_S)
    return replace(
        case,
        name=f"bs{case.requested_batch_size}-{number}-{name.lower()}",
        clients=clients,
        instances=_instances(settings, clients),
        iterations=case.iterations if counted else None,
        duration_s=settled.duration_s,
        time_limit_s=_stated_limit_s(settings),
        until_known=None,
        scenario=settled,
        batching=settings.batching.value if name in QUEUED else None,
        unbounded=scenario.open_loop and case.pool == "async" and not settings.clients.chosen,
    )


def _instances(settings: Settings, clients: int) -> int:
    """Loaded copies: a process has one of its own, and each event loop serves all its clients from
    one.
    """
    pool = settings.pool.value
    if pool == "process":
        return clients
    if pool == "async":
        return settings.workers.value or settings.nodes.value
    return min(settings.instances.value, clients)

"""Which cases a run measures, one a row of the report, and the engine's plan of each. Nothing is loaded or run here.

Without scenarios a case is a batch size in closed loop. With them it is a batch size under one of MLPerf's scenarios, whose
sample is one batch of that size; the engine's scenario brings the load, the stop rule and the rules that judge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qs.errors import UserError
from qs.plan import COMMAND_LINE, QS_CONFIG, Value
from qs.report.rows import Case
from qs.stages.limits import Limits

WARM_UP_S = (
    60.0  # beside the time that loading may take; a warm-up that hangs is found by the limit of predict
)
ONE_CLIENT = ("SingleStream", "MultiStream")
OPEN_LOOP = ("Server", "Offline")
COROUTINES = "async"

# What each scenario makes of the keys of its entry in the QS config, beside `name`.
USES = {
    "SingleStream": ("percentile", "duration_s"),
    "MultiStream": ("percentile", "duration_s", "samples_per_query"),
    "Server": ("target_qps", "latency_slo_ms", "percentile", "duration_s", "seed"),
    "Offline": ("target_qps", "duration_s", "samples_per_query"),
}


def cases_of(values: Mapping[str, Value]) -> list[Case]:
    """Every case, batch size by batch size, before anything is loaded."""
    scenarios = values["scenarios"].value or [None]
    return [
        case_of(size, values, scenario, number)
        for size in values["batch_sizes"].value
        for number, scenario in enumerate(scenarios, start=1)
    ]


def case_of(
    batch_size: int, values: Mapping[str, Value], scenario: Mapping[str, Any] | None = None, number: int = 1
) -> Case:
    """The settings of one case; `number` tells scenarios of one name apart."""
    clients = values["clients"].value
    pool = values["pool"].value
    case = Case(
        name=f"bs{batch_size}-c{clients}",
        batch_size=batch_size,
        requested_batch_size=batch_size,
        clients=clients,
        iterations=values["iterations"].value,
        duration_s=values["duration_s"].value,
        time_limit_s=values["time_limit_s"].value,
        pool=pool,
        instances=_instances(values["instances"].value, pool, clients),
        intra_op_threads=values["intra_op_threads"].value,
        affinity=tuple(tuple(cpus) for cpus in values["affinity"].value or ()),
    )
    return case if scenario is None else _under(case, values, scenario, number)


def _under(case: Case, values: Mapping[str, Value], scenario: Mapping[str, Any], number: int) -> Case:
    name = scenario["name"]
    settled = {key: scenario.get(key) for key in USES[name]}
    if values["duration_s"].origin == COMMAND_LINE:
        settled["duration_s"] = case.duration_s
    if "seed" in settled and settled["seed"] is None:
        settled["seed"] = values["seed"].value
    clients = 1 if name in ONE_CLIENT else case.clients
    batching = values["batching"].value if name in OPEN_LOOP else None
    # The workload's iterations are closed loop's; asked for here, they are the least number of queries.
    asked = values["iterations"].origin in (COMMAND_LINE, QS_CONFIG)
    return replace(
        case,
        name=f"bs{case.requested_batch_size}-{number}-{name.lower()}",
        clients=clients,
        instances=_instances(values["instances"].value, case.pool, clients),
        iterations=case.iterations if asked else None,
        duration_s=settled["duration_s"],
        scenario=name,
        settings=settled,
        batching=batching,
    )


def _instances(asked: int, pool: str, clients: int) -> int:
    """Loaded copies: a process has one of its own, one event loop serves all its clients from one."""
    return clients if pool == "process" else 1 if pool == COROUTINES else min(asked, clients)


def unused(scenario: Mapping[str, Any]) -> list[str]:
    """Warnings for the keys of a scenario that mean nothing in it."""
    name = scenario["name"]
    return [
        f"{key} means nothing in {name}; it has no effect"
        for key, value in scenario.items()
        if key not in ("name", *USES[name]) and value is not None
    ]


def plan_of(case: Case, values: Mapping[str, Value], limits: Limits | None = None) -> Any:
    """The engine's plan of one case. Raises the engine's PlanError where a scenario's settings cannot be."""
    from engine import Batching, ClosedLoop, Pool, RunPlan, Stop

    warmup, timeout_s = values["warmup"].value, values["timeout_s"].value
    open_loop = case.scenario in OPEN_LOOP
    stated = values["clients"].origin in (COMMAND_LINE, QS_CONFIG)
    pool = Pool(
        kind=case.pool,
        workers=case.clients if open_loop and case.pool in ("thread", "process") else None,
        instances=case.instances,
        affinity=case.affinity,
        intra_op_threads=case.intra_op_threads,
        max_in_flight=case.clients if open_loop and case.pool == COROUTINES and stated else None,
    )
    common: dict[str, Any] = {
        "pool": pool,
        "warmup_iterations": int(warmup.get("iterations") or 0),
        "warmup_s": float(warmup.get("seconds") or 0.0),
        "timeout_s": timeout_s,
        "drain_s": timeout_s,
        "build_timeout_s": (limits or Limits()).load_s * max(case.instances, 1) + WARM_UP_S,
    }
    if case.scenario is None:
        return RunPlan(
            load=ClosedLoop(clients=case.clients, iterations=case.iterations),
            stop=Stop(duration_s=case.duration_s, max_duration_s=case.time_limit_s),
            **common,
        )
    if case.batching:
        common["batching"] = Batching(
            case.batching["max_batch_size"], case.batching.get("max_delay_us") or 0.0
        )
    return scenario_of(case).plan(**common)


def scenario_of(case: Case) -> Any:
    """The engine's scenario of a case; what is not stated is MLPerf's own."""
    from engine import MultiStream, Offline, Server, SingleStream

    settings = case.settings or {}
    least = "min_samples" if case.scenario == "Offline" else "min_queries"
    given = {
        "percentile": settings.get("percentile"),
        "min_duration_s": settings.get("duration_s"),
        "samples_per_query": settings.get("samples_per_query"),
        "seed": settings.get("seed"),
        "max_duration_s": case.time_limit_s,
        least: case.iterations,
    }
    if case.scenario == "Server":
        given |= {"rate_per_s": settings["target_qps"], "bound_s": settings["latency_slo_ms"] / 1e3}
    if case.scenario == "Offline":
        given["expected_samples_per_s"] = settings.get("target_qps")
    kinds = {"SingleStream": SingleStream, "MultiStream": MultiStream, "Server": Server, "Offline": Offline}
    return kinds[str(case.scenario)](**{key: value for key, value in given.items() if value is not None})


def check_plans(values: Mapping[str, Value], cpus: Sequence[int], in_process: bool = False) -> None:
    """Refuse settings that cannot be run, all at once, before anything is loaded for them."""
    from engine import PlanError

    faults = [*_pool_faults(values, in_process), *_affinity_faults(values, cpus)]
    for case in [] if faults else cases_of(values):
        try:
            faults += plan_of(case, values).faults()
        except PlanError as error:
            faults += error.faults
    if faults:
        raise UserError("; ".join(dict.fromkeys(faults)))


def _pool_faults(values: Mapping[str, Value], in_process: bool) -> list[str]:
    pool, runner = values["pool"], values["runner"]
    said = f"pool {pool.value!r} ({pool.origin})"
    if runner.value == "async" and pool.value != COROUTINES:
        return [f"{said}: the runner is 'async' ({runner.origin}), whose predict only pool 'async' drives"]
    if pool.value == COROUTINES and runner.value in ("backend", "onnxruntime"):
        return [f"{said}: predict of the runner {runner.value!r} blocks; add --pool thread"]
    if pool.value == "process" and in_process:
        return [f"{said}: with --in_process there are no other processes; add --pool thread"]
    return []


def _affinity_faults(values: Mapping[str, Value], cpus: Sequence[int]) -> list[str]:
    affinity = values["affinity"]
    missing = sorted({cpu for group in affinity.value or () for cpu in group} - set(cpus))
    if not missing:
        return []
    return [
        f"affinity ({affinity.origin}): names CPUs {missing}, which this process may not use; "
        f"it may use {list(cpus)}"
    ]

"""Which cases a run measures, one a row of the report, and the engine's plan of each. Nothing is
loaded or run here.

Without scenarios a case is a batch size in closed loop. With them it is a batch size under one of
MLPerf's scenarios, whose sample is one batch of that size; the engine's scenario brings the load,
the stop rule and the rules that judge it; or under an open loop that nothing judges: Poisson,
ConstantRate, Stages, Replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from qs.base.errors import UserError
from qs.settings.case import Case
from qs.settings.limits import Limits
from qs.settings.settings import DURATION_S, Value, asked
from qs.settings.traffic import (
    CONSTANT_RATE,
    EVEN_ARRIVALS,
    MLPERF,
    OFFLINE,
    OPEN_LOOP,
    POISSON,
    REPLAY,
    SERVER,
    STAGES,
)

# beside the time that loading may take; a warm-up that hangs is found by the limit of predict
WARM_UP_S = 60.0
INTERVALS, UNKNOWN_INTERVAL_S = 20, 0.25
ONE_CLIENT = ("SingleStream", "MultiStream")
COROUTINES = "async"

# What each scenario makes of the keys of its entry in the QS config, or of the command line's
# options, beside `name`.
USES = {
    POISSON: ("target_qps", "duration_s", "seed"),
    CONSTANT_RATE: ("target_qps", "duration_s"),
    STAGES: ("stages", "arrivals", "seed"),
    REPLAY: ("due_file", "column", "speed"),
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
    batch_size: int,
    values: Mapping[str, Value],
    scenario: Mapping[str, Any] | None = None,
    number: int = 1,
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


def _under(
    case: Case, values: Mapping[str, Value], scenario: Mapping[str, Any], number: int
) -> Case:
    name = scenario["name"]
    settled = {key: scenario.get(key) for key in USES[name]}
    if "seed" in settled and settled["seed"] is None:
        settled["seed"] = values["seed"].value
    clients = 1 if name in ONE_CLIENT else case.clients
    batching = values["batching"].value if name in OPEN_LOOP else None
    # The workload's iterations are closed loop's; asked for here, they are the least number of
    # queries.
    counted = asked(values["iterations"]) and case.iterations is not None
    if "duration_s" in settled and asked(values["duration_s"]):
        settled["duration_s"] = case.duration_s
    elif name in (POISSON, CONSTANT_RATE) and not settled["duration_s"] and not counted:
        settled["duration_s"] = DURATION_S
    return replace(
        case,
        name=f"bs{case.requested_batch_size}-{number}-{name.lower()}",
        clients=clients,
        instances=_instances(values["instances"].value, case.pool, clients),
        iterations=case.iterations if counted else None,
        duration_s=settled.get("duration_s"),
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
    """The engine's plan of one case. Raises the engine's PlanError where a scenario's settings
    cannot be, UserError for a file of due times that cannot be read.
    """
    from qs.engine import Batching, ClosedLoop, Pool, RunPlan, Stop

    warmup, timeout_s, drain = (
        values["warmup"].value,
        values["timeout_s"].value,
        values["drain_s"].value,
    )
    open_loop = case.scenario in OPEN_LOOP
    pool = Pool(
        kind=case.pool,
        workers=case.clients if open_loop and case.pool in ("thread", "process") else None,
        instances=case.instances,
        affinity=case.affinity,
        intra_op_threads=case.intra_op_threads,
        max_in_flight=case.clients
        if open_loop and case.pool == COROUTINES and asked(values["clients"])
        else None,
        spin=values["spin"].value or "auto",
    )
    common: dict[str, Any] = {
        "pool": pool,
        "warmup_iterations": int(warmup.get("iterations") or 0),
        "warmup_s": float(warmup.get("seconds") or 0.0),
        "timeout_s": timeout_s,
        "drain_s": timeout_s if drain is None else drain,
        "build_timeout_s": (limits or Limits()).load_s * max(case.instances, 1) + WARM_UP_S,
        "max_backlog": values["max_backlog"].value if open_loop else None,
    }
    common["interval_s"] = interval_s(case)
    for name in ("interval_s", "calibrate"):  # a trial's own, where it is one of many
        if name in values:
            common[name] = values[name].value
    if case.batching:
        common["batching"] = Batching(
            case.batching["max_batch_size"], case.batching.get("max_delay_us") or 0.0
        )
    stop = Stop(max_duration_s=case.time_limit_s, **(values["stop"].value or {}))
    if case.scenario is None:
        load = ClosedLoop(case.clients, case.iterations, values["think_time_s"].value or 0.0)
        return RunPlan(load=load, stop=replace(stop, duration_s=case.duration_s), **common)
    if case.scenario in MLPERF:
        return _judged(scenario_of(case).plan(**common), stop)
    if case.scenario in (POISSON, CONSTANT_RATE) and not _ends_itself(stop):
        stop = replace(stop, duration_s=case.duration_s)
    return RunPlan(load=load_of(case), stop=replace(stop, iterations=case.iterations), **common)


def interval_s(case: Case) -> float:
    """Length of the time series' intervals: a second, and less in short runs, so that a comparison
    has some twenty to resample.
    """
    known = case.duration_s or case.time_limit_s
    return min(max(known / INTERVALS, 0.05), 1.0) if known else UNKNOWN_INTERVAL_S


def _judged(plan: Any, stop: Any) -> Any:
    """A scenario's own plan, with the error budget and the other rules that were asked for on top."""
    extra = ("until_stable", "stable_percentile", "max_errors", "max_error_rate")
    return replace(plan, stop=replace(plan.stop, **{name: getattr(stop, name) for name in extra}))


def _ends_itself(stop: Any) -> bool:
    return any(
        rule is not None for rule in (stop.until_stable, stop.min_duration_s, stop.min_queries)
    )


def load_of(case: Case) -> Any:
    """The load of an open loop that is no scenario of MLPerf's."""
    from qs.engine import ConstantRate, Poisson, Replay, Stage, Stages

    settings = case.settings or {}
    if case.scenario == POISSON:
        return Poisson(settings["target_qps"], settings["seed"])
    if case.scenario == CONSTANT_RATE:
        return ConstantRate(settings["target_qps"])
    if case.scenario == STAGES:
        even = settings.get("arrivals") == EVEN_ARRIVALS
        stages = tuple(Stage(*stage) for stage in settings["stages"])
        return Stages(stages, None if even else settings["seed"])
    try:
        return Replay.from_file(
            settings["due_file"], settings.get("column"), settings.get("speed") or 1.0
        )
    except (ValueError, OSError) as error:
        raise UserError(f"--replay: {error}") from None


def scenario_of(case: Case) -> Any:
    """The engine's scenario of a case; what is not stated is MLPerf's own."""
    from qs.engine import MultiStream, Offline, Server, SingleStream

    settings = case.settings or {}
    least = "min_samples" if case.scenario == OFFLINE else "min_queries"
    bound_ms = settings.get("latency_slo_ms")
    given = {
        "percentile": settings.get("percentile"),
        "min_duration_s": settings.get("duration_s"),
        "samples_per_query": settings.get("samples_per_query"),
        "seed": settings.get("seed"),
        "max_duration_s": case.time_limit_s,
        least: case.iterations,
    }
    if case.scenario == SERVER:
        given |= {
            "rate_per_s": settings["target_qps"],
            "bound_s": None if bound_ms is None else bound_ms / 1e3,
        }
    if case.scenario == OFFLINE:
        given["expected_samples_per_s"] = settings.get("target_qps")
    kinds = {
        "SingleStream": SingleStream,
        "MultiStream": MultiStream,
        "Server": Server,
        "Offline": Offline,
    }
    return kinds[str(case.scenario)](
        **{key: value for key, value in given.items() if value is not None}
    )


def check_plans(values: Mapping[str, Value], cpus: Sequence[int], in_process: bool = False) -> None:
    """Refuse settings that cannot be run, all at once, before anything is loaded for them."""
    from qs.engine import PlanError

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
        return [
            f"{said}: the runner is 'async' ({runner.origin}), whose predict only pool 'async' drives"
        ]
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
        f"affinity ({affinity.origin}): names CPUs {missing}, which this process may not use; it may use {list(cpus)}"
    ]

"""The engine's plan of a case: its load, its stop rules, its pool and its limits. Nothing is loaded
or run here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qs.base.errors import UserError
from qs.base.scenarios import (
    CONSTANT_RATE,
    GAMMA,
    MLPERF,
    MULTI_STREAM,
    OFFLINE,
    POISSON,
    REPLAY,
    SERVER,
    SESSIONS,
    SINGLE_STREAM,
    STAGES,
)
from qs.base.words import cpu_text
from qs.engine import (
    Batching,
    ClosedLoop,
    ConstantRate,
    Gamma,
    LoadModel,
    MultiStream,
    Offline,
    PlanError,
    Poisson,
    Pool,
    Replay,
    RunPlan,
    Server,
    Sessions,
    SingleStream,
    Stage,
    Stages,
    Stop,
)
from qs.settings.case import LASTING, Case, cases_of
from qs.settings.limits import Limits
from qs.settings.settings import Settings
from qs.settings.traffic import EVEN_ARRIVALS, GAMMA_ARRIVALS, ScenarioSettings

# Beside the time that loading may take. A warm-up that hangs is found by the limit of predict.
WARM_UP_S = 60.0
# A time series has some twenty intervals, of at most a second; this long when the case states no
# duration.
INTERVALS, UNKNOWN_INTERVAL_S = 20, 0.25
# Fine enough for some twenty in the least time of a case that ends when its throughput is known.
KNOWN_INTERVAL_S = 0.05


def plan_of(case: Case, settings: Settings, limits: Limits | None = None) -> RunPlan:
    """The engine's plan of one case. Raises the engine's PlanError for settings that a scenario
    does not allow, UserError for a file of due times that cannot be read.
    """
    warmup, timeout_s = settings.warmup.value, settings.timeout_s.value
    drain_s, batching = settings.drain_s.value, case.batching
    common: dict[str, Any] = {
        "pool": _pool(case, settings),
        "warmup_iterations": warmup.iterations or 0,
        "warmup_s": warmup.seconds or 0.0,
        "timeout_s": timeout_s,
        "drain_s": timeout_s if drain_s is None else drain_s,
        "build_timeout_s": (limits or Limits()).load_s * max(case.instances, 1) + WARM_UP_S,
        "max_backlog": settings.max_backlog.value if case.queued else None,
        "interval_s": settings.interval_s.value or interval_s(case),
        "calibrate": settings.calibrate.value,
    }
    if batching is not None:
        common["batching"] = Batching(batching.max_batch_size, batching.max_delay_us or 0.0)
    rules = settings.stop.value
    stop = Stop(max_duration_s=case.time_limit_s, **rules.stated())
    scenario = case.scenario
    if scenario is None:
        load = ClosedLoop(case.clients, case.iterations, settings.think_time_s.value or 0.0)
        stop = replace(stop, duration_s=case.duration_s, until_known=case.until_known)
        return RunPlan(load=load, stop=stop, **common)
    if scenario.name in MLPERF:
        return _with_budget(_mlperf(case, scenario).plan(**common), stop)
    if scenario.name in LASTING and not rules.end_a_run:
        stop = replace(stop, duration_s=case.duration_s)
    load_model = LOADS[scenario.name](scenario)
    return RunPlan(load=load_model, stop=replace(stop, iterations=case.iterations), **common)


def interval_s(case: Case) -> float:
    """Length of the time series' intervals: a second, and less in short runs, so that a comparison
    has some twenty to resample.
    """
    if case.until_known is not None:
        return KNOWN_INTERVAL_S
    known = case.duration_s or case.time_limit_s
    return min(max(known / INTERVALS, 0.05), 1.0) if known else UNKNOWN_INTERVAL_S


def check_plans(settings: Settings, cpus: Sequence[int], in_process: bool = False) -> None:
    """Refuse settings that cannot be run, with every fault, before anything is loaded for them."""
    faults = [*_pool_faults(settings, in_process), *_affinity_faults(settings, cpus)]
    for case in [] if faults else cases_of(settings):
        try:
            plan = plan_of(case, settings)
            faults += plan.faults() or _faults_over(plan, settings.nodes.value)
        except PlanError as error:
            faults += error.faults
    if faults:
        raise UserError("; ".join(dict.fromkeys(faults)))


def _faults_over(plan: RunPlan, nodes: int) -> list[str]:
    """Why it cannot be split over so many nodes."""
    if nodes == 1:
        return []
    from qs.engine.distributed import faults_over

    return faults_over(plan, nodes)


def _pool(case: Case, settings: Settings) -> Pool:
    coroutines, clients = case.pool == "async", settings.clients
    workers = case.open_loop and case.pool in ("thread", "process")
    bounded = case.open_loop and coroutines and clients.chosen
    return Pool(
        kind=case.pool,
        workers=case.clients if workers else case.workers if coroutines else None,
        instances=case.instances,
        affinity=case.affinity,
        intra_op_threads=case.intra_op_threads,
        max_in_flight=case.clients if bounded else None,
        spin=settings.spin.value,
    )


def _with_budget(plan: RunPlan, stop: Stop) -> RunPlan:
    """A scenario's own plan, with the error budget and stability that were asked for on top."""
    budget = replace(
        plan.stop,
        until_stable=stop.until_stable,
        stable_percentile=stop.stable_percentile,
        max_errors=stop.max_errors,
        max_error_rate=stop.max_error_rate,
    )
    return replace(plan, stop=budget)


def _mlperf(case: Case, scenario: ScenarioSettings) -> Any:
    """The engine's scenario; what is not stated is MLPerf's own."""
    given = {
        "percentile": scenario.percentile,
        "min_duration_s": scenario.duration_s,
        "samples_per_query": scenario.samples_per_query,
        "seed": scenario.seed,
        "max_duration_s": case.time_limit_s,
        "min_samples" if scenario.name == OFFLINE else "min_queries": case.iterations,
        "expected_samples_per_s" if scenario.name == OFFLINE else "rate_per_s": scenario.rate_per_s,
        "bound_s": scenario.bound_s,
    }
    kinds: dict[str, Any] = {
        SINGLE_STREAM: SingleStream,
        MULTI_STREAM: MultiStream,
        SERVER: Server,
        OFFLINE: Offline,
    }
    stated = {name: value for name, value in given.items() if value is not None}
    return kinds[scenario.name](**stated)


def _poisson(scenario: ScenarioSettings) -> LoadModel:
    assert scenario.rate_per_s is not None
    return Poisson(scenario.rate_per_s, scenario.seed)


def _constant_rate(scenario: ScenarioSettings) -> LoadModel:
    assert scenario.rate_per_s is not None
    return ConstantRate(scenario.rate_per_s)


def _gamma(scenario: ScenarioSettings) -> LoadModel:
    assert scenario.rate_per_s is not None and scenario.burstiness is not None
    return Gamma(scenario.rate_per_s, scenario.burstiness, scenario.seed)


def _sessions(scenario: ScenarioSettings) -> LoadModel:
    rate_per_s, seed = scenario.sessions_per_s, scenario.seed
    think_time_s = scenario.think_time_s or 0.0
    if rate_per_s is None:
        return Sessions(users=scenario.users, think_time_s=think_time_s)
    arrivals: ConstantRate | Gamma | Poisson = Poisson(rate_per_s, seed)
    if scenario.arrivals == EVEN_ARRIVALS:
        arrivals = ConstantRate(rate_per_s)
    elif scenario.arrivals == GAMMA_ARRIVALS:
        arrivals = Gamma(rate_per_s, scenario.burstiness or 1.0, seed)
    return Sessions(arrivals=arrivals, think_time_s=think_time_s)


def _stages(scenario: ScenarioSettings) -> LoadModel:
    even = scenario.arrivals == EVEN_ARRIVALS
    stages = tuple(Stage(*stage) for stage in scenario.stages or ())
    return Stages(stages, None if even else scenario.seed)


def _replay(scenario: ScenarioSettings) -> LoadModel:
    assert scenario.due_file is not None
    try:
        path = scenario.read_from or scenario.due_file
        return Replay.from_file(path, scenario.column, scenario.speed or 1.0)
    except (ValueError, OSError) as error:
        raise UserError(f"--replay: {error}") from None


# The loads of open loop that no rule judges.
LOADS: dict[str, Callable[[ScenarioSettings], LoadModel]] = {
    POISSON: _poisson,
    CONSTANT_RATE: _constant_rate,
    GAMMA: _gamma,
    SESSIONS: _sessions,
    STAGES: _stages,
    REPLAY: _replay,
}


def _pool_faults(settings: Settings, in_process: bool) -> list[str]:
    pool, runner = settings.pool, settings.runner
    named = f"pool {pool.value!r} ({pool.origin})"
    if runner.value == "async" and pool.value != "async":
        return [
            f"{named}: the runner is 'async' ({runner.origin}), whose predict only pool 'async' "
            "drives"
        ]
    if pool.value == "async" and runner.value in ("backend", "onnxruntime"):
        return [f"{named}: predict of the runner {runner.value!r} blocks; add --pool thread"]
    scenarios = settings.scenarios.value or ()
    if pool.value != "async" and any(each.name == SESSIONS for each in scenarios):
        return [
            f"{named}: the turns of conversations (Sessions) are requests to a language model's "
            "server (qs load openai+http://HOST/v1), which pool 'async' makes"
        ]
    if pool.value == "process" and in_process:
        return [f"{named}: with --in_process there are no other processes; add --pool thread"]
    workers = settings.workers
    if workers.value is not None and pool.value != "async":
        hint = (
            "it has a worker for each client (--clients)"
            if pool.value != "inline"
            else "it has one"
        )
        return [
            f"workers {workers.value} ({workers.origin}): allowed with pool 'async' only, not with "
            f"{named}; {hint}"
        ]
    if (workers.value or 1) > 1 and in_process:
        return [
            f"workers {workers.value} ({workers.origin}): with --in_process there are no other "
            "processes"
        ]
    return []


def _affinity_faults(settings: Settings, cpus: Sequence[int]) -> list[str]:
    affinity = settings.affinity
    missing = sorted({cpu for group in affinity.value or () for cpu in group} - set(cpus))
    if not missing:
        return []
    return [
        f"affinity ({affinity.origin}): names CPUs {cpu_text(missing)}, which this process may not "
        f"use; it may use {cpu_text(cpus)}"
    ]

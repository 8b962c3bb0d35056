"""The QS config: what a backend's generate_qs_config() says about how to drive it.

Every key is optional. An unknown key is a fault that names the nearest known one, at the top and
inside the objects, because a misspelt key would silently not apply. What a value means for a run is
settled in qs.settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from qs.base import bounds
from qs.base.errors import MISSING, MOST_FAULTS, Fault, Faults
from qs.base.names import nearest
from qs.base.scenarios import CONFIGURABLE, OFFLINE, QUEUED, SESSIONS
from qs.config.checking import (
    BATCH_SIZES,
    BatchSize,
    Checkable,
    Clients,
    Copies,
    Count,
    M,
    as_object,
    check,
)

Pool = Literal["thread", "inline", "process", "async"]
ScenarioName = Literal[
    "SingleStream",
    "MultiStream",
    "Server",
    "Offline",
    "Poisson",
    "ConstantRate",
    "Gamma",
    "Stages",
    "Replay",
    "Sessions",
]
POOLS: tuple[str, ...] = get_args(Pool)
RUNNERS = ("backend", "async", "onnxruntime")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "Server": ("target_qps",),
    "Poisson": ("target_qps",),
    "ConstantRate": ("target_qps",),
    "Gamma": ("target_qps", "burstiness"),
    "Stages": ("stages",),
    "Replay": ("due_file",),
}
FACTORY = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"

MOST = min(bounds.PER_S, bounds.SECONDS)  # also of ms and us, whose unit is in the name
Amount = Annotated[float, Field(strict=True, ge=0, le=MOST, allow_inf_nan=False)]
Above = Annotated[float, Field(strict=True, gt=0, le=MOST, allow_inf_nan=False)]
Seed = Annotated[int, Field(strict=True, ge=0, le=bounds.SEED)]
Cpu = Annotated[int, Field(strict=True, ge=0, le=bounds.CPU)]
Cpus = Annotated[tuple[Cpu, ...], Field(min_length=1, max_length=bounds.CPU + 1)]
Stage = tuple[Above, Amount] | tuple[Above, Amount, Annotated[bool, Field(strict=True)]]

_COUNT = "a whole number >= 1"
_COPIES = f"a whole number >= 1, up to {bounds.COPIES:,}"
_BATCH = f"a whole number >= 1, up to {bounds.BATCH:,}"
_ABOVE = f"a number above 0, up to {MOST:,.0f}"


class WarmUp(Checkable):
    """Calls made before measuring and recorded apart: at least `iterations` per client, and for at
    least `seconds`.
    """

    iterations: Annotated[int, Field(strict=True, ge=0)] | None = None
    seconds: Amount | None = None

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "iterations": "a whole number >= 0, per client",
        "seconds": "a number >= 0",
    }


class Scenario(Checkable):
    """One of MLPerf's scenarios, with its rules, or an open loop that no rule judges. A sample is
    one batch of the row's batch size.
    """

    name: ScenarioName
    target_qps: Above | None = None
    latency_slo_ms: Above | None = None
    percentile: Annotated[float, Field(strict=True, gt=0, lt=100)] | None = None
    duration_s: Above | None = None
    samples_per_query: BatchSize | None = None
    seed: Seed | None = None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=bounds.CASES)] | None = None
    arrivals: Literal["poisson", "even", "gamma"] | None = None
    burstiness: Annotated[float, Field(strict=True, ge=0.001, le=1e6)] | None = None
    users: Clients | None = None
    sessions_per_s: Above | None = None
    think_time_s: Amount | None = None
    due_file: Annotated[str, Field(strict=True, min_length=1)] | None = None
    column: Annotated[str, Field(strict=True, min_length=1)] | None = None
    speed: Above | None = None

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "name": ", ".join(CONFIGURABLE),
        "target_qps": f"{_ABOVE}: queries/s that arrive (Server, Poisson, ConstantRate, Gamma), "
        "samples/s that are expected (Offline)",
        "latency_slo_ms": f"{_ABOVE}: the bound of the response time's percentile (Server)",
        "percentile": "a number above 0 and below 100",
        "duration_s": f"{_ABOVE}: how long (Poisson, ConstantRate, Gamma, Sessions), else the "
        "least duration; MLPerf's own is 600",
        "samples_per_query": f"{_BATCH} (MultiStream, Offline)",
        "seed": "a whole number >= 0, of the arrivals (Server, Poisson, Gamma, Stages, Sessions)",
        "stages": "a list, not empty, of [seconds, queries/s], or [seconds, queries/s, true] for a "
        "straight line from the rate before (Stages)",
        "arrivals": "poisson, or even (Stages, Sessions), or gamma (Sessions)",
        "burstiness": "the shape of gamma distributed gaps, 0.001 to 1,000,000: 1 is Poisson, less "
        "is burstier (Gamma, Sessions)",
        "users": f"{_COUNT}, up to {bounds.CLIENTS:,}, each in a conversation at a time (Sessions)",
        "sessions_per_s": f"{_ABOVE}: conversations that arrive per second (Sessions)",
        "think_time_s": "a number >= 0: the pause before a turn that states none (Sessions)",
        "due_file": "the path of a file with due times in seconds: text with one per line, CSV or "
        "Parquet (Replay)",
        "column": "the column's name in due_file (Replay)",
        "speed": f"{_ABOVE}: how many times as fast as recorded (Replay)",
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "name": CONFIGURABLE,
        "arrivals": ("poisson", "even", "gamma"),
    }


class Batching(Checkable):
    """In every open loop: queries that are due close together share a call of predict."""

    max_batch_size: BatchSize
    max_delay_us: Amount | None = 0.0

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "max_batch_size": f"{_BATCH}: queries that share a call",
        "max_delay_us": "a number >= 0: how long the oldest waits for others",
    }


class Samples(Checkable):
    """Which batches are submitted: the number of distinct ones, and the seed of generated ones."""

    count: Annotated[int, Field(strict=True, ge=1, le=bounds.SAMPLES)] | None = None
    seed: Seed | None = None

    ALLOWED: ClassVar[Mapping[str, str]] = {"count": _BATCH, "seed": "a whole number >= 0"}


class QsConfig(Checkable):
    """How a backend wants to be driven. None, or an absent key: not stated."""

    qs_version: Literal[2] | None = 2
    runner: (
        Literal["backend", "async", "onnxruntime"] | Annotated[str, Field(pattern=FACTORY)] | None
    ) = None
    artifact: Annotated[str, Field(strict=True, min_length=1)] | None = None
    pool: Pool | None = None
    instances: Copies | None = None
    clients: Clients | None = None
    iterations: Count | None = None
    batch_sizes: (
        Annotated[tuple[BatchSize, ...], Field(min_length=1, max_length=bounds.CASES)] | None
    ) = None
    affinity: Annotated[tuple[Cpus, ...], Field(min_length=1, max_length=bounds.COPIES)] | None = (
        None
    )
    intra_op_threads: Copies | None = None
    warmup: WarmUp | None = None
    scenarios: (
        Annotated[tuple[Scenario, ...], Field(min_length=1, max_length=bounds.CASES)] | None
    ) = None
    batching: Batching | None = None
    timeout_s: Above | None = None
    samples: Samples | None = None
    verify: Literal["sample", "all"] | None = None

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "qs_version": "2",
        "runner": f"{', '.join(map(repr, RUNNERS))}, or the vendor's own 'package.module:factory'",
        "artifact": "the path of the file that the runner 'onnxruntime' loads",
        "pool": ", ".join(POOLS),
        "instances": f"{_COPIES}, loaded copies of the model",
        "clients": f"{_COUNT}, up to {bounds.CLIENTS:,}, that submit at the same time",
        "iterations": f"{_COUNT}, per client and batch size; the least number of queries of a "
        "scenario",
        "intra_op_threads": f"{_COPIES}, threads inside one inference",
        "batch_sizes": BATCH_SIZES,
        "affinity": "a list of lists of CPU numbers, one list per instance",
        "warmup": "an object with iterations, seconds or both",
        "scenarios": "a list, not empty, of objects with a name and what it needs",
        "batching": "an object with max_batch_size, and max_delay_us",
        "timeout_s": "a number of seconds above 0",
        "samples": "an object with count, seed or both",
        "verify": "sample, all: which outputs under load are checked against those when idle",
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "pool": POOLS,
        "runner": RUNNERS,
        "verify": ("sample", "all"),
    }


_INSIDE: Mapping[str, type[Checkable]] = {
    "warmup": WarmUp,
    "batching": Batching,
    "samples": Samples,
}


def parse_qs_config(raw: object, origin: str) -> QsConfig:
    """The checked config. A key that is null counts as not stated.

    Raises Faults with everything that is wrong; `origin` is what messages call the config.
    """
    stated = _without_nulls(as_object(raw, origin, "QS config"))
    apart: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, cls in _INSIDE.items():
        if key in stated:
            apart[key] = _object(cls, stated.pop(key), origin, key, faults)
    scenarios = stated.get("scenarios")
    if isinstance(scenarios, (list, tuple)) and 0 < len(scenarios) <= bounds.CASES:
        apart["scenarios"] = tuple(
            _object(Scenario, entry, origin, f"scenarios[{number}]", faults)
            for number, entry in enumerate(stated.pop("scenarios"))
        )
    config = _checked(QsConfig, stated, origin, "", faults)
    if config is not None and not faults:
        config = config.model_copy(update=apart)
        faults += _misfits(config, origin)
    if config is None or faults:
        raise Faults(faults)
    return config


def _without_nulls(raw: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in raw.items() if value is not None}


def _object(
    cls: type[Checkable], raw: object, origin: str, place: str, faults: list[Fault]
) -> Checkable | None:
    if not isinstance(raw, Mapping):
        allowed = QsConfig.ALLOWED.get(place, "an object with a name and what the scenario needs")
        faults.append(Fault(origin, place, raw, allowed))
        return None
    return _checked(cls, _without_nulls(raw), origin, f"{place}.", faults)


def _checked(
    cls: type[M], stated: Mapping[str, Any], origin: str, prefix: str, faults: list[Fault]
) -> M | None:
    known = list(cls.model_fields)
    for key, value in stated.items():
        if key not in known and len(faults) <= MOST_FAULTS:
            hint = f"known: {', '.join(known)}"
            faults.append(
                Fault(origin, prefix + key, value, "a known key", nearest(key, known), hint)
            )
    right = {key: stated[key] for key in stated if key in known}
    checked = check(cls, right, origin, prefix=prefix)
    faults += _once(checked.faults)
    return checked.value


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """One fault per mistake.

    A value that fits none of several forms has a fault for each of them, and a list with a wrong
    member has one of its own beside the member's.
    """
    by_key: dict[str, Fault] = {}
    for fault in faults:
        key = "runner" if fault.key.startswith("runner") else fault.key
        by_key.setdefault(key, replace(fault, key=key))
    inner = [key for key in by_key if key.endswith("]")]
    return [
        fault
        for key, fault in by_key.items()
        if not any(other.startswith(f"{key}[") for other in inner)
    ]


def _misfits(config: QsConfig, origin: str) -> list[Fault]:
    """Values that are each right and do not go together."""
    faults = []
    runner, pool = config.runner or "backend", config.pool
    if runner == "async" and pool not in (None, "async"):
        faults.append(Fault(origin, "pool", pool, "'async', as the runner is 'async'"))
    if pool == "async" and runner in ("backend", "onnxruntime"):
        hint = "predict of this runner blocks; a coroutine function needs runner 'async'"
        faults.append(Fault(origin, "pool", pool, "thread, inline, process", hint=hint))
    affinity, instances = config.affinity, config.instances
    if affinity and instances and len(affinity) != instances:
        allowed = f"one list for each of the {instances} instances"
        stated = [list(cpus) for cpus in affinity]
        hint = f"there are {len(affinity)}"
        faults.append(Fault(origin, "affinity", stated, allowed, hint=hint))
    scenarios = config.scenarios or ()
    for number, scenario in enumerate(scenarios):
        faults += _scenario_misfits(scenario, number, config.batching, origin)
    if config.batching and not any(each.name in QUEUED for each in scenarios):
        hint = "in closed loop no queries wait that could share a call"
        allowed = f"only with a scenario in open loop: {', '.join(QUEUED)}"
        faults.append(Fault(origin, "batching", config.batching.stated(), allowed, hint=hint))
    return faults


def _scenario_misfits(
    scenario: Scenario, number: int, batching: Batching | None, origin: str
) -> list[Fault]:
    faults = []
    for key in NEEDS.get(scenario.name, ()):
        if getattr(scenario, key) is None:
            allowed = f"{Scenario.ALLOWED[key]}; {scenario.name} needs it"
            faults.append(Fault(origin, f"scenarios[{number}].{key}", MISSING, allowed))
    if scenario.name == SESSIONS and (scenario.users is None) == (scenario.sessions_per_s is None):
        allowed = "exactly one of users and sessions_per_s, which say when conversations begin"
        stated = MISSING if scenario.users is None else scenario.users
        faults.append(Fault(origin, f"scenarios[{number}].users", stated, allowed))
    gamma = scenario.arrivals == "gamma"
    if gamma and (scenario.name != SESSIONS or scenario.burstiness is None):
        allowed = "poisson or even, or gamma with burstiness (Sessions)"
        faults.append(Fault(origin, f"scenarios[{number}].arrivals", "gamma", allowed))
    samples = scenario.samples_per_query
    if batching and scenario.name == OFFLINE and samples is not None:
        key, hint = (
            "samples_per_query",
            "batching makes the batches there; leave one of the two out",
        )
        faults.append(
            Fault(origin, f"scenarios[{number}].{key}", samples, "not with batching", hint=hint)
        )
    return faults

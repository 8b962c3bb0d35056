"""What a run will do: every value with where it came from. Command line > QS config > workload >
default.

Pure: nothing is loaded or measured here. `Request` is what the user typed, `performance` settles
the values of the measured part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.settings.traffic import Traffic

COMMAND_LINE, QS_CONFIG, BACKEND, WORKLOAD, DEFAULT = (
    "command line",
    "QS config",
    "backend",
    "workload",
    "default",
)

DEFAULTS: dict[str, Any] = {
    "runner": "backend",
    "pool": "thread",
    "instances": 1,
    "warmup": {"iterations": 1, "seconds": 0.5},
    "timeout_s": 120.0,
    "numeric_items": 16,
    "seed": 0,
    "drain_s": None,  # as long as one request may take
    "spin": "auto",
}
# How long a case is measured where nothing says it, and how long a run that is to become stable may
# take for it.
DURATION_S = 10.0
MOST_STABLE_S = 600.0


@dataclass(frozen=True)
class Feeding:
    """What an artifact's inputs are fed, by input: the options of `qs load`. Empty: as the artifact
    says, else generated.

    ranges   [low, high) of generated values        data   files and folders with the user's own
             items
    states   input -> output that feeds it; None: as the names say; {}: none
    """

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    states: Mapping[str, str] | None = None
    fill: str = "random"


@dataclass(frozen=True)
class Request:
    """The options of `qs run`, `qs load` and `qs sweep`. None (or False) means: not given.

    Either `task` names what is measured, or `artifact` is the model file or compile result.
    `origins` says where a value came from that was not typed: a variable, a project's file.
    """

    task: str
    hardware_type: str
    artifact: Path | None = None
    kind: str = "run"
    traffic: Traffic = Traffic()
    feeding: Feeding = Feeding()
    affinity: tuple[tuple[int, ...], ...] | None = None
    intra_op_threads: int | None = None
    sample_count: int | None = None
    history: bool = True
    origins: Mapping[str, str] = field(default_factory=dict)
    workspace: Path | None = None
    out: Path = Path("reports")
    clients: int | None = None
    iterations: int | None = None
    duration: float | None = None
    batch_sizes: tuple[int, ...] | None = None
    pool: str | None = None
    instances: int | None = None
    warmup: dict[str, float] | None = None
    time_limit: float | None = None
    numeric_items: int | None = None
    verify: str | None = None
    seed: int | None = None
    answers: Path | None = None
    no_input: bool = False
    compile_only: bool = False
    compiled: Path | None = None
    engine: str = "auto"
    compile_timeout: float | None = None
    load_timeout: float | None = None
    predict_timeout: float | None = None
    benchmark_timeout: float | None = None
    in_process: bool = False
    offline: bool = False
    env: str = "auto"
    metrics: str | None = None
    trace: bool = False
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))


@dataclass(frozen=True)
class Value:
    """One effective value and its origin."""

    value: Any
    origin: str


def settle(name: str, *offers: tuple[str, Mapping[str, Any]]) -> Value:
    """The first offer (origin, values) that has `name` with a value other than None, else the
    default.
    """
    for origin, values in offers:
        if values.get(name) is not None:
            return Value(values[name], origin)
    return Value(DEFAULTS.get(name), DEFAULT)


def performance(
    request: Request,
    workload: Mapping[str, Any],
    given: Iterable[str],
    qs_config: Mapping[str, Any] | None,
    best_batch_sizes: Sequence[int] | None,
    cpus: Sequence[int],
) -> dict[str, Value]:
    """The values of the measured part.

    workload    the workload's values, defaults of the file format included; `given` names those
                that the file itself states
    qs_config   what the backend's generate_qs_config returned, None where it was not asked
    cpus        the CPUs that this process may use, to be shared out when the number of instances is
                the user's own
    """
    asked = {
        **vars(request),
        **request.traffic.values(),
        # a QS config's is what its runner loads; the one on the command line is what is compiled
        "artifact": None,
        "timeout_s": request.predict_timeout,
        "samples": {"count": request.sample_count} if request.sample_count else None,
    }
    stated = {name: workload[name] for name in given if name in workload}
    offers = (
        (COMMAND_LINE, asked),
        (QS_CONFIG, qs_config or {}),
        (WORKLOAD, stated),
        (DEFAULT, workload),
    )
    names = (
        "runner",
        "artifact",
        "scenarios",
        "batching",
        "clients",
        "iterations",
        "pool",
        "instances",
        "warmup",
        "timeout_s",
        "affinity",
        "intra_op_threads",
        "samples",
        "numeric_items",
        "seed",
        "stop",
        "think_time_s",
        "drain_s",
        "max_backlog",
        "spin",
        "verify",
    )
    values = {name: settle(name, *offers) for name in names}
    values["duration_s"] = Value(request.duration, COMMAND_LINE if request.duration else DEFAULT)
    values["time_limit_s"] = Value(
        request.time_limit, COMMAND_LINE if request.time_limit else DEFAULT
    )
    values |= _how_long(values, request)
    values["batch_sizes"] = settle(
        "batch_sizes",
        *offers[:2],
        (BACKEND, {"batch_sizes": best_batch_sizes or None}),
        *offers[2:],
    )
    values |= implied(values)
    chosen = values["pool"].value not in ("process", "async") and request.instances is not None
    if chosen and (qs_config or {}).get("instances") != request.instances:
        shared = share_out(request.instances or 1, cpus)
        values |= {
            name: value for name, value in shared.items() if values[name].origin != COMMAND_LINE
        }
    return {name: _typed_elsewhere(name, value, request.origins) for name, value in values.items()}


def _typed_elsewhere(name: str, value: Value, origins: Mapping[str, str]) -> Value:
    """A value of the command line that a variable or a project's file gave to it."""
    flag = {
        "duration_s": "duration",
        "time_limit_s": "time_limit",
        "timeout_s": "predict_timeout",
    }.get(name, name)
    return (
        Value(value.value, origins[flag])
        if value.origin == COMMAND_LINE and flag in origins
        else value
    )


def _how_long(values: Mapping[str, Value], request: Request) -> dict[str, Value]:
    """Iterations, duration and limit of the closed loop, as they follow from each other: what ends
    a run by what it measured needs no count, and an artifact has no workload that would state one.
    """
    found = {}
    counted, stop = values["iterations"], values["stop"].value or {}
    ends = any(key in stop for key in ("until_stable", "min_duration_s", "min_queries"))
    if (request.duration or ends) and counted.origin != COMMAND_LINE:
        counted = found["iterations"] = Value(None, COMMAND_LINE)
    if "until_stable" in stop and not (request.duration or request.time_limit or counted.value):
        found["time_limit_s"] = Value(MOST_STABLE_S, DEFAULT)
    if not (counted.value or request.duration or ends):
        found["duration_s"] = Value(DURATION_S, DEFAULT)
    return found


def implied(values: Mapping[str, Value]) -> dict[str, Value]:
    """What follows from other values: coroutines run on an event loop, where the pool is not
    stated; a process has a copy of its own, an event loop one for all its clients; CPU sets are for
    a copy each, and a runner of the vendor's own is made once a worker, where the instances are not
    stated.
    """
    found = {}
    runner, affinity, pool, clients = (
        values[name] for name in ("runner", "affinity", "pool", "clients")
    )
    if runner.value == "async" and pool.origin == DEFAULT:
        pool = found["pool"] = Value("async", runner.origin)
    if pool.value in ("process", "async"):
        found["instances"] = Value(clients.value if pool.value == "process" else 1, pool.origin)
    elif values["instances"].origin == DEFAULT:
        if affinity.value:
            found["instances"] = Value(len(affinity.value), affinity.origin)
        elif ":" in runner.value:
            found["instances"] = clients
    return found


def share_out(instances: int, cpus: Sequence[int]) -> dict[str, Value]:
    """CPU sets for a number of instances that the backend did not choose: equal shares, or no
    pinning when there are too few.
    """
    each = len(cpus) // instances
    if not each:
        return {"affinity": Value(None, DEFAULT), "intra_op_threads": Value(1, DEFAULT)}
    shares = [list(cpus[index * each : (index + 1) * each]) for index in range(instances)]
    return {"affinity": Value(shares, DEFAULT), "intra_op_threads": Value(each, DEFAULT)}


def changed(
    values: Mapping[str, Value], changes: Mapping[str, Any], origin: str, cpus: Sequence[int]
) -> dict[str, Value]:
    """Settled values with some of them replaced, and what follows from those: a time in place of a
    count, copies for processes, shares of the CPUs for copies, where the changes do not state them.
    """
    found = {**values, **{name: Value(value, origin) for name, value in changes.items()}}
    if "duration_s" in changes and "iterations" not in changes:
        found["iterations"] = Value(None, origin)
    pool, clients = found["pool"].value, found["clients"].value
    if pool in ("process", "async"):
        found["instances"] = Value(clients if pool == "process" else 1, origin)
    copies_changed = "instances" in changes or (
        pool == "process" and {"pool", "clients"} & changes.keys()
    )
    if pool != "async" and copies_changed:
        shared = share_out(found["instances"].value, cpus)
        found |= {name: value for name, value in shared.items() if name not in changes}
    return found


def asked(value: Value) -> bool:
    """Whether somebody chose it for this run, or for this backend: it is neither the workload's nor
    a default.
    """
    return value.origin not in (WORKLOAD, BACKEND, DEFAULT)


def plain(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """For the report: name -> {"value", "origin"}."""
    return {name: {"value": value.value, "origin": value.origin} for name, value in values.items()}


def effective(values: Mapping[str, Value]) -> dict[str, Any]:
    """The QS config that holds after all, for a runner of the vendor's own: stated values and
    settled ones, under its keys.
    """
    names = (
        "runner",
        "artifact",
        "pool",
        "instances",
        "clients",
        "iterations",
        "batch_sizes",
        "affinity",
        "intra_op_threads",
        "warmup",
        "scenarios",
        "batching",
        "timeout_s",
        "samples",
    )
    found = {name: values[name].value for name in names if values[name].value is not None}
    return {"qs_version": 2, **found, "batch_sizes": list(values["batch_sizes"].value)}

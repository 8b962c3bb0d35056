"""What a run will do: every value with where it came from. Command line > QS config > workload > default.

Pure: nothing is loaded or measured here. `Request` is what the user typed, `performance` settles the values of the measured part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
}


@dataclass(frozen=True)
class Request:
    """The options of `qs run`. None (or False) means: not given."""

    task: str
    hardware_type: str
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
    env: str = "auto"
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))


@dataclass(frozen=True)
class Value:
    """One effective value and its origin."""

    value: Any
    origin: str


def settle(name: str, *offers: tuple[str, Mapping[str, Any]]) -> Value:
    """The first offer (origin, values) that has `name` with a value other than None, else the default."""
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

    workload    the workload's values, defaults of the file format included; `given` names those that the file itself states
    qs_config   what the backend's generate_qs_config returned, None where it was not asked
    cpus        the CPUs that this process may use, to be shared out when the number of instances is the user's own
    """
    asked = {**vars(request), "timeout_s": request.predict_timeout}
    stated = {name: workload[name] for name in given if name in workload}
    offers = ((COMMAND_LINE, asked), (QS_CONFIG, qs_config or {}), (WORKLOAD, stated), (DEFAULT, workload))
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
    )
    values = {name: settle(name, *offers) for name in names}
    values["duration_s"] = Value(request.duration, COMMAND_LINE if request.duration else DEFAULT)
    values["time_limit_s"] = Value(request.time_limit, COMMAND_LINE if request.time_limit else DEFAULT)
    if request.duration and request.iterations is None:
        values["iterations"] = Value(None, COMMAND_LINE)
    values["batch_sizes"] = settle(
        "batch_sizes",
        *offers[:2],
        (BACKEND, {"batch_sizes": best_batch_sizes or None}),
        *offers[2:],
    )
    values |= implied(values)
    chosen = values["pool"].value not in ("process", "async") and request.instances is not None
    if chosen and (qs_config or {}).get("instances") != request.instances:
        values |= share_out(request.instances or 1, cpus)
    return values


def implied(values: Mapping[str, Value]) -> dict[str, Value]:
    """What follows from other values: coroutines run on an event loop, where the pool is not stated; a process has a copy of its
    own, an event loop one for all its clients; CPU sets are for a copy each, and a runner of the vendor's own is made once a worker,
    where the instances are not stated."""
    found = {}
    runner, affinity, pool, clients = (values[name] for name in ("runner", "affinity", "pool", "clients"))
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
    """CPU sets for a number of instances that the backend did not choose: equal shares, or no pinning when there are too few."""
    each = len(cpus) // instances
    if not each:
        return {"affinity": Value(None, DEFAULT), "intra_op_threads": Value(1, DEFAULT)}
    shares = [list(cpus[index * each : (index + 1) * each]) for index in range(instances)]
    return {"affinity": Value(shares, DEFAULT), "intra_op_threads": Value(each, DEFAULT)}


def plain(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """For the report: name -> {"value", "origin"}."""
    return {name: {"value": value.value, "origin": value.origin} for name, value in values.items()}


def effective(values: Mapping[str, Value]) -> dict[str, Any]:
    """The QS config that holds after all, for a runner of the vendor's own: stated values and settled ones, under its keys."""
    names = (
        "runner", "artifact", "pool", "instances", "clients", "iterations", "batch_sizes", "affinity", "intra_op_threads", "warmup",
        "scenarios", "batching", "timeout_s", "samples",
    )  # fmt: skip
    found = {name: values[name].value for name in names if values[name].value is not None}
    return {"qs_version": 2, **found, "batch_sizes": list(values["batch_sizes"].value)}
